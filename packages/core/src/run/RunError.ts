/**
 * Every failure of the runtime that a caller can see, one class per condition.
 *
 * @since 0.1.0
 */
import { Effect, Schema } from "effect"
import { Failure } from "./Event.ts"
import { Resolution } from "./Interrupt.ts"
import { RunState } from "./RunRecord.ts"

const listed = 5

/** The first problems of an input, each with its path, in one line. */
const problemsOf = (issues: ReadonlyArray<{ readonly path: ReadonlyArray<string>; readonly message: string }>) => {
  const shown = issues.slice(0, listed).map(({ message, path }) =>
    path.length === 0 ? message : `${path.join(".")}: ${message}`
  )
  return [...shown, ...(issues.length > listed ? [`${issues.length - listed} more`] : [])].join("; ")
}

const seconds = (millis: number) => `${Math.ceil(millis / 1_000)} s`

/**
 * The only words that a caller gets about a defect: its cause is in the server's log.
 *
 * @category constants
 * @since 0.1.0
 */
export const internalMessage = "The server failed unexpectedly. Its log has the cause under the trace id."

/** @category errors @since 0.1.0 */
export class InvalidPayload extends Schema.TaggedError<InvalidPayload>()("InvalidPayload", {
  target: Schema.String,
  issues: Schema.Array(Schema.Struct({ path: Schema.Array(Schema.String), message: Schema.String }))
}, { httpApiStatus: 400 }) {
  override get message() {
    return `The input for "${this.target}" is invalid: ${problemsOf(this.issues)}. Correct it and send it again.`
  }
}

/** @category errors @since 0.1.0 */
export class InvalidCursor extends Schema.TaggedError<InvalidCursor>()("InvalidCursor", {
  cursor: Schema.String,
  reason: Schema.String
}, { httpApiStatus: 400 }) {
  override get message() {
    return `The cursor "${this.cursor}" is invalid: ${this.reason}.`
  }
}

/** @category errors @since 0.1.0 */
export class Unauthenticated extends Schema.TaggedError<Unauthenticated>()("Unauthenticated", {
  reason: Schema.String
}, { httpApiStatus: 401 }) {
  override get message() {
    return `Authentication failed: ${this.reason}. Send valid credentials.`
  }
}

/**
 * A refusal names the rule that refused, the scopes that the caller lacks, and, when it holds some of them, all that the
 * operation needs.
 *
 * @category errors
 * @since 0.1.0
 */
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", {
  rule: Schema.String,
  missing: Schema.Array(Schema.String),
  needed: Schema.optionalKey(Schema.Array(Schema.String))
}, { httpApiStatus: 403 }) {
  override get message() {
    return this.missing.length === 0
      ? `The rule "${this.rule}" does not allow this.`
      : `The rule "${this.rule}" does not allow this: the caller lacks the scopes ${this.missing.join(", ")}.`
  }
}

/** `kind` is the declaration's word. @category errors @since 0.1.0 */
export class NotDeclared extends Schema.TaggedError<NotDeclared>()("NotDeclared", {
  kind: Schema.Literals(["agent", "tool", "resource", "prompt", "schedule", "signal"]),
  identifier: Schema.String
}, { httpApiStatus: 404 }) {
  override get message() {
    return `There is no ${this.kind} "${this.identifier}" here. Check its name.`
  }
}

/** The run does not exist, or belongs to somebody else. @category errors @since 0.1.0 */
export class RunNotFound extends Schema.TaggedError<RunNotFound>()("RunNotFound", {
  runId: Schema.String
}, { httpApiStatus: 404 }) {
  override get message() {
    return `There is no run "${this.runId}", or it belongs to somebody else. Check its id.`
  }
}

/** @category errors @since 0.1.0 */
export class InterruptNotFound extends Schema.TaggedError<InterruptNotFound>()("InterruptNotFound", {
  runId: Schema.String,
  id: Schema.String
}, { httpApiStatus: 404 }) {
  override get message() {
    return `The run "${this.runId}" has no interrupt "${this.id}". Read the interrupts of the run.`
  }
}

/** The interrupt was decided before; `resolution` is that decision. @category errors @since 0.1.0 */
export class InterruptResolved extends Schema.TaggedError<InterruptResolved>()("InterruptResolved", {
  runId: Schema.String,
  id: Schema.String,
  resolution: Resolution
}, { httpApiStatus: 409 }) {
  override get message() {
    return `The interrupt "${this.id}" was resolved before (${this.resolution.decision}). That decision stands.`
  }
}

