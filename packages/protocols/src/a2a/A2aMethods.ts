// The methods of A2A 1.0: each reads runs or makes one call of the runtime.
import type { Fusion } from "@fastagentic/core/app/Fusion"
import { decoder } from "@fastagentic/core/base/Validation"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { RunHandle, Runtime } from "@fastagentic/core/operations/Runtime"
import { RunError, RunNotFound } from "@fastagentic/core/run/RunError"
import { isFinal, type RunRecord } from "@fastagentic/core/run/RunRecord"
import { Effect, Schema, Stream } from "effect"
import { PublicAddress, urlOf } from "../internal/publicAddress.ts"
import * as Timeouts from "../internal/timeouts.ts"
import * as A2aContent from "./A2aContent.ts"
import * as A2aError from "./A2aError.ts"
import * as A2aMessage from "./A2aMessage.ts"
import * as A2aSchema from "./A2aSchema.ts"
import * as A2aSkill from "./A2aSkill.ts"
import { contextIdOf, TaskView } from "./A2aTask.ts"

/** The caller, and the agent of the path that was called. */
export interface Call {
  readonly caller: Caller
  readonly onPath: string | undefined
  /** The extended card; absent on an open server, whose public card is complete. */
  readonly card: ((visible: Fusion) => A2aSchema.AgentCard) | undefined
}

/** The updates of a page of the journal; an empty page is a heartbeat. */
export type Updates = ReadonlyArray<A2aSchema.StreamResponse>

/** One answer, or a stream of updates. */
export type Reply =
  | {
    readonly _tag: "Result"
    readonly result: A2aSchema.Task | A2aSchema.AgentCard | { readonly task: A2aSchema.Task }
  }
  | { readonly _tag: "Updates"; readonly updates: Stream.Stream<Updates, Failure> }

type Failure = A2aError.A2aError | RunError

/** A run with its view so far. */
interface Delivered {
  readonly handle: RunHandle
  readonly run: RunRecord
  readonly view: TaskView
}

/** A method, called with undecoded params. */
export type Method = (call: Call, params: unknown) => Effect.Effect<Reply, Failure>

