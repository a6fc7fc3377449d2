import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import { App, Audit, Auth, Budget, Caller, type Interrupt, RateLimit, RunStore, Runtime } from "fastagentic"
import { OfflineModel } from "fastagentic/effect-ai"
import app, { Acme, Handlers } from "./app.ts"
import { generate } from "./data/generate.ts"
import data from "./data/orders.json" with { type: "json" }
import { cents, Order } from "./domain.ts"
import { Orders } from "./Orders.ts"

const TestLayer = Runtime.layer(Acme).pipe(
  Layer.provide(Layer.provide(Handlers, OfflineModel.layer)),
  Layer.provide(Layer.mergeAll(
    RunStore.RunStore.layerMemory,
    Auth.layerNone,
    RateLimit.layerUnlimited,
    Budget.layerUnlimited,
    Audit.layerMemory
  ))
)

const caller = Caller.make("local")

const call = Effect.fnUntraced(function*(kind: "agent" | "tool", identifier: string, payload: Schema.Json) {
  const runtime = yield* Runtime.Runtime
  const { run } = yield* runtime.start(caller, { kind, identifier, payload })
  return yield* runtime.await(caller, run.runId)
})

const ask = (question: string) => call("agent", "support", { question })
const find = (orderId: number) => Effect.map(call("tool", "find_order", { orderId }), ({ output }) => Object(output))

const openInterrupt = Effect.fnUntraced(function*(runId: string) {
  const all = yield* (yield* Runtime.Runtime).interrupts(caller, runId)
  return all.find(({ state }) => state === "open")
})

const answer = Effect.fnUntraced(function*(runId: string, decision: Interrupt.Answer) {
  const runtime = yield* Runtime.Runtime
  yield* runtime.answer(caller, runId, (yield* openInterrupt(runId))?.id ?? "", decision)
  return yield* runtime.await(caller, runId)
})

const tokens = Effect.fnUntraced(function*(runId: string) {
  const pages = yield* (yield* Runtime.Runtime).follow(caller, runId, { after: 0, until: "final" })
  const events = (yield* Stream.runCollect(pages)).flatMap((page) => page.events)
  return events.flatMap((event) => event.type === "token" ? [event.data.delta] : [])
})

const amount = 84.7

describe("the orders", () => {
  it("orders.json is the generator's output", () => {
    assert.deepStrictEqual<unknown>(data, generate())
  })

  it("every order's amount is the sum of its lines", () => {
    const orders = Schema.decodeUnknownSync(Schema.Array(Order))(data)
    assert.isAtLeast(orders.length, 240)
    assert.strictEqual(new Set(orders.map(({ state }) => state)).size, 6)
    for (const [index, order] of orders.entries()) {
      assert.strictEqual(order.id, 1001 + index)
      const sum = order.lines.reduce((total, { quantity, unitPrice }) => total + quantity * unitPrice, 0)
      assert.strictEqual(order.amount, cents(sum))
      if (order.state === "shipped") assert.isDefined(order.trackingCode)
    }
  })

  it.effect("a refund is made once for each key and never exceeds the order's amount", () =>
    Effect.gen(function*() {
      const orders = yield* Orders
      const once = yield* orders.refund({ key: "a", orderId: 1042, amount: 80 })
      assert.deepStrictEqual(once, { orderId: 1042, refunded: 80, left: 4.7, currency: "EUR", state: "shipped" })
      assert.deepStrictEqual(yield* orders.refund({ key: "a", orderId: 1042, amount: 80 }), once)
      const error = yield* Effect.flip(orders.refund({ key: "b", orderId: 1042, amount: 4.71 }))
      assert.deepInclude(error, { _tag: "RefundTooHigh", left: 4.7 })
      assert.strictEqual((yield* orders.refund({ key: "c", orderId: 1042, amount: 4.7 })).state, "refunded")
    }).pipe(Effect.provide(Orders.layer)))
})

