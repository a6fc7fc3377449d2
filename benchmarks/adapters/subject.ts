/** One agent of one framework: it runs alone, or as the handler of our agent. */
import { Schema } from "effect"
import type { Layer } from "effect"
import { Agent } from "fastagentic"

export class Desk extends Agent.make("desk", { description: "Answers", payload: { question: Schema.String } }) {}

export interface Subject {
  /** The tokens of a run of the framework itself. */
  readonly alone: () => AsyncIterable<string>
  /** Whether the framework works in a process of its own, which alone counts when it runs alone. */
  readonly isOutside?: boolean
  readonly hosted: Layer.Layer<Agent.Handler<"desk">, unknown>
}
