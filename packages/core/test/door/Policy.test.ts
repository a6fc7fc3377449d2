import { assert, describe, it } from "@effect/vitest"
import {
  Agent,
  App,
  Audit,
  Auth,
  Budget,
  Caller,
  Credentials,
  Hook,
  Policy,
  Principal,
  RateLimit,
  Run,
  RunStore,
  Runtime,
  ToolCall
} from "@fastagentic/core"
import { Effect, Fiber, Layer, Redacted, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as TestClock from "effect/testing/TestClock"

const GetItem = Tool.make("get_item", {
  description: "Gets an item",
  parameters: Schema.Struct({ id: Schema.Int }),
  success: Schema.Struct({ id: Schema.Int })
}).annotate(Policy.Scopes, ["items:read"])
const Items = Toolkit.make(GetItem)

/** Pauses, then says what its principal may and what became of a tool call. */
class Clerk extends Agent.make("clerk", {
  description: "Gets an item for its caller",
  payload: {},
  success: Schema.Struct({ scopes: Schema.Array(Schema.String), denied: Schema.Boolean }),
  scopes: ["clerk:ask"]
}) {}

const ClerkLayer = Clerk.toLayer(Effect.fn(function*() {
  yield* Effect.orDie(Run.interrupt("go on", { schema: Schema.Boolean }))
  const run = yield* Run.CurrentRun
  const call = { toolCallId: "call", name: "get_item", arguments: { id: 7 } }
  const { denied } = yield* Effect.orDie(ToolCall.invoke(ToolCall.handlersOf(yield* Items), call))
  return { scopes: run.principal.scopes, denied }
}))

class Broken extends Agent.make("broken", { description: "Fails", payload: {} }) {}
const BrokenLayer = Broken.toLayer(() => Effect.die(new Error("broken")))

class Stuck extends Hook.make("stuck") {}
const StuckLayer = Stuck.toLayer({ error: () => Effect.never })

class Shop extends App.make("shop", { version: "1", agents: [Clerk, Broken.hook(Stuck)], tools: Items }) {}
class EmptyShop extends App.make("shop", { version: "2" }) {}

const ItemsLayer = Items.toLayer({ get_item: ({ id }) => Effect.succeed({ id }) })

const key = (name: string, scopes: ReadonlyArray<string>) => ({
  key: Redacted.make(name),
  principal: new Principal.Principal({ id: "alice", tenant: "acme", scopes, roles: ["clerk"], claims: {} })
})

const Ports = Layer.mergeAll(
  RunStore.RunStore.layerMemory,
  Auth.layerKeys([
    key("all", ["clerk:ask", "items:read"]),
    key("clerk", ["clerk:ask"]),
    key("weak", [])
  ]),
  RateLimit.layer([{ name: "each", by: ["user", "endpoint"], limit: 3, window: "1 minute" }]),
  Budget.layerUnlimited,
  Audit.layerMemory
)

const ShopLayer = Runtime.layer(Shop).pipe(
  Layer.provide(Layer.mergeAll(Layer.provideMerge(ClerkLayer, ItemsLayer), BrokenLayer, StuckLayer)),
  Layer.provideMerge(Ports)
)

const as = (name: string) => Caller.make("local", { credentials: Credentials.fromHeaders({ "x-api-key": name }) })

const ask = Effect.fnUntraced(function*(name: string) {
  const runtime = yield* Runtime.Runtime
  const { run } = yield* runtime.start(as(name), { kind: "agent", identifier: "clerk", payload: {} })
  yield* runtime.await(as(name), run.runId)
  const [open] = yield* runtime.interrupts(as(name), run.runId)
  return { runId: run.runId, id: open?.id ?? "" }
})

const approve = { decision: "approve", value: true } as const

describe("policy", () => {
  it.effect("is the same for a run that goes on: its owner may what its owner might", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const { id, runId } = yield* ask("all")
      yield* runtime.answer(as("all"), runId, id, approve)
      assert.deepStrictEqual((yield* runtime.await(as("all"), runId)).output, {
        scopes: ["clerk:ask", "items:read"],
        denied: false
      })
    }).pipe(Effect.provide(ShopLayer)))

  it.effect("does not let an agent do for its caller what the caller may not", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const { id, runId } = yield* ask("clerk")
      yield* runtime.answer(as("clerk"), runId, id, approve)
      const { output } = yield* runtime.await(as("clerk"), runId)
      assert.deepStrictEqual(output, { scopes: ["clerk:ask"], denied: true })
      const events = yield* runtime.events(as("clerk"), runId, { after: 0, limit: 100 })
      const result = events.find((event) => event.type === "tool_result")
      assert.deepInclude(result?.data, { result: { denied: true, reason: "the caller lacks scope items:read" } })
    }).pipe(Effect.provide(ShopLayer)))

  it.effect("holds for letting a run go on as for starting it", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const { id, runId } = yield* ask("clerk")
      const refused = yield* Effect.flip(runtime.answer(as("weak"), runId, id, approve))
      assert.deepInclude(refused.reason, { _tag: "Forbidden", missing: ["clerk:ask"] })
      assert.strictEqual((yield* Effect.flip(runtime.resume(as("weak"), runId))).reason._tag, "Forbidden")
      assert.strictEqual((yield* runtime.get(as("clerk"), runId)).state, "suspended")
      yield* runtime.answer(as("clerk"), runId, id, approve)
      const { id: second, runId: other } = yield* ask("clerk")
      const limited = yield* Effect.flip(runtime.answer(as("clerk"), other, second, approve))
      assert.strictEqual(limited.reason._tag, "RateLimited")
    }).pipe(Effect.provide(ShopLayer)))

  it.effect("writes down many refusals that say the same as one with a count, minute by minute", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const audit = yield* Audit.Audit
      const counts = Effect.map(
        audit.page({ tenant: "acme", after: 0, limit: 200 }),
        (trail) => trail.filter(({ decision }) => decision === "Forbidden").map(({ count = 1 }) => count)
      )
      const refused = Effect.flip(runtime.start(as("weak"), { kind: "agent", identifier: "clerk", payload: {} }))
      const ones = Array.from({ length: 20 }, () => 1)
      yield* Effect.repeat(refused, { times: 49 })
      assert.deepStrictEqual(yield* counts, ones)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* counts, [...ones, 30])
      yield* refused
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(yield* counts, [...ones, 30, 1])
      yield* Effect.repeat(refused, { times: 21 })
      yield* TestClock.adjust("61 seconds")
      yield* refused
      assert.deepStrictEqual(yield* counts, [...ones, 30, 1, ...ones, 2, 1])
    }).pipe(Effect.provide(ShopLayer)))

  it.effect("limits names that nobody declared together", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const tags = yield* Effect.forEach(["a", "b", "c", "d"], (identifier) =>
        Effect.map(
          Effect.flip(runtime.start(as("all"), { kind: "agent", identifier, payload: {} })),
          ({ reason }) => reason._tag
        ))
      assert.deepStrictEqual(tags, ["NotDeclared", "NotDeclared", "NotDeclared", "RateLimited"])
    }).pipe(Effect.provide(ShopLayer)))

  it.effect("does not take a decision for an agent that is not declared any more", () =>
    Effect.gen(function*() {
      const { id, runId } = yield* ask("all").pipe(Effect.provide(Layer.fresh(RuntimeOf.shop)))
      const runtime = yield* Runtime.Runtime
      const refused = yield* Effect.flip(runtime.answer(as("all"), runId, id, approve))
      assert.strictEqual(refused.reason._tag, "NotDeclared")
      const [open] = yield* runtime.interrupts(as("all"), runId)
      assert.strictEqual(open?.state, "open")
      assert.strictEqual((yield* runtime.cancel(as("all"), runId)).state, "cancelled")
    }).pipe(Effect.provide(RuntimeOf.empty), Effect.provide(Ports)))

  it.effect("does not wait for an error hook for ever", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const { run } = yield* runtime.start(as("all"), { kind: "agent", identifier: "broken", payload: {} })
      const ended = yield* Effect.forkChild(runtime.await(as("all"), run.runId))
      yield* TestClock.adjust("11 seconds")
      assert.deepInclude((yield* Fiber.join(ended)).error, { tag: "InternalError" })
      const second = yield* runtime.start(as("all"), { kind: "agent", identifier: "broken", payload: {} })
      assert.strictEqual((yield* runtime.cancel(as("all"), second.run.runId)).state, "failed")
    }).pipe(Effect.provide(ShopLayer)))
})

/** Two versions of the app on whatever ports are there. */
const RuntimeOf = {
  shop: Runtime.layer(Shop).pipe(
    Layer.provide(Layer.mergeAll(Layer.provideMerge(ClerkLayer, ItemsLayer), BrokenLayer, StuckLayer))
  ),
  empty: Runtime.layer(EmptyShop)
}
