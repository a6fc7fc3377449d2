// A tool call: starts a run, follows it, and answers with its result.
import type { Callable } from "@fastagentic/core/app/Fusion"
import * as Timings from "@fastagentic/core/base/Timings"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { FollowError, Page, RunHandle, Runtime, Target } from "@fastagentic/core/operations/Runtime"
import * as Content from "@fastagentic/core/run/Content"
import { NotDeclared, RunError } from "@fastagentic/core/run/RunError"
import { isFinal, type RunRecord } from "@fastagentic/core/run/RunRecord"
import type * as Sdk from "@modelcontextprotocol/server"
import { Cause, Clock, Effect, Option, Stream } from "effect"
import * as Timeouts from "../internal/timeouts.ts"
import { continuesByItself } from "../internal/waiting.ts"
import type { Question } from "./ClientQuestion.ts"
import * as Delegated from "./Delegated.ts"
import * as ElicitationFlow from "./ElicitationFlow.ts"
import type { InFlightCall } from "./InFlightCalls.ts"
import { type Catalog, isObject } from "./McpCatalog.ts"
import * as McpContent from "./McpContent.ts"
import { invalidParams, McpError } from "./McpError.ts"
import * as Repeat from "./Repeat.ts"
import type { Report } from "./Report.ts"
import * as RequestState from "./RequestState.ts"
import * as TaskView from "./TaskView.ts"
import * as ToolResult from "./ToolResult.ts"

/**
 * The time, in milliseconds, that a call waits for a run that is suspended until a time or until another run ends: clients
 * give up after a minute, and giving up cancels the run.
 */
export const waitLimitMillis = Timings.mcpCallMillis

/** The client that reads a result. */
export interface Reader {
  readonly caller: Caller
  /** The public path of the app. */
  readonly path: string
  readonly reader: McpContent.Reader
}

export interface ToolCall extends Reader {
  /** The number of the last event that the client has seen. */
  readonly after?: number
  /** Whether the call may become a task: the server decides (2026-07-28), or the client has asked for one (2025-11-25). */
  readonly task: "none" | "maybe" | "legacy"
  /** The run and the last event of a stream that is taken up again. */
  readonly resume: string | undefined
  readonly name: string
  readonly arguments: unknown
  readonly idempotencyKey: string | undefined
  readonly threadId: string | undefined
  /** The value of `_meta`, as it came. */
  readonly timeout: unknown
  /** Sends what happens to the client; `undefined` when the client did not ask for it. */
  readonly report: Report | undefined
  /** Registers the run that the call waits for; the result removes it when the call ends. */
  readonly register: (
    call: Omit<InFlightCall, "close">,
    seq: number
  ) => Effect.Effect<() => void, RunError>
  /** Whether the client interrupted the call in order to end the run. */
  readonly isCancelled: (cause: Cause.Cause<unknown>) => boolean
  /** The way to ask the client for decisions, if it can be asked. */
  readonly elicitation: ElicitationFlow.ElicitationFlow
}

/**
 * Calls a tool, or an agent that is listed as one.
 *
 * Invalid arguments are a result, which the model can read and correct; refusals of the door are errors.
 */
export const run = (
  runtime: Runtime["Service"],
  catalog: Catalog,
  call: ToolCall
): Effect.Effect<Sdk.CallToolResult | Sdk.InputRequiredResult, McpError | RunError> => {
  const callable = catalog.callables.get(call.name)
  return callable === undefined ? Effect.fail(unknownTool(call)) : Effect.catchReason(
    start(runtime, callable, call),
    "RunError",
    "InvalidPayload",
    ({ _tag, issues, message, target }) =>
      Effect.succeed(
        ToolResult.refused({ _tag, message, target, issues }, { [ToolResult.Meta.traceId]: call.caller.traceId })
      )
  )
}

const unknownTool = ({ caller, name }: ToolCall) =>
  new McpError({
    code: invalidParams,
    message: new NotDeclared({ kind: "tool", identifier: name }).message,
    data: { tag: "NotDeclared", kind: "tool", identifier: name, traceId: caller.traceId }
  })

/**
 * After its admission, a run is awaited or, if the client cancels the call, cancelled. A run that waits for a decision of
 * its client keeps waiting, because people take longer than the time limits of clients.
 */