/** The run waits for these decisions. @category errors @since 0.1.0 */
export class DecisionPending extends Schema.TaggedError<DecisionPending>()("DecisionPending", {
  runId: Schema.String,
  interrupts: Schema.Array(Schema.String)
}, { httpApiStatus: 409 }) {
  override get message() {
    return `The run "${this.runId}" waits for a decision about ${this.interrupts.join(", ")}. Resolve it first.`
  }
}

/** @category errors @since 0.1.0 */
export class RunFinished extends Schema.TaggedError<RunFinished>()("RunFinished", {
  runId: Schema.String,
  state: RunState
}, { httpApiStatus: 409 }) {
  override get message() {
    return `The run "${this.runId}" is ${this.state}, so it cannot be changed any more.`
  }
}

/** The key was used before with another payload, by the run named here. @category errors @since 0.1.0 */
export class IdempotencyConflict extends Schema.TaggedError<IdempotencyConflict>()("IdempotencyConflict", {
  key: Schema.String,
  runId: Schema.String
}, { httpApiStatus: 409 }) {
  override get message() {
    return `The run "${this.runId}" has used this idempotency key with another input. Send a new key.`
  }
}

/** `rule` is the rule that refused: `limit` calls in `windowMillis`. @category errors @since 0.1.0 */
export class RateLimited extends Schema.TaggedError<RateLimited>()("RateLimited", {
  rule: Schema.String,
  limit: Schema.Int,
  windowMillis: Schema.Int,
  retryAfterMillis: Schema.Int
}, { httpApiStatus: 429 }) {
  override get message() {
    return `The limit "${this.rule}" allows ${this.limit} calls in ${seconds(this.windowMillis)}. Try again in ${
      seconds(this.retryAfterMillis)
    }.`
  }
}

/** The caller holds as much open as one principal may at a time. @category errors @since 0.1.0 */
export class TooManyOpen extends Schema.TaggedError<TooManyOpen>()("TooManyOpen", {
  rule: Schema.String,
  limit: Schema.Int
}, { httpApiStatus: 429 }) {
  override get message() {
    return `The rule "${this.rule}" allows one caller ${this.limit} at a time. Close one, or wait until one has ended.`
  }
}

/** @category errors @since 0.1.0 */
export class BudgetExceeded extends Schema.TaggedError<BudgetExceeded>()("BudgetExceeded", {
  budget: Schema.String
}, { httpApiStatus: 402 }) {
  override get message() {
    return `The budget "${this.budget}" is used up. Wait for its next period, or ask for a higher one.`
  }
}

/** A budget is in force, and the price of this model is unknown. @category errors @since 0.1.0 */
export class PriceUnknown extends Schema.TaggedError<PriceUnknown>()("PriceUnknown", {
  model: Schema.String
}, { httpApiStatus: 500 }) {
  override get message() {
    return `A budget is in force, and the price of the model "${this.model}" is unknown. Add the price, or use a model that has one.`
  }
}

/** A budget is in force, and the answer of this call has no limit. @category errors @since 0.1.0 */
export class OutputUnlimited extends Schema.TaggedError<OutputUnlimited>()("OutputUnlimited", {
  model: Schema.String
}, { httpApiStatus: 500 }) {
  override get message() {
    return `A budget is in force, and the model "${this.model}" has no limit on its output tokens. Set one.`
  }
}

/** A hook refused; `reason` is its message to the caller. @category errors @since 0.1.0 */
export class HookBlocked extends Schema.TaggedError<HookBlocked>()("HookBlocked", {
  hook: Schema.String,
  point: Schema.String,
  reason: Schema.String
}, { httpApiStatus: 403 }) {
  override get message() {
    return this.reason
  }
}

/** An approver denied a tool call. @category errors @since 0.1.0 */
export class ToolDenied extends Schema.TaggedError<ToolDenied>()("ToolDenied", {
  tool: Schema.String,
  reason: Schema.optionalKey(Schema.String)
}, { httpApiStatus: 403 }) {
  override get message() {
    return this.reason === undefined
      ? `The call of the tool "${this.tool}" was denied.`
      : `The call of the tool "${this.tool}" was denied: ${this.reason}`
  }
}

/** A tool did not answer in the time that its declaration allows. @category errors @since 0.1.0 */
export class ToolTimedOut extends Schema.TaggedError<ToolTimedOut>()("ToolTimedOut", {
  tool: Schema.String,
  millis: Schema.Finite
}, { httpApiStatus: 504 }) {
  override get message() {
    return `The tool "${this.tool}" did not answer within ${this.millis} ms. Its work may still have been done.`
  }
}

