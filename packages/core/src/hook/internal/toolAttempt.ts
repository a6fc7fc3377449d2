// One attempt at a tool call behind its hooks: a recorded outcome, a denial, or the handler's work once, journaled. `invoke` of
// ToolCall calls it; an outcome that is stored is never decided again.
import { Effect, Fiber, Schema } from "effect"
import type * as Prompt from "effect/ai/Prompt"
import { canonical } from "../../base/internal/canonical.ts"
import * as Present from "../../base/Present.ts"
import { CurrentRun } from "../../run/Run.ts"
import type { ToolCall } from "../Hook.ts"
import type { Handlers, Outcome, Turn } from "../ToolCall.ts"
import type { CallEdits } from "./callEdits.ts"
import { approvalOf, askedTool, decide, type Edited } from "./toolDecision.ts"
import { execute, inTime, toolOf } from "./toolWork.ts"

/** The turn of a call that nothing runs beside. */
export const alone: Turn = { asks: Effect.void, acts: Effect.void }

/** `arguments` are kept of a call that an approver has edited. */
const Stored = Schema.Struct({
  result: Schema.Json,
  isError: Schema.Boolean,
  denied: Schema.Boolean,
  arguments: Schema.optionalKey(Schema.Json)
})
const Denial = Schema.Struct({ denied: Schema.Literal(true), reason: Schema.optionalKey(Schema.String) })

export const decodeStored = Schema.decodeUnknownSync(Stored)

export interface Performed {
  readonly outcome: Outcome
  readonly durationMs: number | undefined
}

interface Attempt {
  readonly call: ToolCall
  readonly modified: boolean
  readonly edited: Edited | undefined
  /** The arguments that approvers of hooks have written, and whether one of them did so on the way to here. */
  readonly edits: CallEdits
  readonly isNew: boolean
  readonly messages: ReadonlyArray<Prompt.Message>
  readonly turn: Turn
  /** Whether the result is reported with the commit that stores it. */
  readonly tell: boolean
}

export type Through = (
  call: ToolCall,
  edited: Edited | undefined,
  edits: CallEdits
) => Effect.Effect<Performed, unknown, CurrentRun>

export const perform = Effect.fnUntraced(function*(
  handlers: Handlers,
  attempt: Attempt,
  through: Through
): Effect.fn.Return<Performed, unknown, CurrentRun> {
  const run = yield* CurrentRun
  if (run.isRecorded(stepOf(attempt.call))) return yield* recorded(attempt.call, attempt.modified)
  if (attempt.isNew) return yield* through(attempt.call, attempt.edited, attempt.edits)
  const decision = yield* decide(handlers, attempt)
  switch (decision._tag) {
    case "Denied":
      return yield* deny(attempt, decision.reason)
    case "Edited":
      return yield* through(decision.call, decision.edited, attempt.edits)
    case "Go": {
      const tool = toolOf(handlers, attempt.call.name)
      if (tool === undefined) return yield* act(handlers, attempt)
      const asked = askedTool(tool)
      const refusal = yield* run.tools.admit(asked)
      if (refusal !== undefined) return yield* deny(attempt, refusal)
      const { approved } = decision
      const audit = run.tools.audit(asked, approved === undefined ? undefined : `approved by ${approved}`)
      if (audit === undefined) return yield* act(handlers, attempt)
      // The entry goes with the event that the tool begins; where runs are not kept it is written while the tool works.
      const entry = yield* Effect.forkChild(audit, { startImmediately: true })
      return yield* Effect.onExit(act(handlers, attempt), () => Fiber.join(entry))
    }
  }
})

const stepOf = ({ toolCallId }: ToolCall) => `tool ${toolCallId}`

export const reportOf = ({ toolCallId }: ToolCall) => `told ${toolCallId}`

/** A call that is over, as its hooks left it. A hook may have answered it without the tool. */
export const recalled = Effect.fnUntraced(function*(call: ToolCall) {
  const run = yield* CurrentRun
  const args = run.isRecorded(stepOf(call)) ? (yield* recorded(call, false)).outcome.arguments : call.arguments
  const reported = decodeStored(yield* run.step(reportOf(call), Effect.succeed(null)))
  return { ...reported, arguments: args } satisfies Outcome
})

/** A call whose outcome is stored is not decided again: what permitted it was used up. */
const recorded = Effect.fnUntraced(function*(call: ToolCall, modified: boolean) {
  const run = yield* CurrentRun
  const edits = recallEdits(run, call)
  const { arguments: args = edits, ...stored } = decodeStored(yield* run.step(stepOf(call), Effect.succeed(null)))
  if (!stored.denied) {
    const changed = modified || canonical(args) !== canonical(call.arguments) ? { modified: true } : {}
    yield* run.emit({ type: "tool_start", data: { ...call, arguments: args, origin: "runtime", ...changed } })
  }
  return { outcome: { ...stored, arguments: args }, durationMs: undefined }
})

/** Uses the decisions about this call up, so that the next call of its id finds none of them. */
const recallEdits = (run: CurrentRun["Service"], call: ToolCall): Schema.Json => {
  let args = call.arguments
  for (let name = approvalOf(call, false);;) {
    const known = run.recall(name)
    if (known?.resolution === undefined) return args
    if (canonical(known.arguments ?? null) !== canonical(args)) continue
    if (known.resolution.decision !== "edit") return args
    args = known.resolution.value ?? {}
    name = approvalOf(call, true)
  }
}

const deny = Effect.fnUntraced(function*({ call, tell }: Attempt, reason: string | undefined) {
  const run = yield* CurrentRun
  const result = yield* Effect.orDie(
    Schema.encodeEffect(Denial)({ denied: true, ...(reason === undefined ? {} : { reason }) })
  )
  const { name, toolCallId } = call
  const stored: typeof Stored.Type = { result, isError: true, denied: true }
  yield* run.step(
    stepOf(call),
    Effect.succeed(stored),
    () => tell ? [{ type: "tool_result", data: { toolCallId, name, result, isError: true, denied: true } }] : []
  )
  return { outcome: { result, isError: true, denied: true, arguments: call.arguments }, durationMs: undefined }
})

const act = Effect.fnUntraced(function*(handlers: Handlers, { call, modified, tell, turn }: Attempt) {
  const run = yield* CurrentRun
  if (turn !== alone) yield* run.idle(turn.acts)
  yield* run.emit({
    type: "tool_start",
    data: { ...call, origin: "runtime", ...(modified ? { modified: true } : {}) }
  })
  const startedAt = yield* Present.millis
  let durationMs: number | undefined
  const executed = Effect.gen(function*() {
    const outcome = yield* inTime(toolOf(handlers, call.name), execute(handlers, call))
    durationMs = (yield* Present.millis) - startedAt
    return modified ? { ...outcome, arguments: call.arguments } : outcome
  })
  let decoded: typeof Stored.Type | undefined
  const stored = yield* run.step(stepOf(call), executed, (value) => {
    if (!tell) return []
    const { isError, result } = decoded = decodeStored(value)
    return [{
      type: "tool_result",
      data: { toolCallId: call.toolCallId, name: call.name, result, isError, durationMs: durationMs ?? 0 }
    }]
  })
  return { outcome: { ...(decoded ?? decodeStored(stored)), arguments: call.arguments }, durationMs }
})
