// The methods of A2A 1.0, each a view of runs or one call of the runtime.
import type { Fusion } from "@fastagentic/core/app/Fusion"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { Page, Runtime } from "@fastagentic/core/operations/Runtime"
import type { RunEvent } from "@fastagentic/core/run/Event"
import type { RunError } from "@fastagentic/core/run/RunError"
import { isFinal, type RunRecord } from "@fastagentic/core/run/RunRecord"
import { Effect, Schema, Stream } from "effect"
import { untilSomebody } from "../internal/waiting.ts"
import * as A2aError from "./A2aError.ts"
import * as A2aMessage from "./A2aMessage.ts"
import * as A2aSchema from "./A2aSchema.ts"
import * as A2aSkill from "./A2aSkill.ts"
import { contextIdOf, TaskView } from "./A2aTask.ts"

/** Who calls, and to which agent's path. */
export interface Call {
  readonly caller: Caller
  readonly onPath: string | undefined
  /** The card of what a caller may call; absent on a server that knows nobody, whose card says all. */
  readonly card: ((offered: Fusion) => A2aSchema.AgentCard) | undefined
}

/** What a page of a journal changed; nothing changed means that the connection is alive. */
export type Updates = ReadonlyArray<A2aSchema.StreamResponse>

/** One answer, or many. */
export type Reply =
  | {
    readonly _tag: "Result"
    readonly result: A2aSchema.Task | A2aSchema.AgentCard | { readonly task: A2aSchema.Task }
  }
  | { readonly _tag: "Updates"; readonly updates: Stream.Stream<Updates, Failure> }

type Failure = A2aError.A2aError | RunError

/** A run with its view as far as it is known. */
interface Delivered {
  readonly run: RunRecord
  readonly view: TaskView
}

/** A method, given its params as they came in. */
export type Method = (call: Call, params: unknown) => Effect.Effect<Reply, Failure>

