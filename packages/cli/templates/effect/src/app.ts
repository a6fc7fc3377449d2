import { Effect, Layer, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"
import { Agent, App } from "fastagentic"
import { DefaultModel, ModelLoop } from "fastagentic/effect-ai"

const Tools = Toolkit.make(Tool.make("find_order", {
  description: "Find one order by its id",
  parameters: Schema.Struct({ orderId: Schema.Int }),
  success: Schema.Struct({ id: Schema.Int, state: Schema.String, trackingCode: Schema.String })
}))
const ToolsLayer = Tools.toLayer({
  find_order: ({ orderId }) => Effect.succeed({ id: orderId, state: "shipped", trackingCode: "AC-2210" })
})

class Support extends Agent.make("support", {
  description: "Answers questions about orders",
  payload: { question: Schema.NonEmptyString },
  examples: ["Where is order 1042?"]
}) {}
const SupportLayer = Support.toLayer(({ question }) =>
  ModelLoop.run({ prompt: question, toolkit: Tools }).pipe(Effect.map(({ text }) => text))
)

class Main extends App.make("__name__", { version: "0.1.0", agents: [Support], tools: Tools }) {}

export default Main.provide(SupportLayer.pipe(Layer.provideMerge(ToolsLayer), Layer.provide(DefaultModel.layer)))