describe("support", () => {
  it("the file exports a runnable app", () => assert.isTrue(App.isRunnable(app)))

  it.effect("the agent finds an order", () =>
    Effect.gen(function*() {
      const run = yield* ask("Where is order 1042?")
      assert.strictEqual(run.state, "completed")
      const { answer, orders } = Object(run.output)
      assert.include(answer, "Order 1042 of Luca Okafor is shipped.")
      assert.strictEqual((yield* tokens(run.runId)).join(""), answer)
      assert.deepInclude(orders[0], { id: 1042, state: "shipped", amount })
      assert.isAbove(run.usage?.outputTokens ?? 0, 0)
    }).pipe(Effect.provide(TestLayer)))

  it.effect("an unknown order fails with OrderNotFound", () =>
    Effect.gen(function*() {
      const run = yield* ask("Where is order 999999?")
      assert.strictEqual(run.state, "failed")
      assert.deepInclude(run.error, { tag: "OrderNotFound", status: 404, declared: true })
      assert.deepStrictEqual(run.error?.value, { _tag: "OrderNotFound", orderId: 999999 })
    }).pipe(Effect.provide(TestLayer)))

  it.effect("a refund waits for an approval and is visible afterwards", () =>
    Effect.gen(function*() {
      const paused = yield* ask("Refund order 1042 in full")
      assert.strictEqual(paused.state, "suspended")
      assert.deepInclude(yield* openInterrupt(paused.runId), {
        kind: "approval",
        tool: "refund_order",
        arguments: { orderId: 1042, amount }
      })
      assert.strictEqual((yield* find(1042)).state, "shipped")
      const run = yield* answer(paused.runId, { decision: "approve" })
      assert.strictEqual(
        Object(run.output).answer,
        "Done: I refunded 84.70 EUR of order 1042. It is now refunded."
      )
      assert.deepInclude(Object(run.output).orders[0], { id: 1042, state: "refunded", refunded: amount })
      assert.include(Object((yield* ask("Where is order 1042?")).output).answer, "is refunded")
    }).pipe(Effect.provide(TestLayer)))

  it.effect("an edited approval refunds the edited amount", () =>
    Effect.gen(function*() {
      const paused = yield* ask("Refund order 1042 in full")
      const run = yield* answer(paused.runId, { decision: "edit", value: { orderId: 1042, amount: 10 } })
      assert.include(Object(run.output).answer, "10")
      assert.deepInclude(yield* find(1042), { state: "shipped", refunded: 10 })
    }).pipe(Effect.provide(TestLayer)))

  it.effect("a denied refund and one above the remaining amount are not made", () =>
    Effect.gen(function*() {
      const paused = yield* ask("Refund order 1042 in full")
      const denied = yield* answer(paused.runId, { decision: "deny", reason: "ask me tomorrow" })
      assert.include(Object(denied.output).answer, "ask me tomorrow")
      assert.strictEqual((yield* find(1042)).state, "shipped")
      const greedy = yield* ask("Refund 500 of order 1042")
      const refused = yield* answer(greedy.runId, { decision: "approve" })
      assert.include(Object(refused.output).answer, "left 84.70")
    }).pipe(Effect.provide(TestLayer)))

  it.effect("the agent lists orders, and search pages through them", () =>
    Effect.gen(function*() {
      const run = yield* ask("List 3 delivered orders")
      const { answer, orders } = Object(run.output)
      assert.include(answer, "I found 3 orders")
      assert.strictEqual(orders.length, 3)
      const page = yield* call("tool", "search_orders", { customer: "okafor", limit: 2 })
      const next = yield* call("tool", "search_orders", {
        customer: "okafor",
        limit: 2,
        after: Object(page.output).next
      })
      assert.isAbove(Object(next.output).items[0].id, Object(page.output).items[1].id)
    }).pipe(Effect.provide(TestLayer)))
})

describe("echo, handbook and prompt", () => {
  it.effect("echo streams its text word by word", () =>
    Effect.gen(function*() {
      const run = yield* call("agent", "echo", { text: "to be or not" })
      assert.strictEqual(run.output, "to be or not")
      assert.deepStrictEqual(yield* tokens(run.runId), ["to ", "be ", "or ", "not"])
    }).pipe(Effect.provide(TestLayer)))

  it.effect("the handbook serves its pages and no other path", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      for (const topic of ["returns", "shipping", "refunds", "warranty"]) {
        const page = yield* runtime.read(caller, `handbook://${topic}`)
        assert.strictEqual(page.mimeType, "text/markdown")
        assert.match(String(page.content), /^# /u)
      }
      for (const topic of ["nothing", "constructor"]) {
        const error = yield* Effect.flip(runtime.read(caller, `handbook://${topic}`))
        assert.deepInclude(error._tag === "ReadFailed" ? error.failure : error, { tag: "PageNotFound", status: 404 })
      }
      for (const topic of ["..%2Fpackage", "%2E%2E", "../package"]) {
        const error = yield* Effect.flip(runtime.read(caller, `handbook://${topic}`))
        assert.strictEqual(error._tag === "RunError" ? error.reason._tag : error._tag, "NotDeclared")
      }
    }).pipe(Effect.provide(TestLayer)))

  it.effect("the prompt renders by severity and refuses an unknown one", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const [high] = yield* runtime.render(caller, "triage", { severity: "high" })
      assert.include(high !== undefined && "text" in high ? high.text : "", "upset")
      const error = yield* Effect.flip(runtime.render(caller, "triage", { severity: "odd" }))
      assert.strictEqual(error.reason._tag, "InvalidPayload")
    }).pipe(Effect.provide(TestLayer)))
})