const start = (runtime: Runtime["Service"], callable: Callable, call: ToolCall) =>
  Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
    const again = callable.durable && call.idempotencyKey === undefined && call.task !== "legacy" &&
        call.resume === undefined
      ? yield* Repeat.of(runtime, call.caller, callable, [call.arguments, call.threadId])
      : undefined
    const left = again === undefined || isRound(call) ? undefined : yield* Repeat.find(runtime, call.caller, again)
    const handle = left ?? (yield* startOrResume(runtime, callable, call))
    const { runId } = handle.run
    const after = seqOf(call.resume)
    const stage = { isAsking: false }
    const unregister = yield* call.register({ runId, caller: call.caller, isAsking: () => stage.isAsking }, after)
    return yield* restore(outcomeOrTask(runtime, callable, { ...call, after }, handle, stage)).pipe(
      Effect.tap(Effect.fnUntraced(function*(result) {
        if (again === undefined) return
        if (ToolResult.isUnfinished(result)) yield* Repeat.remember(runtime, again, runId)
        else if (left !== undefined) yield* Repeat.forget(runtime, again)
      })),
      Effect.onError((cause) => {
        if (!Cause.hasInterrupts(cause) || !call.isCancelled(cause)) return Effect.void
        if (!stage.isAsking) return Effect.ignore(runtime.cancel(call.caller, runId, "cancelled by the client"))
        return again === undefined ? Effect.void : Repeat.remember(runtime, again, runId)
      }),
      Effect.ensuring(Effect.sync(unregister))
    )
  }))

/** The run of a stream, which must be the caller's own and of the called tool. */
const takenUp = (runtime: Runtime["Service"], { identifier, kind }: Target, { caller }: ToolCall, resume: string) => {
  const unknown = new McpError({
    code: invalidParams,
    message: "There is no such stream",
    data: { tag: "RunNotFound", traceId: caller.traceId }
  })
  return runtime.open(caller, resume.slice(0, resume.lastIndexOf("."))).pipe(
    Effect.catchReason("RunError", "RunNotFound", () => Effect.fail(unknown)),
    Effect.filterOrFail(({ run }) => run.kind === kind && run.agent === identifier, () => unknown)
  )
}

const seqOf = (resume: string | undefined): number => {
  const seq = Number(resume?.slice(resume.lastIndexOf(".") + 1) ?? 0)
  return Number.isSafeInteger(seq) && seq > 0 ? seq : 0
}

const isRound = ({ elicitation }: ToolCall) => elicitation._tag === "Rounds" && elicitation.state !== undefined

/** A call with answers continues the run that asked. */
const startOrResume = (
  runtime: Runtime["Service"],
  { identifier, kind }: Callable,
  call: ToolCall
): Effect.Effect<RunHandle, McpError | RunError> =>
  call.resume !== undefined ?
    takenUp(runtime, { kind, identifier }, call, call.resume) :
    call.elicitation._tag === "Rounds" && call.elicitation.state !== undefined
    ? RequestState.resume(runtime, call.caller, { kind, identifier }, call.arguments, call.elicitation.state)
    : Effect.flatMap(
      Timeouts.timeoutIn(ToolResult.Meta.timeout, call.timeout),
      (timeout) =>
        runtime.start(call.caller, {
          kind,
          identifier,
          payload: call.arguments,
          idempotencyKey: call.idempotencyKey,
          threadId: call.threadId,
          timeout
        })
    )

const outcome = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  callable: Callable,
  call: ToolCall,
  handle: RunHandle,
  stage: { isAsking: boolean }
) {
  const settle = (after: number) => settled(runtime, call, handle, after)
  const { questions, refusal, run } = yield* ElicitationFlow.ask(runtime, call, handle, settle, stage)
  if (questions !== undefined) return yield* inputRequired(call, run, questions)
  if (call.task === "maybe" && run.durable && !isFinal(run.state)) {
    return TaskView.created(run, call.caller.traceId, runtime.keptMillis(run))
  }
  return yield* resultOf(runtime, callable, call, handle, run, refusal)
})