export const make = (runtime: Runtime["Service"], skills: A2aSkill.Skills): ReadonlyMap<string, Method> => {
  /** The run of a task: one of an agent, and on an agent's own path one of that agent. */
  const find = Effect.fnUntraced(function*({ caller, onPath }: Call, id: string) {
    const handle = yield* runtime.open(caller, id)
    const { run } = handle
    if (run.kind === "agent" && (onPath === undefined || run.agent === onPath)) return handle
    return yield* new RunError({ reason: new RunNotFound({ runId: id }) })
  })

  const viewOf = (run: RunRecord) => Effect.map(links, (links) => new TaskView(run, skills.get(run.agent), links))

  /** The task as of a record of its run. */
  const load = Effect.fnUntraced(function*({ events }: RunHandle, run: RunRecord) {
    const view = yield* viewOf(run)
    while (view.seq < run.seq) {
      const page = yield* events({ after: view.seq, limit: Math.min(run.seq - view.seq, 1_000) })
      if (page.length === 0) break
      view.apply(page, run.state)
    }
    return view
  })

  const start = Effect.fnUntraced(function*({ caller, onPath }: Call, request: A2aSchema.SendMessageRequest) {
    const { message } = request
    const skill = yield* A2aSkill.choose(skills, onPath, request)
    const payload = yield* A2aMessage.toPayload(skill, message, yield* links)
    const { timeout = message.metadata?.["timeout"] } = request.metadata ?? {}
    const handle = yield* runtime.start(caller, {
      kind: "agent",
      identifier: skill.agent.identifier,
      payload,
      idempotencyKey: `a2a:${message.messageId}`,
      threadId: message.contextId || globalThis.crypto.randomUUID(),
      timeout: yield* Timeouts.timeoutIn("metadata.timeout", timeout)
    })
    yield* sameContext(message, handle.run)
    return { handle, run: handle.run, view: yield* viewOf(handle.run) }
  })

  const answer = Effect.fnUntraced(function*(call: Call, taskId: string, message: A2aSchema.Message) {
    const handle = yield* find(call, taskId)
    const { run } = handle
    yield* sameContext(message, run)
    const key = `a2a:${message.messageId}`
    // A message that comes twice decides what it decided the first time, and not the next question.
    const decided = (yield* handle.interrupts).filter(({ resolution }) => resolution?.idempotencyKey === key)
    const { open } = yield* load(handle, run)
    const asked = decided.length > 0 ? decided : open
    const skill = skills.get(run.agent)
    const signal = skill === undefined ? undefined : A2aMessage.signalOf(skill, message, asked.length > 0)
    if (signal !== undefined) {
      const payload = yield* A2aMessage.toSignal(signal, message)
      const { name } = signal
      const after = yield* runtime.signal(call.caller, taskId, { signal: name, payload, idempotencyKey: key })
      return { handle, run: after, view: yield* load(handle, after) }
    }
    const reading = A2aMessage.toAnswer(message, asked)
    const { answer, id } = yield* asked.length > 0 ? reading : Effect.mapError(reading, () => takesNoMessage(run))
    const answered = yield* runtime.answer(call.caller, taskId, id, answer, key)
    return { handle, run: answered, view: yield* load(handle, answered) }
  })

  /** Delivers a message to a new run, or as an answer to the run of its task. */
  const deliver = (call: Call, request: A2aSchema.SendMessageRequest) => {
    if (request.configuration?.taskPushNotificationConfig !== undefined) {
      return Effect.fail(A2aError.pushNotSupported("push notifications are not served"))
    }
    const taskId = request.message.taskId || undefined
    return taskId === undefined ? start(call, request) : answer(call, taskId, request.message)
  }

  const follow = ({ handle, view }: Pick<Delivered, "handle" | "view">, until: "final" | "somebody") =>
    Effect.map(
      handle.follow({ after: view.seq, until }),
      (pages): Stream.Stream<Updates, A2aError.A2aError> =>
        pages.pipe(
          Stream.map(({ events, run }) => view.apply(events, run.state)),
          Stream.mapError((reason) =>
            reason._tag === "Unauthenticated" ? A2aError.fromRunError(new RunError({ reason })) : unavailable
          )
        )
    )

  const streamed = Effect.fnUntraced(function*(
    delivered: Delivered,
    until: "final" | "somebody",
    historyLength?: number
  ) {
    const first: Updates = [{ task: delivered.view.task(historyLength) }]
    const rest = yield* follow(delivered, until)
    return { _tag: "Updates", updates: Stream.concat(Stream.succeed(first), rest) } as const
  })

  const sendMessage = Effect.fnUntraced(function*(call: Call, request: A2aSchema.SendMessageRequest) {
    const { historyLength, returnImmediately } = request.configuration ?? {}
    const delivered = yield* deliver(call, request)
    if (returnImmediately === true) {
      return result({ task: (yield* load(delivered.handle, delivered.run)).task(historyLength) })
    }
    yield* Stream.runDrain(yield* follow(delivered, "somebody"))
    return result({ task: delivered.view.task(historyLength) })
  })

  const sendStreamingMessage = (call: Call, request: A2aSchema.SendMessageRequest) =>
    Effect.flatMap(
      deliver(call, request),
      (delivered) => streamed(delivered, "somebody", request.configuration?.historyLength)
    )

  const getTask = Effect.fnUntraced(function*(call: Call, { historyLength, id }: typeof A2aSchema.GetTaskRequest.Type) {
    const handle = yield* find(call, id)
    const view = yield* load(handle, handle.run)
    return result(view.task(historyLength))
  })

  const cancelTask = Effect.fnUntraced(function*(call: Call, { id }: typeof A2aSchema.TaskRequest.Type) {
    const handle = yield* find(call, id)
    const run = yield* runtime.cancel(call.caller, id)
    if (isFinal(run.state) && run.state !== "cancelled") {
      return yield* A2aError.taskNotCancelable(`the task is ${run.state}`)
    }
    return result((yield* load(handle, run)).task())
  })

  const subscribeToTask = Effect.fnUntraced(function*(call: Call, { id }: typeof A2aSchema.TaskRequest.Type) {
    const handle = yield* find(call, id)
    const { run } = handle
    if (isFinal(run.state)) return yield* A2aError.unsupportedOperation(`the task is ${run.state}`)
    return yield* streamed({ handle, run, view: yield* load(handle, run) }, "final")
  })

  const extendedCard: Method = ({ caller, card }) =>
    card === undefined
      ? Effect.fail(A2aError.unsupportedOperation("there is no extended card"))
      : Effect.map(runtime.visibleTo(caller), (some) => result(card(some)))

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
  const decode = decoder(schema, "ignore")
  return (call, params) =>
    Effect.matchEffect(decode(params ?? {}), {
      onFailure: (error) =>
        Effect.fail(A2aError.invalidParams("the params are not valid", { violations: A2aError.violationsOf(error) })),
      onSuccess: (request) => run(call, request)
    })
}

/** The addresses of stored files as the client of this request reaches them. */
const links = Effect.map(PublicAddress, (address) => A2aContent.linksOf(urlOf(address)))

const refuse = (error: A2aError.A2aError): Method => () => Effect.fail(error)

const noPush = refuse(A2aError.pushNotSupported("push notifications are not served"))

const result = (value: Extract<Reply, { readonly _tag: "Result" }>["result"]): Reply => ({
  _tag: "Result",
  result: value
})

const unavailable = A2aError.internal("the rest of the task could not be read; get it or subscribe to it again")

const takesNoMessage = (run: RunRecord) =>
  A2aError.unsupportedOperation(`the task is ${run.state} and takes no message now`)

const sameContext = ({ contextId }: A2aSchema.Message, run: RunRecord) =>
  contextId === undefined || contextId === "" || contextId === contextIdOf(run)
    ? Effect.void
    : Effect.fail(A2aError.invalidParams("the task is of another context", {
      violations: [{ field: "message.contextId", description: `Expected ${contextIdOf(run)}` }]
    }))
