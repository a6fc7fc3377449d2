import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Audit, Auth, Budget, Caller, RateLimit, Run, type RunStore, Runtime } from "@fastagentic/core"
import { SqliteRunStore } from "@fastagentic/stores/sqlite"
import { Effect, Layer, type Layer as EffectLayer, Schema } from "effect"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const caller = Caller.make("local")
const about = { description: "Takes an order" }

/** The effects that happened outside. */
const done: Array<string> = []
const act = (what: string) => Effect.sync(() => done.push(what)).pipe(Effect.as(what))

const sell = Effect.fn(function*(item: string) {
  const price = yield* Run.step("price", act(`price of ${item}`))
  if (item === "later") yield* Run.sleep("1 hour")
  const ok = yield* Effect.orDie(Run.interrupt("ok", { schema: Schema.Boolean }))
  yield* Run.step("ship", act(`ship ${item}`))
  return `${item}: ${price}, ${ok}`
})

const deploy = <A extends Agent.Any>(agent: A, handler: EffectLayer.Layer<Agent.Handlers<A>>) => ({
  app: App.make("shop", { version: "1", agents: [agent] }),
  handler
})

const V1 = Agent.make("order", { ...about, payload: { item: Schema.String } })
const v1 = deploy(V1, V1.toLayer(({ item }) => sell(item)))

const Noted = Agent.make("order", {
  ...about,
  payload: { item: Schema.String, note: Schema.optionalKey(Schema.String) }
})
const noted = deploy(Noted, Noted.toLayer(({ item }) => sell(item)))

const Renamed = Agent.make("order", { ...about, payload: { sku: Schema.String } })
const renamed = deploy(Renamed, Renamed.toLayer(({ sku }) => sell(sku)))

const Migrated = Renamed.migrate({
  from: { item: Schema.String },
  payload: ({ item }) => ({ sku: `${item} (old)` }),
  steps: { price: (price) => `${String(price)} in euros` }
})
const migrated = deploy(Migrated, Migrated.toLayer(({ sku }) => sell(sku)))

const Second = Agent.make("order", { ...about, payload: { item: Schema.String }, version: "2" })
const second = deploy(Second, Second.toLayer(({ item }) => sell(item)))

const Third = Agent.make("order", { ...about, payload: { item: Schema.String }, version: "3" }).migrate({
  from: "2",
  payload: () => ({ item: "from the second" })
})
const third = deploy(Third, Third.toLayer(({ item }) => sell(item)))

const Broken = Renamed.migrate({
  from: { item: Schema.String },
  payload: () => {
    throw new Error("no rule for it")
  }
})
const broken = deploy(Broken, Broken.toLayer(({ sku }) => sell(sku)))

const Other = Agent.make("other", { description: "Does something else", payload: {} })
const without = deploy(Other, Other.toLayer(() => Effect.succeed("")))

const store = () => {
  const filename = join(mkdtempSync(join(tmpdir(), "fastagentic-")), "runs.db")
  /** One process from start to end; it opens the file anew. */
  const on = <A extends App.Any, B, E>(
    { app, handler }: { readonly app: A; readonly handler: EffectLayer.Layer<App.Handlers<A>> },
    use: (runtime: Runtime.Runtime["Service"]) => Effect.Effect<B, E, RunStore.RunStore>
  ) =>
    Runtime.Runtime.use(use).pipe(
      Effect.provide(
        Runtime.layer(app, { grace: "50 millis" }).pipe(
          Layer.provide(handler),
          Layer.provideMerge(SqliteRunStore.layer({ filename, exclusive: true })),
          Layer.provide([Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited, Audit.layerMemory])
        )
      ),
      Effect.scoped
    )
  const order = (item: string, startAt?: number) =>
    on(v1, (runtime) =>
      Effect.flatMap(
        runtime.start(caller, { kind: "agent", identifier: "order", payload: { item }, startAt }),
        ({ run }) => startAt === undefined ? runtime.await(caller, run.runId) : Effect.succeed(run)
      ))
  return { on, order }
}