/** @category errors @since 0.1.0 */
export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>()("StoreUnavailable", {
  operation: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}, { httpApiStatus: 503 }) {
  override get message() {
    return "The store is not available. Try again in a moment."
  }
}

/** The stored data of a run is not the data that was written; `what` names the part. @category errors @since 0.1.0 */
export class JournalDamaged extends Schema.TaggedError<JournalDamaged>()("JournalDamaged", {
  runId: Schema.String,
  what: Schema.String
}, { httpApiStatus: 500 }) {
  override get message() {
    return `The stored data of the run "${this.runId}" is damaged (${this.what}). An operator has to look at it.`
  }
}

/**
 * Two fibers that run at the same time have used one name in one place of a run: which of them a resumed run would give
 * the stored result to would depend on scheduling. `place` is empty at the top of the handler.
 *
 * @category errors
 * @since 0.1.0
 */
export class AmbiguousName extends Schema.TaggedError<AmbiguousName>()("AmbiguousName", {
  name: Schema.String,
  place: Schema.String
}, { httpApiStatus: 500 }) {
  override get message() {
    const where = this.place === "" ? "" : ` in "${this.place}"`
    return `Two branches that run side by side use the name "${this.name}"${where}: give each branch a place of its ` +
      "own with Run.all or Run.scope, or use names that differ"
  }
}

/** A handler emitted content that is not valid, such as bytes that are not base64. @category errors @since 0.1.0 */
export class InvalidContent extends Schema.TaggedError<InvalidContent>()("InvalidContent", {
  issues: Schema.Array(Schema.Struct({ path: Schema.Array(Schema.String), message: Schema.String }))
}, { httpApiStatus: 500 }) {
  override get message() {
    return `A content event is not valid: ${problemsOf(this.issues)}. Make content with the functions of Content.`
  }
}

/** A step came to a value that JSON would change; `path` is where in it. @category errors @since 0.1.0 */
export class NotStorable extends Schema.TaggedError<NotStorable>()("NotStorable", {
  step: Schema.String,
  path: Schema.String,
  found: Schema.String
}, { httpApiStatus: 500 }) {
  override get message() {
    const where = this.path === "" ? "" : ` at ${this.path}`
    return `Step "${this.step}" came to ${this.found}${where}, which JSON cannot hold: use Run.stepWith with a schema`
  }
}

/**
 * A side effect took longer than its time limit and was rolled back. Every agent may fail with it without declaring it.
 *
 * @category errors
 * @since 0.1.0
 */
export class SideEffectTimeout extends Schema.TaggedError<SideEffectTimeout>()("SideEffectTimeout", {
  name: Schema.String,
  millis: Schema.Finite
}, { httpApiStatus: 504 }) {
  override get message() {
    return `The side effect "${this.name}" took longer than ${this.millis} ms and was rolled back`
  }
}

/** Another run of the thread has not ended, and its agent takes one at a time. @category errors @since 0.1.0 */
export class ThreadBusy extends Schema.TaggedError<ThreadBusy>()("ThreadBusy", {
  threadId: Schema.String,
  runId: Schema.String
}, { httpApiStatus: 409 }) {
  override get message() {
    return `The run "${this.runId}" of the thread "${this.threadId}" has not ended. Wait for its end, or cancel it.`
  }
}

/** There is no such thread, or it is not this caller's. @category errors @since 0.1.0 */
export class ThreadNotFound extends Schema.TaggedError<ThreadNotFound>()("ThreadNotFound", {
  threadId: Schema.String
}, { httpApiStatus: 404 }) {
  override get message() {
    return `There is no thread "${this.threadId}", or it belongs to somebody else. Check its id.`
  }
}

/**
 * An agent cannot use its thread as it is declared or used. Every agent may fail with it without declaring it.
 *
 * @category errors
 * @since 0.1.0
 */
export class ThreadUnusable extends Schema.TaggedError<ThreadUnusable>()("ThreadUnusable", {
  agent: Schema.String,
  why: Schema.Literals(["parallel", "not durable", "in a step"])
}, { httpApiStatus: 500 }) {
  override get message() {
    return `The agent "${this.agent}" cannot use its thread: ${unusable[this.why]}`
  }
}

const unusable = {
  parallel: "two turns at once would not see each other. Declare it with `threads: \"enqueue\"` or `\"reject\"`.",
  "not durable": "its runs are not kept. Declare it without `durable: false`.",
  "in a step": "a step does not run again after a restart, so its messages would be lost. Call it outside of steps."
}