/** A call that takes long becomes a task, if the client knows tasks and the run is kept. */
const outcomeOrTask = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  callable: Callable,
  call: ToolCall,
  handle: RunHandle,
  stage: { isAsking: boolean }
) {
  const { run } = handle
  if (call.task === "legacy") return TaskView.legacyCreated(run, call.caller.traceId, runtime.keptMillis(run))
  if (call.task === "none" || !run.durable) return yield* outcome(runtime, callable, call, handle, stage)
  if (callable.task !== "auto") return TaskView.created(run, call.caller.traceId, runtime.keptMillis(run))
  const soon = yield* Effect.timeoutOption(outcome(runtime, callable, call, handle, stage), Timings.mcpTaskMillis)
  if (Option.isSome(soon)) return soon.value
  const now = yield* handle.current
  return TaskView.created(now, call.caller.traceId, runtime.keptMillis(now))
})

/** Asks the client what a run wants to know until it ends or the client answers no more. */
export const askUntilSettled = (runtime: Runtime["Service"], call: ToolCall, handle: RunHandle) =>
  Effect.asVoid(
    ElicitationFlow.ask(runtime, call, handle, (after) => settled(runtime, call, handle, after), { isAsking: false })
  )

/** The result of a run as it stands. */
export const resultOf = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  callable: Callable,
  call: Reader,
  handle: RunHandle,
  run: RunRecord,
  refusal?: RunError
): Effect.fn.Return<Sdk.CallToolResult, RunError> {
  return ToolResult.fromRun(run, {
    traceId: call.caller.traceId,
    path: call.path,
    structured: isObject(callable.success.json),
    blocks: yield* answered(runtime, callable, call, run),
    interrupts: [...(yield* openInterrupts(handle, run)), ...(yield* Delegated.open(runtime, call.caller, run))],
    refusal
  })
})

/** The questions of a round, under the names of their interrupts. */
const inputRequired = Effect.fnUntraced(function*(
  { arguments: args, caller }: ToolCall,
  run: RunRecord,
  questions: ReadonlyArray<Question>
): Effect.fn.Return<Sdk.InputRequiredResult> {
  return {
    resultType: "input_required",
    inputRequests: Object.fromEntries(
      Array.from(ElicitationFlow.keyed(questions), ([key, { request }]) => [key, request])
    ),
    requestState: yield* RequestState.make(run, args),
    _meta: { [ToolResult.Meta.runId]: run.runId, [ToolResult.Meta.traceId]: caller.traceId }
  }
})

/** The blocks of an answer that is content. */
const answered = (
  runtime: Runtime["Service"],
  { success }: Callable,
  { caller, reader }: Reader,
  { output, state }: RunRecord
) => {
  if (!success.hasContent || state !== "completed") return Effect.undefined
  const contents = Content.isContent(output) ? [output] : output
  return Content.isList(contents) ? McpContent.toBlocks(runtime, caller, reader, contents) : Effect.undefined
}

/** The run at its next end or pause after an event; the events until then are progress. */
const settled = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  call: ToolCall,
  handle: RunHandle,
  after: number
) {
  if (call.report !== undefined) {
    yield* asRunError(report(yield* handle.follow({ after, until: "settled" }), call, handle))
  }
  return yield* waitOn(runtime, call, handle, yield* handle.settled)
})

/** Waits through pauses that end by themselves within the limit, until a run that this one waits for asks something. */
const waitOn = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  call: ToolCall,
  handle: RunHandle,
  run: RunRecord
) {
  const limit = (yield* Clock.currentTimeMillis) + waitLimitMillis
  if (!continuesByItself(run) || (run.waitsFor === "timer" && (run.wakeAt ?? 0) > limit)) return run
  const pages = yield* handle.follow({ after: run.seq, until: "somebody" })
  yield* Effect.timeoutOption(
    Effect.raceFirst(asRunError(report(pages, call, handle)), Delegated.asks(runtime, call.caller, run)),
    waitLimitMillis
  )
  return yield* handle.current
})

const asRunError = <A>(effect: Effect.Effect<A, FollowError>) =>
  Effect.mapError(effect, (reason) => new RunError({ reason }))

const report = <E>(pages: Stream.Stream<Page, E>, { report: send }: ToolCall, { run: { runId } }: RunHandle) =>
  Stream.runForEach(pages, ({ events }) =>
    send === undefined
      ? Effect.void
      : send(events, runId))

const openInterrupts = ({ interrupts }: RunHandle, { state }: RunRecord) =>
  state !== "suspended"
    ? Effect.succeed([])
    : Effect.map(interrupts, (all) => all.filter((interrupt) => interrupt.state === "open"))
