import { Effect, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"

export class OrderNotFound extends Schema.TaggedError<OrderNotFound>()(
  "OrderNotFound",
  { orderId: Schema.Int },
  { httpApiStatus: 404 }
) {
  override get message() {
    return `There is no order ${this.orderId}.`
  }
}

const FindOrder = Tool.make("find_order", {
  description: "Find one order by its id",
  parameters: Schema.Struct({ orderId: Schema.Int }),
  success: Schema.Struct({ id: Schema.Int, state: Schema.String }),
  failure: OrderNotFound
}).annotate(Tool.Readonly, true).annotate(Tool.Destructive, false)

const CancelOrder = Tool.make("cancel_order", {
  description: "Cancel an order that is not shipped",
  parameters: Schema.Struct({ orderId: Schema.Int }),
  success: Schema.Struct({ id: Schema.Int, state: Schema.String }),
  failure: OrderNotFound,
  needsApproval: true
}).annotate(Tool.Destructive, true)

export const Tools = Toolkit.make(FindOrder, CancelOrder)

export const ToolsLayer = Tools.toLayer(Effect.sync(() => {
  const orders = new Map([[1042, "shipped"], [1043, "packed"]])
  const find = (orderId: number) => {
    const state = orders.get(orderId)
    return state === undefined ? Effect.fail(new OrderNotFound({ orderId })) : Effect.succeed({ id: orderId, state })
  }
  return Tools.of({
    find_order: ({ orderId }) => find(orderId),
    cancel_order: ({ orderId }) =>
      Effect.map(find(orderId), (order) => {
        if (order.state === "shipped") return order
        orders.set(orderId, "cancelled")
        return { id: orderId, state: "cancelled" }
      })
  })
}))
