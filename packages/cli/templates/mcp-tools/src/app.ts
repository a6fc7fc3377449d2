import { Effect, Layer, Schema } from "effect"
import { Agent, App, PromptTemplate, Resource } from "fastagentic"
import { DefaultModel, ModelLoop } from "fastagentic/effect-ai"
import { OrderNotFound, Tools, ToolsLayer } from "./tools.ts"

class Guide extends Resource.make("guide", "guide://{topic}", {
  description: "A page of the guide: returns or shipping",
  params: { topic: Schema.Literals(["returns", "shipping"]) },
  mimeType: "text/markdown"
}) {}
const GuideLayer = Guide.toLayer(({ topic }) =>
  Effect.succeed(
    topic === "returns" ? "# Returns\n\nWithin 30 days." : "# Shipping\n\nWithin two days."
  )
)

class Apology extends PromptTemplate.make("apology", {
  description: "Drafts an apology for a late order",
  params: { customer: Schema.NonEmptyString }
}) {}
const ApologyLayer = Apology.toLayer(({ customer }) => `Apologize to ${customer} for a late order in two sentences.`)

class Desk extends Agent.make("desk", {
  description: "Answers questions about orders with the tools",
  payload: { question: Schema.NonEmptyString },
  error: OrderNotFound,
  examples: ["Find order 1042"]
}) {}
const DeskLayer = Desk.toLayer(({ question }) =>
  ModelLoop.run({ prompt: question, toolkit: Tools }).pipe(Effect.map(({ text }) => text))
)

class Main extends App.make("__name__", {
  version: "0.1.0",
  agents: [Desk],
  tools: Tools,
  resources: [Guide],
  prompts: [Apology]
}) {}

export default Main.provide(
  Layer.mergeAll(DeskLayer, GuideLayer, ApologyLayer).pipe(
    Layer.provideMerge(ToolsLayer),
    Layer.provide(DefaultModel.layer)
  )
)
