/** The measured app, served by `fastagentic run` with its defaults. */
import { Effect, Layer, Schema, Stream } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { Agent, App, Event } from "fastagentic"

class Echo extends Agent.make("echo", {
  description: "Streams one token per word",
  payload: { text: Schema.String },
  durable: false
}) {}

const tokens = (text: string) => Stream.fromIterable(text.split(" ")).pipe(Stream.map((word) => Event.token(word)))

const EchoLayer = Echo.toLayer(({ text }) => tokens(text))

class Kept extends Agent.make("kept", {
  description: "The same, durable",
  payload: { text: Schema.String }
}) {}

const KeptLayer = Kept.toLayer(({ text }) => tokens(text))

class Paced extends Agent.make("paced", {
  description: "The same, each token in a task of its own, as a model would send it",
  payload: { text: Schema.String },
  durable: false
}) {}

const PacedLayer = Paced.toLayer(({ text }) =>
  Stream.fromIterable(text.split(" ")).pipe(
    Stream.mapEffect((word) => Effect.as(nextTask, Event.token(word)))
  )
)

const nextTask = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

const Order = Schema.Struct({ id: Schema.Int, state: Schema.String, amount: Schema.Finite })

const FindOrder = Tool.make("find_order", {
  description: "Find an order",
  parameters: Schema.Struct({ orderId: Schema.Int }),
  success: Order
})
const Tools = Toolkit.make(FindOrder)
const ToolsLayer = Tools.toLayer({
  find_order: ({ orderId }) => Effect.succeed({ id: orderId, state: "shipped", amount: 42 })
})

class Bench extends App.make("bench", { version: "1.0.0", agents: [Echo, Kept, Paced], tools: Tools }) {}

export default Bench.provide(Layer.mergeAll(EchoLayer, KeptLayer, PacedLayer, ToolsLayer))
