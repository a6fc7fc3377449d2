// The methods of tasks, of both wires, as views of runs: a task belongs to the caller who may see its run, is there before
// its client learns of it, and can be asked for on any node.
import * as Timings from "@fastagentic/core/base/Timings"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { RunHandle, Runtime } from "@fastagentic/core/operations/Runtime"
import { RunError } from "@fastagentic/core/run/RunError"
import { isFinal, type RunRecord } from "@fastagentic/core/run/RunRecord"
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect, Fiber, Schema, Stream } from "effect"
import { type Client, decide, type Question, questionOf, refuse } from "./ClientQuestion.ts"
import * as Delegated from "./Delegated.ts"
import { answeredForOthers, keyed } from "./ElicitationFlow.ts"
import type { Catalog } from "./McpCatalog.ts"
import { internalError, invalidParams, McpError } from "./McpError.ts"
import * as TaskView from "./TaskView.ts"
import * as ToolCall from "./ToolCall.ts"

const standard = <S extends Schema.ConstraintDecoder<unknown>>(schema: S) => Schema.toStandardSchemaV1(schema)

/** The schemas of the methods for the SDK, which has none of its own for them. */
export const wire = {
  one: { params: standard(Schema.Struct({ taskId: Schema.String })), result: standard(Schema.Unknown) },
  list: {
    params: standard(Schema.Struct({ cursor: Schema.optionalKey(Schema.String) })),
    result: standard(Schema.Unknown)
  }
}

type Method<A> = Effect.Effect<A, McpError | RunError>

const unknown = (caller: Caller) =>
  new McpError({
    code: invalidParams,
    message: "There is no such task",
    data: { tag: "RunNotFound", traceId: caller.traceId }
  })

/** The result that a call of the run would have. */
export const resultOf = (
  runtime: Runtime["Service"],
  reader: ToolCall.Reader,
  handle: RunHandle,
  run: RunRecord
): Method<Sdk.CallToolResult> => {
  const callable = (run.kind === "agent" ? runtime.fusion.agents : runtime.fusion.tools).get(run.agent)
  return callable === undefined
    ? Effect.fail(unknown(reader.caller))
    : ToolCall.resultOf(runtime, callable, reader, handle, run)
}

