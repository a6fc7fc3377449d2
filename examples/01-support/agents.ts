import { Effect, Option, Schema, Stream } from "effect"
import { Agent, Event } from "fastagentic"
import { ModelLoop } from "fastagentic/effect-ai"
import { Order, OrderId, OrderNotFound } from "./domain.ts"
import { Orders } from "./Orders.ts"
import { SupportTools } from "./tools.ts"

export class Support extends Agent.make("support", {
  description: "Answers questions about orders, and refunds them after an approval",
  payload: { question: Schema.NonEmptyString },
  success: Schema.Struct({ answer: Schema.String, orders: Schema.Array(Order) }),
  error: OrderNotFound,
  examples: ["Where is order 1042?", "Refund order 1042 in full"]
}) {}

export class Echo extends Agent.make("echo", {
  description: "Says what you say, word by word",
  payload: { text: Schema.String },
  durable: false,
  examples: ["Hello there"]
}) {}

const system = `You work at the support desk of a shop for tea and coffee.
Look orders up before you speak about them. Refund only what the customer asks for.
Answer in one or two sentences.`

export const SupportLayer = Support.toLayer(Effect.fn(function*({ question }) {
  const orders = yield* Orders
  const { text, toolResults } = yield* ModelLoop.run({ system, prompt: question, toolkit: SupportTools })
  return { answer: text, orders: yield* Effect.forEach(orderIds(toolResults), (orderId) => orders.find(orderId)) }
}))

export const EchoLayer = Echo.toLayer(({ text }) =>
  Stream.fromIterable(text.match(/\s*\S+\s*/gu) ?? []).pipe(Stream.map((word) => Event.token(word)))
)

const One = Schema.Union([Schema.Struct({ id: OrderId }), Schema.Struct({ orderId: OrderId })])
const Found = Schema.decodeUnknownOption(Schema.Union([One, Schema.Struct({ items: Schema.Array(One) })]))

/** The orders in the tools' results. */
const orderIds = (results: ReadonlyArray<ModelLoop.ToolResult>): ReadonlyArray<number> => {
  const ids = results.flatMap(({ isError, result }) => {
    const found = isError ? undefined : Option.getOrUndefined(Found(result))
    if (found === undefined) return []
    return ("items" in found ? found.items : [found]).map((one) => "id" in one ? one.id : one.orderId)
  })
  return [...new Set(ids)]
}
