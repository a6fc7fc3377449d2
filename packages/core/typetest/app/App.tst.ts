import { Agent, App, Event, Hook, PromptTemplate, Resource, Run } from "@fastagentic/core"
import { Effect, Layer, Schema, Stream } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { describe, expect, test } from "tstyche"

class OrderNotFound extends Schema.TaggedError<OrderNotFound>()("OrderNotFound", { orderId: Schema.Int }) {}
class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}

class Echo extends Agent.make("echo", { description: "Says what you say", payload: { text: Schema.String } }) {}

class Support extends Agent.make("support", {
  description: "Answers questions",
  payload: { question: Schema.String },
  success: Schema.Struct({ answer: Schema.String }),
  error: OrderNotFound
}) {}

const FindOrder = Tool.make("find_order", {
  description: "Finds an order",
  parameters: Schema.Struct({ orderId: Schema.Int }),
  success: Schema.String
})
const Tools = Toolkit.make(FindOrder)
const Handbook = Resource.make("handbook", "handbook://{topic}", {
  description: "A page",
  params: { topic: Schema.String }
})
const Triage = PromptTemplate.make("triage", { description: "Sorts", params: { severity: Schema.String } })
const Guard = Hook.make("guard")
const Seen = Hook.observer("seen")

class Acme extends App.make("acme", {
  version: "1.0.0",
  agents: [Echo, Support],
  tools: Tools,
  resources: [Handbook],
  prompts: [Triage]
}) {}

const EchoLayer = Echo.toLayer(({ text }) => Effect.succeed(text))
const SupportLayer = Support.toLayer(() => Effect.succeed({ answer: "" }))
const ToolsLayer = Tools.toLayer({ find_order: () => Effect.succeed("") })
const HandbookLayer = Handbook.toLayer(() => Effect.succeed(""))
const TriageLayer = Triage.toLayer(({ severity }) => severity)

describe("provide", () => {
  test("takes the handlers of everything that is declared", () => {
    expect(Acme.provide).type.toBeCallableWith(
      Layer.mergeAll(EchoLayer, SupportLayer, ToolsLayer, HandbookLayer, TriageLayer)
    )
  })

  test("takes no handler too few", () => {
    expect(Acme.provide).type.not.toBeCallableWith(Layer.mergeAll(SupportLayer, ToolsLayer, HandbookLayer, TriageLayer))
    expect(Acme.provide).type.not.toBeCallableWith(Layer.mergeAll(EchoLayer, ToolsLayer, HandbookLayer, TriageLayer))
    expect(Acme.provide).type.not.toBeCallableWith(Layer.mergeAll(EchoLayer, SupportLayer, HandbookLayer, TriageLayer))
    expect(Acme.provide).type.not.toBeCallableWith(Layer.mergeAll(EchoLayer, SupportLayer, ToolsLayer, TriageLayer))
    expect(Acme.provide).type.not.toBeCallableWith(Layer.mergeAll(EchoLayer, SupportLayer, ToolsLayer, HandbookLayer))
  })
})

test("a hook has a handler of its own", () => {
  const guarded = App.make("guarded", { version: "1.0.0", agents: [Echo.hook(Guard)] })
  expect(guarded.provide).type.not.toBeCallableWith(EchoLayer)
  expect(guarded.provide).type.toBeCallableWith(Layer.merge(EchoLayer, Guard.toLayer({})))
  const outer = App.make("guarded", { version: "1.0.0", agents: [Echo] }).hook(Guard)
  expect(outer.provide).type.not.toBeCallableWith(EchoLayer)
})

describe("toLayer", () => {
  test("provides the handler of this agent, and needs what the handler needs", () => {
    expect(SupportLayer).type.toBe<Layer.Layer<Agent.Handler<"support">>>()
    const needy = Support.toLayer(() => Effect.as(Effect.scope, { answer: "" }))
    expect(needy).type.toBe<Layer.Layer<Agent.Handler<"support">>>()
  })

  test("takes the declared error and no other", () => {
    expect(Support.toLayer).type.toBeCallableWith(() => Effect.fail(new OrderNotFound({ orderId: 1 })))
    expect(Support.toLayer).type.not.toBeCallableWith(() => Effect.fail(new Refused()))
    expect(Echo.toLayer).type.not.toBeCallableWith(() => Effect.fail(new OrderNotFound({ orderId: 1 })))
  })

  test("takes the declared answer and no other", () => {
    expect(Support.toLayer).type.not.toBeCallableWith(() => Effect.succeed("text"))
    expect(Echo.toLayer).type.not.toBeCallableWith(() => Effect.succeed(1))
  })

  test("gives the handler the declared payload", () => {
    Echo.toLayer((payload) => {
      expect(payload).type.toBe<{ readonly text: string }>()
      return Effect.succeed(payload.text)
    })
    expect(Echo.toLayer).type.not.toBeCallableWith((payload: { readonly question: string }) =>
      Effect.succeed(payload.question)
    )
  })

  test("takes a stream of events only for an answer that is a string", () => {
    const events = () => Stream.make(Event.token("a"))
    expect(Echo.toLayer).type.toBeCallableWith(events)
    expect(Support.toLayer).type.not.toBeCallableWith(events)
    expect(Echo.toLayer).type.not.toBeCallableWith(() => Stream.make("a"))
  })

  test("is inside a run", () => {
    expect(Echo.toLayer(() => Effect.as(Run.emit(Event.token("a")), "a"))).type.toBe<
      Layer.Layer<Agent.Handler<"echo">>
    >()
  })
})

describe("Hook.on", () => {
  const Paid = Hook.on(Tool.make("paid", { success: Schema.String }), Guard, Seen)
  const Kit = Toolkit.make(Paid)
  const KitLayer = Kit.toLayer({ paid: () => Effect.succeed("") })
  const GuardLayer = Guard.toLayer({})
  const SeenLayer = Seen.toLayer(() => Effect.void)

  test("needs the hooks of its tools, as App.hook does", () => {
    const { provide } = App.make("paying", { version: "1", tools: Kit })
    expect(provide).type.toBeCallableWith(Layer.mergeAll(KitLayer, GuardLayer, SeenLayer))
    expect(provide).type.not.toBeCallableWith(Layer.mergeAll(KitLayer, GuardLayer))
    expect(provide).type.not.toBeCallableWith(KitLayer)
  })
})