/** There is a schedule of this id already: another one that a caller made, or one that the app declares. @category errors @since 0.1.0 */
export class ScheduleExists extends Schema.TaggedError<ScheduleExists>()("ScheduleExists", {
  id: Schema.String,
  declared: Schema.Boolean
}, { httpApiStatus: 409 }) {
  override get message() {
    return `There is a schedule "${this.id}" already${
      this.declared ? ", which the app declares" : ""
    }. Choose another id.`
  }
}

/** The run had not ended by its deadline, in Unix milliseconds. @category errors @since 0.1.0 */
export class DeadlineExceeded extends Schema.TaggedError<DeadlineExceeded>()("DeadlineExceeded", {
  deadline: Schema.Int
}, { httpApiStatus: 504 }) {
  override get message() {
    return `The run had not ended by its deadline, ${new Date(this.deadline).toISOString()}.`
  }
}

/** The file does not exist, or belongs to somebody else. @category errors @since 0.1.0 */
export class FileNotFound extends Schema.TaggedError<FileNotFound>()("FileNotFound", {
  fileId: Schema.String
}, { httpApiStatus: 404 }) {
  override get message() {
    return `There is no file "${this.fileId}", or it belongs to somebody else. Check its id.`
  }
}

/** The server has no place for files. @category errors @since 0.1.0 */
export class FilesUnavailable extends Schema.TaggedError<FilesUnavailable>()("FilesUnavailable", {}, {
  httpApiStatus: 501
}) {
  override get message() {
    return "This server keeps no files. Send the bytes in base64 with the call."
  }
}

/** The server is shutting down and admits nothing new. @category errors @since 0.1.0 */
export class ShuttingDown extends Schema.TaggedError<ShuttingDown>()("ShuttingDown", {}, { httpApiStatus: 503 }) {
  override get message() {
    return "The server is shutting down. Try again in a moment."
  }
}

/**
 * @category errors
 * @since 0.1.0
 */
export const Reason = Schema.Union([
  InvalidPayload,
  InvalidCursor,
  Unauthenticated,
  Forbidden,
  NotDeclared,
  RunNotFound,
  InterruptNotFound,
  InterruptResolved,
  DecisionPending,
  RunFinished,
  IdempotencyConflict,
  RateLimited,
  TooManyOpen,
  BudgetExceeded,
  HookBlocked,
  StoreUnavailable,
  JournalDamaged,
  ThreadBusy,
  ThreadNotFound,
  ScheduleExists,
  FileNotFound,
  FilesUnavailable,
  ShuttingDown
])

/**
 * @category errors
 * @since 0.1.0
 */
export type Reason = typeof Reason.Type

/**
 * The runtime's failure; recover with `Effect.catchReason("RunError", "RunNotFound", …)`.
 *
 * @category errors
 * @since 0.1.0
 */
export class RunError extends Schema.TaggedError<RunError>()("RunError", { reason: Reason }) {
  override get message() {
    return this.reason.message
  }
}

/**
 * Fails with a `RunError` of this reason.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fail = (reason: Reason): Effect.Effect<never, RunError> => Effect.fail(new RunError({ reason }))

/** A resource failed with its own declared error. @category errors @since 0.1.0 */
export class ReadFailed extends Schema.TaggedError<ReadFailed>()("ReadFailed", { failure: Failure }) {
  override get message() {
    return this.failure.message
  }
}

/**
 * The rule that a refusal goes by, in the same words on every protocol; nothing for what is no refusal.
 *
 * @category accessors
 * @since 0.1.0
 */
export const ruleOf = (error: { readonly _tag: string }): string | undefined => {
  if (error instanceof Forbidden || error instanceof RateLimited || error instanceof TooManyOpen) return error.rule
  if (error instanceof BudgetExceeded) return `budget: ${error.budget}`
  if (error instanceof HookBlocked) return `hook: ${error.hook}`
  if (error instanceof ToolDenied) return `approval: ${error.tool}`
  return undefined
}

/** The rule as a field beside an error's own, see `ruleOf`. @category accessors @since 0.1.0 */
export const asRule = (error: { readonly _tag: string }): { readonly rule?: string } => {
  const rule = ruleOf(error)
  return rule === undefined ? {} : { rule }
}

const Ending = Schema.Union([
  RunError,
  AmbiguousName,
  NotStorable,
  DeadlineExceeded,
  PriceUnknown,
  OutputUnlimited,
  ...Reason.members
])

/** Whether an error is the runtime's own: it ends the run also where a handler's defects do not. @category guards @since 0.1.0 */
export const endsRun: (error: unknown) => boolean = Schema.is(Ending)
