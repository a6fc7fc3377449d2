import { Context, Effect, Layer, Schema } from "effect"
import data from "./data/orders.json" with { type: "json" }
import {
  cents,
  left,
  Order,
  OrderNotFound,
  type OrderPage,
  type OrderState,
  type Refund,
  RefundTooHigh
} from "./domain.ts"

interface Search {
  readonly customer?: string
  readonly state?: typeof OrderState.Type
  readonly after?: string
  readonly limit: number
}

/**
 * The shop's orders and their refunds.
 *
 * Orders come from a file, refunds are kept in memory: a restart forgets them, while the runs that made them keep their
 * results. A real shop has a database here.
 */
export class Orders extends Context.Service<Orders, {
  readonly find: (orderId: number) => Effect.Effect<Order, OrderNotFound>
  readonly search: (search: Search) => Effect.Effect<typeof OrderPage.Type>
  /** Refunds once for each key, however often it is called. */
  readonly refund: (request: {
    readonly key: string
    readonly orderId: number
    readonly amount: number
  }) => Effect.Effect<typeof Refund.Type, OrderNotFound | RefundTooHigh>
}>()("@examples/01-support/Orders") {
  static readonly layer = Layer.effect(
    Orders,
    Effect.gen(function*() {
      const read = yield* Effect.orDie(Schema.decodeUnknownEffect(Schema.Array(Order))(data))
      const orders = new Map(read.map((order) => [order.id, order]))
      const refunds = new Map<string, typeof Refund.Type>()

      const find = Effect.fn("Orders.find")(function*(orderId: number) {
        const order = orders.get(orderId)
        if (order === undefined) return yield* new OrderNotFound({ orderId })
        return order
      })

      const search = (asked: Search) =>
        Effect.sync(() => {
          const found = Array.from(orders.values()).filter((order) => matches(order, asked))
          const items = found.slice(0, asked.limit)
          return { items, next: found.length > items.length ? String(items.at(-1)?.id) : null }
        })

      const refund = Effect.fn("Orders.refund")(function*({ amount, key, orderId }: {
        readonly key: string
        readonly orderId: number
        readonly amount: number
      }) {
        const known = refunds.get(key)
        if (known !== undefined) return known
        const order = yield* find(orderId)
        if (amount > left(order)) return yield* new RefundTooHigh({ orderId, left: left(order) })
        const refunded = cents((order.refunded ?? 0) + amount)
        const state = refunded === order.amount ? "refunded" : order.state
        const changed: Order = { ...order, refunded, state }
        orders.set(orderId, changed)
        const done = { orderId, refunded: amount, left: left(changed), currency: order.currency, state }
        refunds.set(key, done)
        return done
      })

      return { find, search, refund }
    })
  )
}

const matches = (order: Order, { after, customer, state }: Search) =>
  (state === undefined || order.state === state) &&
  (after === undefined || order.id > Number(after)) &&
  (customer === undefined ||
    [order.customer.name, order.customer.email].some((text) => text.toLowerCase().includes(customer.toLowerCase())))
