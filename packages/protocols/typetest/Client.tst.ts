import type { Event } from "@fastagentic/core"
import { Agent, App, PromptTemplate, Resource } from "@fastagentic/core"
import { AppTest, Client } from "@fastagentic/protocols/http"
import { Effect, type Layer, Schema, type Stream } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import type { Scope } from "effect/Scope"
import { describe, expect, test } from "tstyche"

class OrderNotFound extends Schema.TaggedError<OrderNotFound>()("OrderNotFound", { orderId: Schema.Int }) {}
class PageNotFound extends Schema.TaggedError<PageNotFound>()("PageNotFound", { topic: Schema.String }) {}

class Support extends Agent.make("support", {
  description: "Answers questions",
  payload: { question: Schema.NonEmptyString, order: Schema.optionalKey(Schema.Int) },
  success: Schema.Struct({ answer: Schema.String }),
  error: OrderNotFound
}) {}

class Clock extends Agent.make("clock", { description: "Says the time", payload: {} }) {}

const FindOrder = Tool.make("find_order", {
  description: "Finds an order",
  parameters: Schema.Struct({ orderId: Schema.Int }),
  success: Schema.Struct({ state: Schema.String }),
  failure: OrderNotFound
})

const Handbook = Resource.make("handbook", "handbook://{topic}", {
  description: "A page",
  params: { topic: Schema.String },
  error: PageNotFound
})

const Triage = PromptTemplate.make("triage", {
  description: "Sorts",
  params: { severity: Schema.Literals(["low", "high"]) }
})

class Acme extends App.make("acme", {
  version: "1.0.0",
  agents: [Support, Clock],
  tools: Toolkit.make(FindOrder),
  resources: [Handbook],
  prompts: [Triage]
}) {}

declare const client: Client.Client<typeof Acme>
declare const handlers: Layer.Layer<App.Handlers<typeof Acme>, "boom">

describe("agents", () => {
  test("answer with what they declare, and fail with it", () => {
    expect(client.agents.support({ question: "Where is it?" })).type.toBe<
      Effect.Effect<{ readonly answer: string }, OrderNotFound | Client.RunSuspended | Client.ClientError>
    >()
    expect(client.agents.support({ question: "?", order: 1 }, { idempotencyKey: "k" })).type.not.toRaiseError()
    expect(client.agents.support.stream({ question: "?" })).type.toBe<
      Stream.Stream<Event.RunEvent, OrderNotFound | Client.ClientError>
    >()
  })

  test("take a payload only where it has a field that is required", () => {
    expect(client.agents.clock()).type.toBe<Effect.Effect<string, Client.RunSuspended | Client.ClientError>>()
    expect(client.agents.support).type.not.toBeCallableWith()
  })

  test("refuse another payload", () => {
    expect(client.agents.support).type.not.toBeCallableWith({ question: 1 })
    expect(client.agents.support).type.not.toBeCallableWith({ text: "?" })
    expect(client.agents.support.stream).type.not.toBeCallableWith({ question: 1 })
    expect(client.agents.support.start).type.not.toBeCallableWith({})
    expect(client.agents.support).type.not.toBeCallableWith({ question: "?" }, { key: "k" })
  })

  test("are those of the app", () => {
    expect<keyof typeof client.agents>().type.toBe<"support" | "clock">()
    expect(client.agents).type.not.toHaveProperty("sales")
  })

  test("have errors that must be handled", () => {
    const answer = client.agents.support({ question: "?" })
    const runPromise = <A>(effect: Effect.Effect<A, Client.RunSuspended | Client.ClientError>) => effect
    expect(runPromise).type.not.toBeCallableWith(answer)
    expect(runPromise).type.toBeCallableWith(
      Effect.catchTag(answer, "OrderNotFound", ({ orderId }) => Effect.succeed({ answer: String(orderId) }))
    )
    const limited = Effect.catchReason(
      answer,
      "ClientError",
      "RateLimited",
      ({ retryAfterMillis }) => Effect.succeed(retryAfterMillis)
    )
    expect(limited).type.toBeAssignableTo<Effect.Effect<number | { readonly answer: string }, unknown>>()
  })
})

test("tools, resources and prompts", () => {
  expect(client.tools.find_order({ orderId: 1 })).type.toBe<
    Effect.Effect<{ readonly state: string }, OrderNotFound | Client.RunSuspended | Client.ClientError>
  >()
  expect(client.tools.find_order).type.not.toBeCallableWith({ id: 1 })
  expect(client.tools).type.not.toHaveProperty("refund_order")
  expect(client.resources.handbook({ topic: "returns" })).type.toBe<
    Effect.Effect<string, PageNotFound | Client.ClientError>
  >()
  expect(client.resources.handbook).type.not.toBeCallableWith()
  expect(client.prompts.triage).type.toBeCallableWith({ severity: "low" })
  expect(client.prompts.triage).type.not.toBeCallableWith({ severity: "none" })
})

test("an app without handlers asks for them, one with handlers does not", () => {
  expect(AppTest.client(Acme)).type.toBeAssignableTo<
    Effect.Effect<Client.Client<typeof Acme>, unknown, App.Handlers<typeof Acme> | Scope>
  >()
  expect(AppTest.client(Acme)).type.not.toBeAssignableTo<Effect.Effect<unknown, unknown, Scope>>()
  expect(AppTest.client(Acme.provide(handlers))).type.toBeAssignableTo<
    Effect.Effect<Client.Client<typeof Acme>, unknown, Scope>
  >()
  expect(AppTest.layer(Acme.provide(handlers))).type.toBeAssignableTo<Layer.Layer<AppTest.Services, unknown>>()
})
