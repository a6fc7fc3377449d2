// The app of the pages: declarations alone, so that the page loads what the server serves.
import { Agent, App } from "@fastagentic/core"
import { Schema } from "effect"

export class OutOfPaper extends Schema.TaggedError<OutOfPaper>()("OutOfPaper", { tray: Schema.Int }) {}

/** Says `words` numbers, one at a time. */
export class Count extends Agent.make("count", {
  description: "Counts",
  payload: { words: Schema.Int },
  success: Schema.String,
  error: OutOfPaper,
  threads: "enqueue"
}) {}

/** Asks before it refunds. */
export class Refund extends Agent.make("refund", {
  description: "Refunds",
  payload: { amount: Schema.Int },
  success: Schema.Struct({ refunded: Schema.Int })
}) {}

export class Desk extends App.make("desk", { version: "1.0.0", agents: [Count, Refund] }) {}
