import { Schema } from "effect"

/** How a span learns that its run has failed: by the kind of failure, never by its words. */
export class RunEndedWith extends Schema.TaggedError<RunEndedWith>()("RunEndedWith", { tag: Schema.String }) {
  override get message() {
    return this.tag
  }
}
