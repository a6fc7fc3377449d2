import { Agent, App } from "@fastagentic/core"
import type { Client } from "@fastagentic/protocols/http"
import { ReactClient } from "@fastagentic/protocols/react"
import { Schema } from "effect"
import { describe, expect, test } from "tstyche"

class OrderNotFound extends Schema.TaggedError<OrderNotFound>()("OrderNotFound", { orderId: Schema.Int }) {}

class Support extends Agent.make("support", {
  description: "Answers questions",
  payload: { question: Schema.String },
  success: Schema.Struct({ answer: Schema.String }),
  error: OrderNotFound
}) {}

class Clock extends Agent.make("clock", { description: "Says the time", payload: {} }) {}

const Shop = App.make("shop", { version: "1.0.0", agents: [Support, Clock] })
const { useRun } = ReactClient.make(Shop, { url: "/" })

describe("useRun", () => {
  test("has the payload, the answer and the errors of its agent", () => {
    const support = useRun("support")
    expect(support.start).type.toBeCallableWith({ question: "Where?" })
    expect(support.start).type.not.toBeCallableWith({ question: 1 })
    expect(support.start).type.not.toBeCallableWith()
    expect(support.output).type.toBe<{ readonly answer: string } | undefined>()
    expect(support.error).type.toBe<OrderNotFound | Client.ClientError | undefined>()
    expect(useRun("clock").start).type.toBeCallableWith()
  })

  test("takes the agents of the app alone", () => {
    expect(useRun).type.not.toBeCallableWith("desk")
  })
})
