// Turns a defect of a tool's handler into a failure that the loop reports to the model; toolAnswer.ts calls it. Errors of
// the runtime itself, such as an exceeded budget or a denied question, still end the run.
import { Run, RunError, ToolCall } from "@fastagentic/core"
import { Cause, Effect, Schema, Stream } from "effect"
import * as AiError from "effect/ai/AiError"
import type { AnyTools } from "./answer.ts"

/** A tool threw, or gave a result that its schema does not allow. The cause is in the log: it is for no caller to read. */
export class ToolFailed extends Schema.TaggedError<ToolFailed>()("ToolFailed", { tool: Schema.String }) {
  override get message() {
    return `The tool "${this.tool}" failed unexpectedly.`
  }
}

/** The handlers of a toolkit, whose defects are failures. */
export const sturdy = (toolkit: AnyTools, runId: string): ToolCall.Handlers =>
  ToolCall.handlersOf(toolkit, (name, results) => {
    const failed = (cause: Cause.Cause<unknown>) =>
      isDefect(cause) ? reported({ runId, tool: name }, cause) : Effect.failCause(cause)
    return results.pipe(
      Effect.catchCause(failed),
      Effect.map(Stream.catchCause((cause) => Stream.fromEffect(failed(cause))))
    )
  })

const reported = (about: { readonly runId: string; readonly tool: string }, cause: Cause.Cause<unknown>) =>
  Effect.annotateLogs(Effect.logError("A tool failed unexpectedly", cause), about).pipe(
    Effect.andThen(Effect.fail(new ToolFailed({ tool: about.tool })))
  )

const isDefect = (cause: Cause.Cause<unknown>) =>
  !Cause.hasInterrupts(cause) && cause.reasons.every((reason) =>
    Cause.isDieReason(reason)
      ? !(RunError.endsRun(reason.defect) || reason.defect instanceof Run.InterruptDenied)
      : Cause.isFailReason(reason) && isInvalidResult(reason.error)
  )

const isInvalidResult = (error: unknown) =>
  AiError.isAiError(error) &&
  (error.reason._tag === "InvalidToolResultError" || error.reason._tag === "ToolResultEncodingError")
