import { Effect, Schema, Stream } from "effect"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"

export const State = Schema.Literals(["placed", "paid", "shipped", "delivered", "refunded", "cancelled"])

export const Order = Schema.Struct({
  id: Schema.Int,
  customer: Schema.Struct({ name: Schema.String, email: Schema.String }),
  lines: Schema.Array(Schema.Struct({
    sku: Schema.String,
    name: Schema.String,
    quantity: Schema.Int,
    unitPrice: Schema.Finite
  })),
  amount: Schema.Finite,
  currency: Schema.String,
  state: State,
  placedAt: Schema.DateTimeUtcFromString
})

export class OrderNotFound extends Schema.TaggedError<OrderNotFound>()("OrderNotFound", { orderId: Schema.Int }) {}

export class RefundRefused
  extends Schema.TaggedError<RefundRefused>()("RefundRefused", { orderId: Schema.Int, left: Schema.Finite })
{}

const FindOrder = Tool.make("find_order", {
  description: "Find one order by its number",
  parameters: Schema.Struct({ orderId: Schema.Int }),
  success: Order,
  failure: OrderNotFound,
  failureMode: "return"
})

const SearchOrders = Tool.make("search_orders", {
  description: "Search orders by customer and state",
  parameters: Schema.Struct({
    customer: Schema.optionalKey(Schema.String),
    state: Schema.optionalKey(State),
    limit: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 50 }))
  }),
  success: Schema.Struct({ orders: Schema.Array(Order) })
})

const RefundOrder = Tool.make("refund_order", {
  description: "Refund an amount of an order",
  parameters: Schema.Struct({ orderId: Schema.Int, amount: Schema.Finite.check(Schema.isGreaterThan(0)) }),
  success: Schema.Struct({ orderId: Schema.Int, refunded: Schema.Finite, state: State }),
  failure: Schema.Union([OrderNotFound, RefundRefused]),
  failureMode: "return"
})

export const SupportTools = Toolkit.make(FindOrder, SearchOrders, RefundOrder)

const order = (id: number, name: string, state: typeof State.Type, amount: number) => ({
  id,
  customer: { name, email: `${name.split(" ")[0]?.toLowerCase()}@example.com` },
  lines: [
    { sku: "MUG-1", name: "Blue Mug", quantity: 2, unitPrice: 12.25 },
    { sku: "TEA-4", name: "Teapot", quantity: 1, unitPrice: 60 }
  ],
  amount,
  currency: "EUR",
  state,
  placedAt: "2026-08-01T09:30:00.000Z"
})

const decodeOrder = Schema.decodeSync(Order)

const seed = [
  order(1042, "Ada Lovelace", "shipped", 84.5),
  order(1043, "Ada Lovelace", "delivered", 20),
  order(1044, "Grace Hopper", "shipped", 12),
  order(1045, "Grace Hopper", "delivered", 30),
  order(1046, "Alan Turing", "delivered", 45),
  order(1047, "Alan Turing", "delivered", 50)
].map((value) => decodeOrder(value))

export const SupportToolsLayer = SupportTools.toLayer(Effect.sync(() => {
  const orders = new Map(seed.map((order) => [order.id, order]))
  const find = (orderId: number) => {
    const found = orders.get(orderId)
    return found === undefined ? Effect.fail(new OrderNotFound({ orderId })) : Effect.succeed(found)
  }
  return SupportTools.of({
    find_order: ({ orderId }) => find(orderId),
    search_orders: ({ customer, limit, state }) =>
      Effect.sync(() => ({
        orders: [...orders.values()].filter((order) =>
          (state === undefined || order.state === state) && (customer === undefined || order.customer.name === customer)
        ).slice(0, limit)
      })),
    refund_order: Effect.fnUntraced(function*({ amount, orderId }) {
      const found = yield* find(orderId)
      if (amount > found.amount) return yield* new RefundRefused({ orderId, left: found.amount })
      const state = amount === found.amount ? "refunded" : found.state
      orders.set(orderId, { ...found, amount: found.amount - amount, state })
      return { orderId, refunded: amount, state } as const
    })
  })
}))

export interface Loop {
  readonly calls: ReadonlyArray<{ readonly name: string; readonly params: unknown }>
  readonly text: string
  readonly deltas: ReadonlyArray<string>
  readonly finishes: ReadonlyArray<Response.FinishPart>
  readonly prompt: Prompt.Prompt
}

/** Calls the model until it stops calling tools, with the tools resolved by effect/ai. */
export const converse = Effect.fnUntraced(function*(question: string, earlier: Prompt.Prompt = Prompt.empty) {
  const toolkit = yield* SupportTools
  let prompt = Prompt.concat(earlier, Prompt.make(question))
  const calls: Array<Loop["calls"][number]> = []
  const finishes: Array<Response.FinishPart> = []
  const deltas: Array<string> = []
  for (let turn = 0; turn < 10; turn++) {
    const parts = yield* LanguageModel.streamText({ prompt, toolkit }).pipe(Stream.runCollect)
    for (const part of parts) {
      if (part.type === "text-delta") deltas.push(part.delta)
      if (part.type === "tool-call") calls.push({ name: part.name, params: part.params })
      if (part.type === "finish") finishes.push(part)
    }
    prompt = Prompt.concat(prompt, Prompt.fromResponseParts(parts))
    if (finishes.at(-1)?.reason !== "tool-calls") break
  }
  return { calls, text: deltas.join(""), deltas, finishes, prompt } satisfies Loop
})
