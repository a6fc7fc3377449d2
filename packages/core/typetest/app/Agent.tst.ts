import { Agent } from "@fastagentic/core"
import { Schema } from "effect"
import { describe, expect, test } from "tstyche"

const Order = Agent.make("order", { description: "Takes an order", payload: { sku: Schema.String }, version: "2" })

describe("A migration", () => {
  test("of a payload gets what its schema reads, and gives what the agent takes", () => {
    Order.migrate({
      from: { item: Schema.String, count: Schema.FiniteFromString },
      payload: (old) => {
        expect(old).type.toBe<{ readonly item: string; readonly count: number }>()
        return { sku: old.item }
      }
    })
    expect(Order.migrate).type.toBeCallableWith({
      from: Schema.Struct({ item: Schema.String }),
      payload: (old: { readonly item: string }) => ({ sku: old.item }),
      steps: { price: (value: Schema.Json) => [value] }
    })
  })

  test("of a version gets JSON", () => {
    Order.migrate({
      from: "1",
      payload: (old) => {
        expect(old).type.toBe<Schema.Json>()
        return { sku: "" }
      }
    })
  })

  test("has to give a payload of the agent", () => {
    expect(Order.migrate).type.not.toBeCallableWith({ from: "1", payload: () => ({ item: "" }) })
    expect(Order.migrate).type.not.toBeCallableWith({
      from: { item: Schema.String },
      payload: (old: { readonly item: string }) => old
    })
  })

  test("leaves the agent what it was", () => {
    const Migrated = Order.migrate({ from: "1", payload: () => ({ sku: "" }) })
    expect(Migrated).type.toBe<typeof Order>()
    expect<Agent.Handlers<typeof Migrated>>().type.toBe<Agent.Handler<"order">>()
  })
})