export const make = (runtime: Runtime["Service"], catalog: Catalog) => {
  const open = (caller: Caller, taskId: string): Method<RunHandle> =>
    Effect.catchReason(runtime.open(caller, taskId), "RunError", "RunNotFound", () => Effect.fail(unknown(caller)))

  /**
   * The questions that the client can answer; what it cannot answer at all is refused. A run that works on after one of its
   * answers still has the others.
   */
  const questions = Effect.fnUntraced(function*(caller: Caller, client: Client, run: RunRecord) {
    if (isFinal(run.state)) return []
    const found: Array<Question> = []
    for (const interrupt of yield* Delegated.decidable(runtime, caller, run)) {
      const question = questionOf(runtime, interrupt, client)
      if (question === "unsupported") yield* refuse(runtime, caller, interrupt)
      else if (question !== undefined) found.push(question)
    }
    return found
  })

  /** 2026-07-28: the task with its result, its error or its questions. */
  const get = (taskId: string, client: Client, call: ToolCall.Reader): Method<object> =>
    Effect.gen(function*() {
      const handle = yield* open(call.caller, taskId)
      const open_ = yield* questions(call.caller, client, handle.run)
      const run = yield* handle.current
      const task = TaskView.task(run, open_.length > 0, runtime.keptMillis(run))
      switch (task.status) {
        case "completed":
          return { ...task, result: yield* resultOf(runtime, call, handle, run) }
        case "failed":
          return { ...task, error: TaskView.errorOf(run) }
        case "input_required":
          return {
            ...task,
            inputRequests: Object.fromEntries(Array.from(keyed(open_), ([key, { request }]) => [key, request]))
          }
        default:
          return task
      }
    })

  /** 2026-07-28: answers of the client; keys that ask nothing are ignored, those of questions for others are refused. */
  const update = (
    taskId: string,
    client: Client,
    caller: Caller,
    responses: { readonly [key: string]: unknown }
  ): Method<{}> =>
    Effect.gen(function*() {
      const { run } = yield* open(caller, taskId)
      const answers = new Map(Object.entries(responses))
      for (const [key, question] of keyed(yield* questions(caller, client, run))) {
        if (!answers.has(key)) continue
        yield* decide(runtime, caller, question, answers.get(key))
        answers.delete(key)
      }
      const refusal = yield* answeredForOthers(runtime, caller, client, taskId, answers)
      return refusal === undefined ? {} : yield* refusal
    })

  const cancel = (taskId: string, caller: Caller): Method<RunRecord> =>
    Effect.catchReason(
      runtime.cancel(caller, taskId, "cancelled by the client"),
      "RunError",
      "RunNotFound",
      () => Effect.fail(unknown(caller))
    )

  const legacyTask = (run: RunRecord, asks: boolean) => TaskView.legacyTask(run, asks, runtime.keptMillis(run))

  /** 2025-11-25: says each new status of a task, until it has ended. */
  const statuses = Effect.fnUntraced(function*(
    handle: RunHandle,
    client: Client,
    caller: Caller,
    say: (task: object) => Effect.Effect<void>
  ) {
    let last: string = legacyTask(handle.run, false).status
    const pages = yield* handle.follow({ after: handle.run.seq, until: "final" })
    const changed = Stream.filter(pages, ({ run }) => run.state !== "running" || last !== "working")
    yield* Stream.runForEach(changed, ({ run }) =>
      Effect.gen(function*() {
        const asks = run.state === "suspended" && (yield* questions(caller, client, run)).length > 0
        const task = legacyTask(run, asks)
        const isNew = task.status !== last
        last = task.status
        if (isNew) yield* say(task)
      }))
  })

  /** 2025-11-25: the task alone. */
  const legacyGet = (taskId: string, client: Client, caller: Caller): Method<object> =>
    Effect.gen(function*() {
      const { run } = yield* open(caller, taskId)
      return legacyTask(run, (yield* questions(caller, client, run)).length > 0)
    })

  /** 2025-11-25: waits for the end, asks what has to be asked meanwhile, and gives what the call would have given. */
  const legacyResult = (
    taskId: string,
    call: ToolCall.ToolCall,
    say: (task: object) => Effect.Effect<void>
  ): Method<Sdk.CallToolResult> =>
    Effect.gen(function*() {
      const handle = yield* open(call.caller, taskId)
      // A status is a courtesy: the result comes without it as well.
      const said = yield* Effect.forkChild(
        Effect.ignore(statuses(handle, call.elicitation.client, call.caller, say))
      )
      yield* ToolCall.askUntilSettled(runtime, call, handle)
      const pages = yield* handle.follow({ after: handle.run.seq, until: "final" })
      yield* Effect.timeoutOption(
        Effect.mapError(Stream.runDrain(pages), (reason) => new RunError({ reason })),
        Timings.elicitationMillis
      )
      const run = yield* handle.current
      if (!isFinal(run.state)) {
        return yield* new McpError({ ...stillWorking, data: { ...stillWorking.data, traceId: call.caller.traceId } })
      }
      if (TaskView.isProtocolError(run)) {
        return yield* new McpError(errorWith(run, call.caller.traceId))
      }
      const result = yield* resultOf(runtime, call, handle, run)
      yield* Effect.timeoutOption(Fiber.await(said), Timings.pollMillis)
      return { ...result, _meta: { ...result._meta, [TaskView.relatedTask]: { taskId } } }
    })

  const legacyCancel = (taskId: string, caller: Caller): Method<object> =>
    Effect.gen(function*() {
      const { run } = yield* open(caller, taskId)
      if (isFinal(run.state)) {
        return yield* new McpError({
          code: invalidParams,
          message: `The task has ended: ${run.state}`,
          data: { tag: "RunFinished", traceId: caller.traceId }
        })
      }
      return legacyTask(yield* cancel(taskId, caller), false)
    })

  const legacyList = (cursor: string | undefined, caller: Caller): Method<object> =>
    Effect.gen(function*() {
      const page = yield* runtime.list(caller, {
        limit: 50,
        ...(cursor === undefined ? {} : { before: cursor })
      })
      const tasks = page.items
        .filter(({ agent, durable, kind }) => durable && isListed(kind, agent))
        .map((run) => legacyTask({ payload: null, ...run }, false))
      return { tasks, ...(page.next === undefined ? {} : { nextCursor: page.next }) }
    })

  const listed = new Set(Array.from(catalog.callables.values(), ({ identifier, kind }) => `${kind} ${identifier}`))
  const isListed = (kind: string, identifier: string) => listed.has(`${kind} ${identifier}`)

  return { get, update, cancel, legacyGet, legacyResult, legacyCancel, legacyList }
}

/** A client that is gone without a word would hold its request for as long as the run. */
const stillWorking = {
  code: internalError,
  message: "The task has not ended within ten minutes: ask again",
  data: { tag: "RunContinues" }
}

const errorWith = (run: RunRecord, traceId: string) => {
  const { code, data, message } = TaskView.errorOf(run)
  return { code, message, data: { ...data, traceId } }
}