export const make = (runtime: Runtime["Service"], skills: A2aSkill.Skills): ReadonlyMap<string, Method> => {
  /** A task is a run of an agent; on an agent's own path, of that agent. */
  const find = Effect.fnUntraced(function*({ caller, onPath }: Call, id: string) {
    const run = yield* runtime.get(caller, id)
    if (run.kind === "agent" && (onPath === undefined || run.agent === onPath)) return run
    return yield* A2aError.taskNotFound(`there is no task "${id}"`)
  })

  const viewOf = (run: RunRecord) => new TaskView(run, skills.get(run.agent))

  const advance = (caller: Caller, runId: string, view: TaskView, events: ReadonlyArray<RunEvent>) =>
    events.some((event) => event.type === "error")
      ? Effect.map(runtime.get(caller, runId), (run) => view.apply(events, run.state))
      : Effect.sync(() => view.apply(events, undefined))

  const load = Effect.fnUntraced(function*(caller: Caller, run: RunRecord) {
    const view = viewOf(run)
    while (view.seq < run.seq) {
      const events = yield* runtime.events(caller, run.runId, { after: view.seq, limit: 1_000 })
      if (events.length === 0) break
      yield* advance(caller, run.runId, view, events)
    }
    return view
  })

  const start = Effect.fnUntraced(function*({ caller, onPath }: Call, request: A2aSchema.SendMessageRequest) {
    const { message } = request
    const skill = yield* A2aSkill.choose(skills, onPath, request)
    const payload = yield* A2aMessage.toPayload(skill, message)
    const { run } = yield* runtime.start(caller, {
      kind: "agent",
      identifier: skill.agent.identifier,
      payload,
      idempotencyKey: `a2a:${message.messageId}`,
      threadId: message.contextId || globalThis.crypto.randomUUID()
    })
    yield* sameContext(message, run)
    return { run, view: viewOf(run) }
  })

  const answer = Effect.fnUntraced(function*(call: Call, taskId: string, message: A2aSchema.Message) {
    const run = yield* find(call, taskId)
    yield* sameContext(message, run)
    const { open } = yield* load(call.caller, run)
    const asked = A2aMessage.toAnswer(message, open)
    const given = yield* open.length > 0 ? asked : Effect.mapError(asked, () => takesNothing(run))
    const answered = yield* runtime.answer(call.caller, taskId, given.id, given.answer)
    return { run: answered, view: yield* load(call.caller, answered) }
  })

  /** Brings a message to its run: a new one is seen from its beginning, one that goes on from here. */
  const deliver = (call: Call, request: A2aSchema.SendMessageRequest) => {
    if (request.configuration?.taskPushNotificationConfig !== undefined) {
      return Effect.fail(A2aError.pushNotSupported("push notifications are not served"))
    }
    const taskId = request.message.taskId || undefined
    return taskId === undefined ? start(call, request) : answer(call, taskId, request.message)
  }

  const follow = Effect.fnUntraced(function*(
    caller: Caller,
    { run: { runId }, view }: Delivered,
    until: "final" | "somebody"
  ): Effect.fn.Return<Stream.Stream<Updates, A2aError.A2aError>, RunError> {
    const pages: Stream.Stream<Page, unknown> = until === "final"
      ? yield* runtime.follow(caller, runId, { after: view.seq, until })
      : yield* untilSomebody(runtime, caller, runId, view.seq)
    return pages.pipe(
      Stream.mapEffect(({ events }) => advance(caller, runId, view, events)),
      Stream.mapError(() => unavailable)
    )
  })

  const streamed = Effect.fnUntraced(function*(
    caller: Caller,
    delivered: Delivered,
    until: "final" | "somebody",
    historyLength?: number
  ) {
    const first: Updates = [{ task: delivered.view.task(historyLength) }]
    const rest = yield* follow(caller, delivered, until)
    return { _tag: "Updates", updates: Stream.concat(Stream.succeed(first), rest) } as const
  })

  const sendMessage = Effect.fnUntraced(function*(call: Call, request: A2aSchema.SendMessageRequest) {
    const { historyLength, returnImmediately } = request.configuration ?? {}
    const delivered = yield* deliver(call, request)
    if (returnImmediately === true) {
      return result({ task: (yield* load(call.caller, delivered.run)).task(historyLength) })
    }
    yield* Stream.runDrain(yield* follow(call.caller, delivered, "somebody"))
    return result({ task: delivered.view.task(historyLength) })
  })

  const sendStreamingMessage = (call: Call, request: A2aSchema.SendMessageRequest) =>
    Effect.flatMap(
      deliver(call, request),
      (delivered) => streamed(call.caller, delivered, "somebody", request.configuration?.historyLength)
    )

  const getTask = Effect.fnUntraced(function*(call: Call, { historyLength, id }: typeof A2aSchema.GetTaskRequest.Type) {
    const view = yield* load(call.caller, yield* find(call, id))
    return result(view.task(historyLength))
  })

  const cancelTask = Effect.fnUntraced(function*(call: Call, { id }: typeof A2aSchema.TaskRequest.Type) {
    yield* find(call, id)
    const run = yield* runtime.cancel(call.caller, id)
    if (isFinal(run.state) && run.state !== "cancelled") {
      return yield* A2aError.taskNotCancelable(`the task is ${run.state}`)
    }
    return result((yield* load(call.caller, run)).task())
  })

  const subscribeToTask = Effect.fnUntraced(function*(call: Call, { id }: typeof A2aSchema.TaskRequest.Type) {
    const run = yield* find(call, id)
    if (isFinal(run.state)) return yield* A2aError.unsupportedOperation(`the task is ${run.state}`)
    return yield* streamed(call.caller, { run, view: yield* load(call.caller, run) }, "final")
  })

  const extendedCard: Method = ({ caller, card }) =>
    card === undefined
      ? Effect.fail(A2aError.unsupportedOperation("there is no extended card"))
      : Effect.map(runtime.offered(caller), (some) => result(card(some)))

  return new Map([
    ["SendMessage", method(A2aSchema.SendMessageRequest, sendMessage)],
    ["SendStreamingMessage", method(A2aSchema.SendMessageRequest, sendStreamingMessage)],
    ["GetTask", method(A2aSchema.GetTaskRequest, getTask)],
    ["CancelTask", method(A2aSchema.TaskRequest, cancelTask)],
    ["SubscribeToTask", method(A2aSchema.TaskRequest, subscribeToTask)],
    ["ListTasks", refuse(A2aError.unsupportedOperation("ListTasks is not served"))],
    ["GetExtendedAgentCard", extendedCard],
    ...["Create", "Get", "Delete"].map((verb) => [`${verb}TaskPushNotificationConfig`, noPush] as const),
    ["ListTaskPushNotificationConfigs", noPush]
  ])
}

const method = <S extends Schema.ConstraintCodec<unknown, unknown>>(
  schema: S,
  run: (call: Call, request: S["Type"]) => Effect.Effect<Reply, Failure>
): Method => {
  const decode = Schema.decodeUnknownEffect(schema, { errors: "all" })
  return (call, params) =>
    Effect.matchEffect(decode(params ?? {}), {
      onFailure: (error) =>
        Effect.fail(A2aError.invalidParams("the params are not valid", { violations: A2aError.violationsOf(error) })),
      onSuccess: (request) => run(call, request)
    })
}

const refuse = (error: A2aError.A2aError): Method => () => Effect.fail(error)

const noPush = refuse(A2aError.pushNotSupported("push notifications are not served"))

const result = (value: Extract<Reply, { readonly _tag: "Result" }>["result"]): Reply => ({
  _tag: "Result",
  result: value
})

const unavailable = A2aError.internal("the task could not be read on; get it or subscribe to it again")

const takesNothing = (run: RunRecord) =>
  A2aError.unsupportedOperation(`the task is ${run.state} and takes no message now`)

const sameContext = ({ contextId }: A2aSchema.Message, run: RunRecord) =>
  contextId === undefined || contextId === "" || contextId === contextIdOf(run)
    ? Effect.void
    : Effect.fail(A2aError.invalidParams("the task is of another context", {
      violations: [{ field: "message.contextId", description: `Expected ${contextIdOf(run)}` }]
    }))
