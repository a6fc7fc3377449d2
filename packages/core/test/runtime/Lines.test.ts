import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Audit, Auth, Budget, Caller, Principal, RateLimit, RunStore, Runtime } from "@fastagentic/core"
import { Deferred, Effect, Layer, Redacted, Schema } from "effect"

const payload = { name: Schema.String }
const Shared = Agent.make("shared", { description: "Few", payload, concurrency: { total: 2, perTenant: 1 } })
const Talk = Agent.make("talk", { description: "In turn", payload, threads: "enqueue" })
const Acme = App.make("acme", { version: "1", agents: [Shared, Talk] })

const tenants = ["a", "b", "c"] as const
type Tenant = (typeof tenants)[number]

const callerOf = (tenant: Tenant) => Caller.make("local", { credentials: { apiKey: Redacted.make(tenant) } })

/** Runs that begin, and go on until they are let go of. */
const world = Effect.gen(function*() {
  const begun: Array<string> = []
  const gates = new Map<string, Deferred.Deferred<void>>()
  const work = Effect.fnUntraced(function*({ name }: { readonly name: string }) {
    const gate = yield* Deferred.make<void>()
    gates.set(name, gate)
    begun.push(name)
    yield* Deferred.await(gate)
    return name
  })
  const auth = Auth.layerKeys(tenants.map((tenant) => ({
    key: Redacted.make(tenant),
    principal: new Principal.Principal({ id: "user", tenant, scopes: ["*"], roles: [], claims: {} })
  })))
  const layer = Runtime.layer(Acme, { grace: 0 }).pipe(
    Layer.provide(Layer.merge(Shared.toLayer(work), Talk.toLayer(work))),
    Layer.provide([
      auth,
      RunStore.RunStore.layerMemory,
      RateLimit.layerUnlimited,
      Budget.layerUnlimited,
      Audit.layerMemory
    ])
  )
  return { begun, gates, layer }
})

const start = (
  tenant: Tenant,
  identifier: string,
  name: string,
  more: { readonly threadId?: string; readonly priority?: number } = {}
) =>
  Runtime.Runtime.use((runtime) =>
    runtime.start(callerOf(tenant), { kind: "agent", identifier, payload: { name }, ...more })
  )

const many = (count: number, begin: (index: number) => ReturnType<typeof start>) =>
  Effect.forEach(Array.from({ length: count }, (_, index) => index), begin, { concurrency: "unbounded" })

describe("A thousand runs in line", () => {
  it.live("of one tenant hold up no other tenant", () =>
    Effect.gen(function*() {
      const { begun, gates, layer } = yield* world
      const end = (name: string) => Effect.suspend(() => Deferred.succeed(gates.get(name) ?? assert.fail(name), void 0))
      const begins = Effect.fnUntraced(function*(count: number) {
        while (begun.length < count) yield* Effect.sleep("5 millis")
      })
      yield* Effect.gen(function*() {
        yield* start("a", "shared", "a first")
        yield* many(1_000, (index) => start("a", "shared", `a ${index}`))
        yield* start("b", "shared", "b first")
        // There is no room for a third, and of the others that wait most are of the first tenant.
        yield* start("c", "shared", "c first", { priority: -1 })
        assert.deepStrictEqual(begun, ["a first", "b first"])
        yield* end("b first")
        yield* begins(3)
        assert.deepStrictEqual(begun, ["a first", "b first", "c first"])
        yield* end("a first")
        yield* begins(4)
        assert.match(begun[3] ?? "", /^a \d+$/u)
        yield* end("c first")
        yield* start("b", "shared", "b second")
        yield* begins(5)
        assert.strictEqual(begun[4], "b second")
      }).pipe(Effect.provide(layer))
    }), 60_000)

  it.live(
    "of one thread hold up no other thread, and go in their order whatever their priority",
    () =>
      Effect.gen(function*() {
        const { begun, gates, layer } = yield* world
        const end = (name: string) =>
          Effect.suspend(() => Deferred.succeed(gates.get(name) ?? assert.fail(name), void 0))
        const begins = Effect.fnUntraced(function*(name: string) {
          while (begun.at(-1) !== name) yield* Effect.sleep("5 millis")
        })
        yield* Effect.gen(function*() {
          yield* start("a", "talk", "1", { threadId: "long" })
          yield* start("a", "talk", "2", { threadId: "long" })
          yield* many(1_000, (index) => start("a", "talk", `then ${index}`, { threadId: "long", priority: 5 }))
          yield* start("a", "talk", "short", { threadId: "short" })
          yield* start("a", "talk", "short, too", { threadId: "short" })
          assert.deepStrictEqual(begun, ["1", "short"])
          yield* end("short")
          yield* begins("short, too")
          yield* end("1")
          yield* begins("2")
          yield* end("2")
          while (begun.length < 5) yield* Effect.sleep("5 millis")
          assert.match(begun[4] ?? "", /^then \d+$/u)
        }).pipe(Effect.provide(layer))
      }),
    60_000
  )
})