const allow = Effect.fnUntraced(function*(runtime: Runtime.Runtime["Service"], runId: string) {
  const asked = (yield* runtime.interrupts(caller, runId)).find(({ state }) => state === "open")
  yield* runtime.answer(caller, runId, asked?.id ?? "", { decision: "approve", value: true })
  return yield* runtime.await(caller, runId)
})

const pinned = { state: "suspended", waitsFor: "migration" } as const

const logs = Effect.fnUntraced(function*(runtime: Runtime.Runtime["Service"], runId: string) {
  const events = yield* runtime.events(caller, runId, { after: 0, limit: 1_000 })
  return events.flatMap((event) => event.type === "log" ? [event.data.message] : [])
})

describe("A new definition", () => {
  it.live("continues the runs that fit it, and owns them from its start on", () =>
    Effect.gen(function*() {
      const { on, order } = store()
      const { fingerprint, runId } = yield* order("a chair")
      const run = yield* on(noted, (runtime) =>
        Effect.gen(function*() {
          const waiting = yield* runtime.get(caller, runId)
          assert.deepInclude(waiting, { state: "suspended", waitsFor: "interrupt", attempt: 1 })
          assert.notStrictEqual(waiting.fingerprint, fingerprint)
          assert.deepStrictEqual(yield* logs(runtime, runId), [
            "this run goes on with a changed definition that it fits"
          ])
          return yield* allow(runtime, runId)
        }))
      assert.deepInclude(run, { state: "completed", output: "a chair: price of a chair, true" })
      assert.strictEqual(done.filter((what) => what === "price of a chair").length, 1)
    }))

  it.live("holds runs that do not fit: they are listed, can be cancelled, and continue when the old definition is back", () =>
    Effect.gen(function*() {
      const { on, order } = store()
      const [cancelled, answered, untouched] = [yield* order("a"), yield* order("b"), yield* order("c")]
      const asleep = yield* order("later")
      assert.deepInclude(asleep, { state: "suspended", waitsFor: "timer" })
      yield* on(renamed, (runtime) =>
        Effect.gen(function*() {
          const { items: listed } = yield* runtime.list(caller, {
            waitsFor: "migration",
            limit: 10,
            fields: ["payload"]
          })
          assert.deepStrictEqual(
            listed.map(({ runId }) => runId),
            [asleep, untouched, answered, cancelled].map(({ runId }) => runId)
          )
          for (const run of listed) {
            assert.deepInclude(run, { ...pinned, attempt: 1 })
            assert.isUndefined(run.wakeAt)
          }
          assert.deepStrictEqual(yield* logs(runtime, untouched.runId), [
            "this run waits for a migration: its payload does not fit any more (item, sku)"
          ])
          assert.strictEqual((yield* runtime.cancel(caller, cancelled.runId)).state, "cancelled")
          // The decision is stored, and waits with its run.
          assert.deepInclude(yield* allow(runtime, answered.runId), pinned)
          assert.deepInclude(yield* runtime.resume(caller, asleep.runId), pinned)
          const refused = yield* Effect.flip(runtime.fork(caller, untouched.runId, {}))
          assert.strictEqual(refused.reason._tag, "InvalidPayload")
        }))
      // A second start of the same definition changes nothing.
      const { seq } = yield* on(renamed, (runtime) => runtime.get(caller, untouched.runId))
      yield* on(v1, (runtime) =>
        Effect.gen(function*() {
          assert.deepInclude(yield* runtime.get(caller, cancelled.runId), { state: "cancelled" })
          const back = yield* runtime.get(caller, untouched.runId)
          assert.deepInclude(back, { state: "suspended", waitsFor: "interrupt", attempt: 1, seq })
          assert.deepInclude(yield* allow(runtime, untouched.runId), { state: "completed" })
          assert.deepInclude(yield* runtime.await(caller, answered.runId), { state: "completed" })
          const slept = yield* Effect.repeat(Effect.delay(runtime.get(caller, asleep.runId), "20 millis"), {
            until: (run) => run.waitsFor === "timer"
          })
          assert.strictEqual(slept.wakeAt, asleep.wakeAt)
        }))
      assert.strictEqual(done.filter((what) => what === "ship b" || what === "price of later").length, 2)
    }))

  it.live("migrates payloads and steps as declared, at its start and when it forks", () =>
    Effect.gen(function*() {
      const { on, order } = store()
      const { runId } = yield* order("a desk")
      const ended = yield* order("a bed")
      yield* on(v1, (runtime) => runtime.cancel(caller, ended.runId))
      yield* on(renamed, (runtime) => runtime.get(caller, runId))
      yield* on(migrated, (runtime) =>
        Effect.gen(function*() {
          assert.deepInclude(yield* runtime.get(caller, runId), {
            state: "suspended",
            waitsFor: "interrupt",
            payload: { sku: "a desk (old)" }
          })
          assert.deepInclude(yield* allow(runtime, runId), {
            state: "completed",
            output: "a desk (old): price of a desk in euros, true"
          })
          const retried = yield* runtime.retry(caller, ended.runId)
          yield* runtime.await(caller, retried.run.runId)
          assert.deepInclude(yield* allow(runtime, retried.run.runId), {
            state: "completed",
            output: "a bed (old): price of a bed in euros, true"
          })
        }))
    }))

  it.live("holds the runs of another version, unless a migration names it", () =>
    Effect.gen(function*() {
      const { on, order } = store()
      const { runId } = yield* order("a lamp")
      yield* on(second, (runtime) =>
        Effect.gen(function*() {
          assert.deepInclude(yield* runtime.get(caller, runId), pinned)
          assert.deepStrictEqual(yield* logs(runtime, runId), [
            "this run waits for a migration: it was started by no version, and this is version \"2\""
          ])
          const mine = yield* runtime.start(caller, { kind: "agent", identifier: "order", payload: { item: "new" } })
          assert.deepInclude(yield* runtime.await(caller, mine.run.runId), { waitsFor: "interrupt" })
        }))
      yield* on(third, (runtime) =>
        Effect.gen(function*() {
          const { items: [newest, oldest] } = yield* runtime.list(caller, { limit: 10, fields: ["payload"] })
          assert.deepInclude(oldest, { runId, ...pinned })
          assert.deepInclude(newest, { waitsFor: "interrupt", payload: { item: "from the second" } })
        }))
    }))

  it.live("holds a run whose migration fails, and reports it", () =>
    Effect.gen(function*() {
      const { on, order } = store()
      const { runId } = yield* order("a pen")
      yield* on(broken, (runtime) =>
        Effect.gen(function*() {
          assert.deepInclude(yield* runtime.get(caller, runId), pinned)
          assert.include((yield* logs(runtime, runId))[0], "and its migration failed: Error: no rule for it")
        }))
    }))

  it.live("claims a queued run when it is due", () =>
    Effect.gen(function*() {
      const { on, order } = store()
      const soon = Date.now() + 500
      const [{ runId }, fits] = [yield* order("a mug", soon), yield* order("a cup", soon)]
      yield* on(renamed, (runtime) =>
        Effect.gen(function*() {
          const kept = yield* Effect.repeat(Effect.delay(runtime.get(caller, runId), "20 millis"), {
            until: ({ state }) => state !== "queued"
          })
          assert.deepInclude(kept, pinned)
        }))
      yield* on(noted, (runtime) =>
        Effect.gen(function*() {
          for (const run of [runId, fits.runId]) {
            const asked = yield* Effect.repeat(Effect.delay(runtime.get(caller, run), "20 millis"), {
              until: ({ waitsFor }) => waitsFor === "interrupt"
            })
            assert.deepInclude(asked, { state: "suspended" })
          }
        }))
    }))

  it.live("without an agent does not change that agent's runs, and they can be cancelled", () =>
    Effect.gen(function*() {
      const { on, order } = store()
      const { runId, seq } = yield* order("a box")
      yield* on(without, (runtime) =>
        Effect.gen(function*() {
          assert.deepInclude(yield* runtime.get(caller, runId), { state: "suspended", waitsFor: "interrupt", seq })
          assert.strictEqual((yield* runtime.cancel(caller, runId)).state, "cancelled")
        }))
    }))
})
