// A tool call whose run waits for a decision: asks the client, and continues after the decision of any caller.
import * as Timings from "@fastagentic/core/base/Timings"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { RunHandle, Runtime, Target } from "@fastagentic/core/operations/Runtime"
import { isTerminal } from "@fastagentic/core/run/Event"
import { RunError } from "@fastagentic/core/run/RunError"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect, Option, Stream } from "effect"
import { again, type Ask, decide, type Question, questionOf, type Reply } from "./Elicitation.ts"
import { invalidParams, McpError } from "./McpError.ts"
import { Meta } from "./ToolResult.ts"

/** The time that a call stays open for a decision. */
const waitLimit = Timings.elicitationMillis

/** The number of times that a form is shown when its content does not fit. */
const attempts = 3

/**
 * The way to ask a client: while its call waits (2025), or in rounds (2026-07-28), where the call is answered with the
 * questions, and sent again with the answers and the `state`, which is the run.
 */
export type ElicitationFlow =
  | { readonly _tag: "Push"; readonly ask: Ask }
  | {
    readonly _tag: "Rounds"
    readonly state: string | undefined
    readonly responses: { readonly [id: string]: unknown }
  }

export interface Asked {
  readonly run: RunRecord
  /** The reason for which an answer was refused. */
  readonly refusal?: RunError
  /** The questions of the next round. */
  readonly requests?: Sdk.InputRequiredResult
}

interface Call {
  readonly caller: Caller
  readonly elicitation: ElicitationFlow | undefined
}

type Settle = (after: number) => Effect.Effect<RunRecord, RunError>

/** The run of a round, which must be the caller's own and of the called tool. */
export const resumed = (
  runtime: Runtime["Service"],
  caller: Caller,
  { identifier, kind }: Target,
  runId: string
): Effect.Effect<RunHandle, McpError | RunError> => {
  const unknown = new McpError({
    code: invalidParams,
    message: "Invalid or expired requestState",
    data: { tag: "RunNotFound", reason: "invalid_request_state", traceId: caller.traceId }
  })
  return runtime.open(caller, runId).pipe(
    Effect.catchReason("RunError", "RunNotFound", () => Effect.fail(unknown)),
    Effect.filterOrFail(({ run }) => run.kind === kind && run.agent === identifier, () => unknown)
  )
}

/** Waits for a run and asks for each decision that it needs, as long as the client answers. */
export const ask = (
  runtime: Runtime["Service"],
  call: Call,
  handle: RunHandle,
  settle: Settle,
  stage: { isAsking: boolean }
): Effect.Effect<Asked, RunError> => {
  const { caller, elicitation } = call
  if (elicitation === undefined) return Effect.map(settle(0), (run) => ({ run }))
  return elicitation._tag === "Push"
    ? pushed(runtime, caller, handle, elicitation.ask, settle, stage)
    : round(runtime, caller, handle, elicitation, settle)
}

const pushed = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  caller: Caller,
  handle: RunHandle,
  put: Ask,
  settle: Settle,
  stage: { isAsking: boolean }
): Effect.fn.Return<Asked, RunError> {
  let run = yield* settle(0)
  for (let attempt = 1; attempt <= attempts;) {
    const [question] = yield* questions(runtime, caller, run)
    if (question === undefined) break
    stage.isAsking = true
    const shown = attempt > 1 ? again(question) : question
    const reply = yield* Effect.raceFirst(put(shown), decided(handle, run.seq, question)).pipe(
      Effect.timeoutOption(waitLimit),
      Effect.map(Option.getOrElse((): Reply => "left")),
      Effect.result
    )
    stage.isAsking = false
    if (reply._tag === "Failure") return { run, refusal: reply.failure }
    if (reply.success === "left") break
    attempt = reply.success === "unclear" ? attempt + 1 : 1
    if (reply.success === "decided") run = yield* settle(run.seq)
  }
  return { run }
})

/** Waits for a decision over any protocol, or the run's end. A server that shuts down decides nothing. */
const decided = (
  handle: RunHandle,
  after: number,
  { interrupt: { id } }: Question
): Effect.Effect<Reply, RunError> =>
  handle.follow({ after, until: "final" }).pipe(
    Effect.flatMap((pages) =>
      Stream.runHead(Stream.filter(pages, ({ events }) =>
        events.some((event) =>
          isTerminal(event) || (event.type === "interrupt_resolved" && event.data.id === id)
        )))
    ),
    Effect.map(Option.match({
      onNone: (): Reply =>
        "left",
      onSome: (): Reply => "decided"
    })),
    Effect.catchTag(
      ["JournalDamaged", "StoreUnavailable", "Unauthenticated"],
      (reason) => Effect.fail(new RunError({ reason }))
    )
  )

const round = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  caller: Caller,
  handle: RunHandle,
  { responses, state }: Extract<ElicitationFlow, { readonly _tag: "Rounds" }>,
  settle: Settle
): Effect.fn.Return<Asked, RunError> {
  const unclear = new Set<string>()
  const before = state === undefined ? [] : yield* handle.interrupts
  for (const interrupt of before) {
    const question = interrupt.id in responses ? questionOf(runtime, interrupt) : undefined
    if (question === undefined) continue
    const reply = yield* Effect.result(decide(runtime, caller, question, responses[interrupt.id]))
    if (reply._tag === "Failure") return { run: yield* handle.current, refusal: reply.failure }
    if (reply.success === "left") return { run: yield* handle.current }
    if (reply.success === "unclear") unclear.add(interrupt.id)
  }
  const run = yield* settle(0)
  const open = yield* questions(runtime, caller, run)
  if (open.length === 0) return { run }
  const inputRequests = Object.fromEntries(open.map((question) => {
    const { params } = unclear.has(question.interrupt.id) ? again(question) : question
    return [question.interrupt.id, { method: "elicitation/create" as const, params }]
  }))
  const _meta = { [Meta.runId]: run.runId, [Meta.traceId]: caller.traceId }
  return { run, requests: { resultType: "input_required", inputRequests, requestState: run.runId, _meta } }
})

/** The questions that the caller may decide and a form can ask. */
const questions = (runtime: Runtime["Service"], caller: Caller, run: RunRecord) =>
  run.state === "suspended" && run.waitsFor === "interrupt"
    ? Effect.map(
      runtime.decidable(caller, run.runId),
      (open) => open.flatMap((interrupt) => questionOf(runtime, interrupt) ?? [])
    )
    : Effect.succeed([])
