import { Schema } from "effect"

export const OrderId = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1001))

export const OrderState = Schema.Literals(["placed", "paid", "shipped", "delivered", "refunded", "cancelled"])

export const Order = Schema.Struct({
  id: OrderId,
  customer: Schema.Struct({ name: Schema.String, email: Schema.String }),
  lines: Schema.NonEmptyArray(Schema.Struct({
    sku: Schema.String,
    name: Schema.String,
    quantity: Schema.Int,
    unitPrice: Schema.Finite
  })),
  amount: Schema.Finite,
  currency: Schema.Literal("EUR"),
  state: OrderState,
  placedAt: Schema.DateTimeUtcFromString,
  trackingCode: Schema.optionalKey(Schema.String),
  refunded: Schema.optionalKey(Schema.Finite)
})

export type Order = typeof Order.Type

/** `next` is the cursor of the following page. */
export const OrderPage = Schema.Struct({ items: Schema.Array(Order), next: Schema.NullOr(Schema.String) })

export const Refund = Schema.Struct({
  orderId: OrderId,
  refunded: Schema.Finite,
  left: Schema.Finite,
  currency: Schema.Literal("EUR"),
  state: OrderState
})

export class OrderNotFound
  extends Schema.TaggedError<OrderNotFound>()("OrderNotFound", { orderId: Schema.Int }, { httpApiStatus: 404 })
{}

export class RefundTooHigh extends Schema.TaggedError<RefundTooHigh>()("RefundTooHigh", {
  orderId: Schema.Int,
  left: Schema.Finite
}, { httpApiStatus: 409 }) {}

export class PageNotFound
  extends Schema.TaggedError<PageNotFound>()("PageNotFound", { topic: Schema.String }, { httpApiStatus: 404 })
{}

/** The amount that can still be refunded, to the cent. */
export const left = (order: Order): number =>
  order.state === "paid" || order.state === "shipped" || order.state === "delivered"
    ? cents(order.amount - (order.refunded ?? 0))
    : 0

export const cents = (amount: number): number => Math.round(amount * 100) / 100
