// The error that marks a span as failed; the supervisor and segments use it. It never reaches a caller.
import { Schema } from "effect"

/** Marks a span as failed, with the tag of the failure and never its message. */
export class RunEndedWith extends Schema.TaggedError<RunEndedWith>()("RunEndedWith", { tag: Schema.String }) {
  override get message() {
    return this.tag
  }
}
