// The promises of `Run.sideEffect`; the tests of each SQL store call it.
import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Audit, Auth, Budget, Caller, RateLimit, Run, RunStore, Runtime } from "@fastagentic/core"
import { Context, Deferred, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"

class NoStock extends Schema.TaggedError<NoStock>()("NoStock", {}) {}

class Order extends Agent.make("order", {
  description: "Books and ships",
  payload: { item: Schema.String },
  error: NoStock
}) {}

class Shop extends App.make("shop", { version: "1", agents: [Order] }) {}

const caller = Caller.make("local")

const booking = (item: string, calls: Array<string>) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient
    calls.push(item)
    yield* Effect.orDie(sql`INSERT INTO bookings (item) VALUES (${item})`)
    if (item === "nothing") return yield* new NoStock()
    if (item.startsWith("slow")) yield* Effect.sleep("2 seconds")
    return item
  })

const handlerIn = (calls: Array<string>, packed: Deferred.Deferred<void>, gate: Deferred.Deferred<void>) =>
  Order.toLayer(Effect.fn(function*({ item }) {
    const limit = item === "slow but allowed" ? { timeout: "10 seconds" } as const : {}
    const book = Run.sideEffect("book", booking(item, calls), limit)
    const booked = yield* item === "slow and caught"
      ? Effect.catchTag(book, "SideEffectTimeout", ({ millis }) => Effect.succeed(`not within ${millis} ms`))
      : book
    if (item === "nested") yield* Run.sideEffect("nested", Run.step("inner", Effect.succeed(1)))
    yield* Deferred.succeed(packed, undefined)
    yield* Run.step("ship", Effect.as(Deferred.await(gate), "shipped"))
    return booked
  }))

const during = Effect.fnUntraced(function*<A, E>(
  store: RunStore.RunStore["Service"],
  handler: Layer.Layer<App.Handlers<typeof Shop>>,
  effect: Effect.Effect<A, E, Runtime.Runtime>
) {
  const runtime = yield* Layer.build(
    Runtime.layer(Shop, { grace: "50 millis" }).pipe(
      Layer.provide([handler, Layer.succeed(RunStore.RunStore, store)]),
      Layer.provide([Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited, Audit.layerMemory])
    )
  )
  return yield* Effect.provideContext(effect, runtime)
}, Effect.scoped)

const start = (item: string) =>
  Runtime.Runtime.use((runtime) => runtime.start(caller, { kind: "agent", identifier: "order", payload: { item } }))
    .pipe(
      Effect.map(({ run }) => run.runId)
    )

const settled = (runId: string) => Runtime.Runtime.use((runtime) => runtime.await(caller, runId))

/** Tests the promises of `Run.sideEffect` on a SQL store. */
export const sideEffectSuite = (store: Layer.Layer<RunStore.RunStore | SqlClient, unknown>) =>
  describe("a side effect", () => {
    const inShop = Effect.gen(function*() {
      const services = yield* Layer.build(Layer.fresh(store))
      const sql = Context.get(services, SqlClient)
      yield* sql`CREATE TABLE bookings (item TEXT NOT NULL)`
      const booked = Effect.map(
        sql<{ item: string }>`SELECT item FROM bookings ORDER BY item`,
        (rows) => rows.map(({ item }) => item)
      )
      const [packed, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const calls: Array<string> = []
      const handler = handlerIn(calls, packed, gate)
      return { store: Context.get(services, RunStore.RunStore), booked, packed, gate, calls, handler }
    })

    it.live("happens once, over a restart", () =>
      Effect.gen(function*() {
        const { booked, calls, gate, handler, packed, store } = yield* inShop
        const runId = yield* during(store, handler, Effect.tap(start("book"), () => Deferred.await(packed)))
        assert.deepStrictEqual(yield* booked, ["book"])
        yield* Deferred.succeed(gate, undefined)
        const run = yield* during(store, handler, settled(runId))
        assert.deepInclude(run, { state: "completed", output: "book" })
        assert.deepStrictEqual([calls, yield* booked], [["book"], ["book"]])
      }).pipe(Effect.scoped))

    it.live("is rolled back when it fails, and the handler gets its error", () =>
      Effect.gen(function*() {
        const { booked, handler, store } = yield* inShop
        const run = yield* during(store, handler, Effect.flatMap(start("nothing"), settled))
        assert.deepInclude(run, { state: "failed" })
        assert.strictEqual(run.error?.tag, "NoStock")
        assert.deepStrictEqual(yield* booked, [])
      }).pipe(Effect.scoped))

    it.live(
      "that takes longer than a second is rolled back and fails alone, with a typed error",
      () =>
        Effect.gen(function*() {
          const { booked, gate, handler, store } = yield* inShop
          yield* Deferred.succeed(gate, undefined)
          yield* during(
            store,
            handler,
            Effect.gen(function*() {
              const slow = yield* start("slow")
              yield* Effect.sleep("50 millis")
              const since = performance.now()
              const other = yield* start("other")
              // On SQLite it waits for the limit of the slow one, on PostgreSQL for nothing.
              const limit = store.transactsApart === true ? 900 : 2_500
              assert.isBelow(performance.now() - since, limit)
              assert.deepInclude(yield* settled(other), { state: "completed", output: "other" })
              const run = yield* settled(slow)
              assert.strictEqual(run.state, "failed")
              assert.deepInclude(run.error, { tag: "SideEffectTimeout", status: 504 })
              const caught = yield* settled(yield* start("slow and caught"))
              assert.deepInclude(caught, { state: "completed", output: "not within 1000 ms" })
              const allowed = yield* start("slow but allowed")
              const followed = yield* Effect.repeat(Effect.delay(settled(allowed), "100 millis"), {
                until: ({ state }) => state === "completed"
              })
              assert.strictEqual(followed.output, "slow but allowed")
            })
          )
          assert.deepStrictEqual(yield* booked, ["other", "slow but allowed"])
        }).pipe(Effect.scoped),
      30_000
    )

    it.live("is rolled back when another node owns its run by then", () =>
      Effect.gen(function*() {
        const { booked, handler, packed, store } = yield* inShop
        const { transact } = store
        const taken: RunStore.RunStore["Service"] = {
          ...store,
          ...(transact === undefined
            ? {}
            : { transact: (body, commitOf) => transact(body, (value) => ({ ...commitOf(value), attempt: 99 })) })
        }
        const state = yield* during(
          taken,
          handler,
          Effect.gen(function*() {
            const runId = yield* start("lost")
            yield* Effect.sleep("100 millis")
            return (yield* Runtime.Runtime.use((runtime) => runtime.get(caller, runId))).state
          })
        )
        assert.strictEqual(state, "running")
        assert.isFalse(yield* Deferred.isDone(packed))
        assert.deepStrictEqual(yield* booked, [])
      }).pipe(Effect.scoped))

    it.live("cannot call Run itself", () =>
      Effect.gen(function*() {
        const { booked, handler, store } = yield* inShop
        const run = yield* during(store, handler, Effect.flatMap(start("nested"), settled))
        assert.deepInclude(run, { state: "failed" })
        assert.strictEqual(run.error?.tag, "InternalError")
        assert.deepStrictEqual(yield* booked, ["nested"])
      }).pipe(Effect.scoped))
  })
