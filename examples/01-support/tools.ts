import { Effect, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { Order, OrderId, OrderNotFound, OrderPage, OrderState, Refund, RefundTooHigh } from "./domain.ts"
import { Orders } from "./Orders.ts"

const FindOrder = Tool.make("find_order", {
  description: "Find one order by its id",
  parameters: Schema.Struct({ orderId: OrderId }),
  success: Order,
  failure: OrderNotFound
}).annotate(Tool.Readonly, true).annotate(Tool.Destructive, false).annotate(Tool.OpenWorld, false)

const SearchOrders = Tool.make("search_orders", {
  description: "Search orders by customer and state",
  parameters: Schema.Struct({
    customer: Schema.optionalKey(Schema.String),
    state: Schema.optionalKey(OrderState),
    after: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^\d+$/u))),
    limit: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 50 }))
  }),
  success: OrderPage
}).annotate(Tool.Readonly, true).annotate(Tool.Destructive, false).annotate(Tool.OpenWorld, false)

const RefundOrder = Tool.make("refund_order", {
  description: "Refund an amount of an order",
  parameters: Schema.Struct({ orderId: OrderId, amount: Schema.Finite.check(Schema.isGreaterThan(0)) }),
  success: Refund,
  failure: Schema.Union([OrderNotFound, RefundTooHigh]),
  // The model receives the reason and can explain it.
  failureMode: "return",
  needsApproval: true
}).annotate(Tool.Destructive, true).annotate(Tool.Idempotent, false).annotate(Tool.OpenWorld, false)

export const SupportTools = Toolkit.make(FindOrder, SearchOrders, RefundOrder)

export const SupportToolsLayer = SupportTools.toLayer(Effect.gen(function*() {
  const orders = yield* Orders
  return SupportTools.of({
    find_order: ({ orderId }) => orders.find(orderId),
    search_orders: (search) => orders.search(search),
    refund_order: (refund, { toolCallId }) => orders.refund({ ...refund, key: toolCallId ?? crypto.randomUUID() })
  })
}))
