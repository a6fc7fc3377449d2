import { Layer, Schema } from "effect"
import { App, PromptTemplate } from "fastagentic"
import { DefaultModel } from "fastagentic/effect-ai"
import { Echo, EchoLayer, Support, SupportLayer } from "./agents.ts"
import { Handbook, HandbookLayer } from "./handbook.ts"
import { Orders } from "./Orders.ts"
import { SupportTools, SupportToolsLayer } from "./tools.ts"

export class Triage extends PromptTemplate.make("triage", {
  description: "Sorts a complaint and drafts the first answer",
  params: { severity: Schema.Literals(["low", "high"]) }
}) {}

export class Acme extends App.make("acme", {
  version: "1.0.0",
  title: "Acme support",
  description: "The support desk of a shop for tea and coffee",
  agents: [Support, Echo],
  tools: SupportTools,
  resources: [Handbook],
  prompts: [Triage]
}) {}

const TriageLayer = Triage.toLayer(({ severity }) =>
  severity === "high"
    ? "A customer is upset. Find the order, say what happened in one sentence, and offer a refund or a replacement."
    : "A customer has a question. Find the order and answer in one sentence."
)

/** The whole app except the model. */
export const Handlers = Layer.mergeAll(SupportLayer, EchoLayer, HandbookLayer, TriageLayer).pipe(
  Layer.provideMerge(SupportToolsLayer),
  Layer.provide(Orders.layer)
)

export default Acme.provide(Layer.provide(Handlers, DefaultModel.layer))
