import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Run, RunStore, Runtime } from "@fastagentic/core"
import { Deferred, Duration, Effect, Layer, Schema } from "effect"
import { answer, caller, ended, isWhole, journal, layerRuntime, settle, start, summaryOf } from "../support.ts"

const Nap = Agent.make("nap", { description: "Sleeps", payload: { millis: Schema.Int } })
const Offer = Agent.make("offer", { description: "Asks for a while", payload: { default: Schema.Boolean } })
const Slow = Agent.make("slow", {
  description: "Two at a time, one for each tenant of them",
  payload: { name: Schema.String },
  concurrency: { total: 1 }
})
const Turn = Agent.make("turn", { description: "In turn", payload: { name: Schema.String }, threads: "enqueue" })
const Single = Agent.make("single", { description: "One", payload: { name: Schema.String }, threads: "reject" })
const Newest = Agent.make("newest", { description: "New", payload: { name: Schema.String }, threads: "interrupt" })
const Undo = Agent.make("undo", { description: "Undo", payload: { name: Schema.String }, threads: "rollback" })

const Acme = App.make("acme", { version: "1", agents: [Nap, Offer, Slow, Turn, Single, Newest, Undo] })

/** The runs that have started, and the latch that lets them end. */
interface World {
  readonly started: Array<string>
  readonly gate: Deferred.Deferred<void>
}

const world = Effect.map(Deferred.make<void>(), (gate): World => ({ started: [], gate }))

const layerIn = ({ gate, started }: World, store?: Layer.Layer<RunStore.RunStore>) => {
  const gated = ({ name }: { readonly name: string }) =>
    Effect.suspend(() => {
      started.push(name)
      return Effect.as(Deferred.await(gate), name)
    })
  return layerRuntime(
    Acme,
    Layer.mergeAll(
      Nap.toLayer(Effect.fn(function*({ millis }) {
        started.push("before")
        yield* Run.sleep(Duration.millis(millis))
        started.push("after")
        return "rested"
      })),
      Offer.toLayer(Effect.fn(function*(payload) {
        const options = { schema: Schema.String, expiresIn: "50 millis" } as const
        return yield* Run.interrupt("offer", payload.default ? { ...options, default: "nobody came" } : options).pipe(
          Effect.catchTag("InterruptDenied", ({ reason }) => Effect.succeed(`denied: ${reason}`))
        )
      })),
      Slow.toLayer(gated),
      Turn.toLayer(gated),
      Single.toLayer(gated),
      Newest.toLayer(gated),
      Undo.toLayer(gated)
    ),
    store
  )
}

const inWorld = <A, E>(test: (world: World) => Effect.Effect<A, E, Runtime.Runtime>) =>
  Effect.flatMap(world, (inside) => Effect.provide(test(inside), layerIn(inside)))

const startIn = (identifier: string, name: string, threadId: string) =>
  Runtime.Runtime.use((runtime) => runtime.start(caller, { kind: "agent", identifier, payload: { name }, threadId }))
    .pipe(Effect.map(({ run }) => run))

const get = (runId: string) => Runtime.Runtime.use((runtime) => runtime.get(caller, runId))
describe("A run that sleeps", () => {
  it.live("is nobody's until its time has come", () =>
    inWorld(Effect.fnUntraced(function*({ started }) {
      const run = yield* settle("nap", { millis: 80 })
      assert.deepInclude(run, { state: "suspended", waitsFor: "timer" })
      assert.isDefined(run.wakeAt)
      assert.strictEqual((yield* ended(run.runId)).output, "rested")
      assert.deepStrictEqual(started, ["before", "after"])
      const events = yield* journal(run.runId)
      assert.isTrue(isWhole(events))
      assert.deepStrictEqual(summaryOf(events), ["run_started", "run_suspended", "run_started", "done"])
    })))

  it.live("wakes at the next start when nobody was there", () =>
    Effect.gen(function*() {
      const store = Layer.succeed(
        RunStore.RunStore,
        yield* Effect.provide(RunStore.RunStore, RunStore.RunStore.layerMemory)
      )
      const inside = yield* world
      const { runId } = yield* Effect.provide(settle("nap", { millis: 30 }), layerIn(inside, store))
      yield* Effect.sleep("60 millis")
      const run = yield* Effect.provide(ended(runId), layerIn(inside, store))
      assert.strictEqual(run.output, "rested")
    }))

  it.live("sleeps on when it is resumed too early", () =>
    inWorld(Effect.fnUntraced(function*({ started }) {
      const { runId, wakeAt } = yield* settle("nap", { millis: 60_000 })
      const runtime = yield* Runtime.Runtime
      yield* runtime.resume(caller, runId)
      assert.deepInclude(yield* runtime.await(caller, runId), { state: "suspended", wakeAt: wakeAt ?? 0 })
      assert.deepStrictEqual(started, ["before"])
      assert.strictEqual((yield* runtime.cancel(caller, runId)).state, "cancelled")
    })))
})

describe("A decision that nobody takes", () => {
  it.live("is its default", () =>
    inWorld(Effect.fnUntraced(function*() {
      const { runId } = yield* settle("offer", { default: true })
      assert.strictEqual((yield* ended(runId)).output, "nobody came")
      const resolved = (yield* journal(runId)).find(({ type }) => type === "interrupt_resolved")
      assert.deepInclude(resolved?.data, { decision: "expire", by: "runtime", value: "nobody came" })
    })))

  it.live("is a refusal without one", () =>
    inWorld(Effect.fnUntraced(function*() {
      const { runId } = yield* settle("offer", { default: false })
      assert.strictEqual((yield* ended(runId)).output, "denied: expired")
    })))

  it.live("cannot be taken any more", () =>
    inWorld(Effect.fnUntraced(function*() {
      const { runId } = yield* settle("offer", { default: true })
      yield* ended(runId)
      const runtime = yield* Runtime.Runtime
      const [asked] = yield* runtime.interrupts(caller, runId)
      const late = yield* Effect.flip(
        runtime.answer(caller, runId, asked?.id ?? "", { decision: "approve", value: "me" })
      )
      assert.strictEqual(late.reason._tag, "InterruptResolved")
    })))

  it.live("is what somebody decided in time", () =>
    inWorld(Effect.fnUntraced(function*() {
      const { runId } = yield* settle("offer", { default: true })
      assert.strictEqual((yield* answer(runId, { decision: "approve", value: "me" })).output, "me")
    })))
})

describe("A start", () => {
  it.live("waits until its time", () =>
    inWorld(Effect.fnUntraced(function*({ gate }) {
      yield* Deferred.succeed(gate, undefined)
      const runtime = yield* Runtime.Runtime
      const startAt = Date.now() + 80
      const request = { kind: "agent", identifier: "single", payload: { name: "a" }, startAt } as const
      const { run } = yield* runtime.start(caller, request)
      assert.deepInclude(run, { state: "queued", wakeAt: startAt })
      const done = yield* runtime.await(caller, run.runId)
      assert.deepInclude(done, { state: "completed", attempt: 1 })
      assert.isAtLeast(done.finishedAt ?? 0, startAt)
      assert.deepStrictEqual(summaryOf(yield* journal(run.runId)), ["run_queued", "run_started", "done"])
    })))

  it.live("waits for its turn, the most important first", () =>
    inWorld(Effect.fnUntraced(function*({ gate, started }) {
      const runtime = yield* Runtime.Runtime
      const begin = (name: string, priority = 0) =>
        Effect.map(
          runtime.start(caller, { kind: "agent", identifier: "slow", payload: { name }, priority }),
          ({ run }) => run
        )
      const runs = [yield* begin("first"), yield* begin("second"), yield* begin("urgent", 9), yield* begin("third")]
      yield* Effect.sleep("50 millis")
      assert.deepStrictEqual(started, ["first"])
      const states = yield* Effect.forEach(runs, ({ runId }) => Effect.map(get(runId), ({ state }) => state))
      assert.deepStrictEqual(states, ["running", "queued", "queued", "queued"])
      yield* Deferred.succeed(gate, undefined)
      for (const { runId } of runs) assert.strictEqual((yield* runtime.await(caller, runId)).state, "completed")
      assert.deepStrictEqual(started, ["first", "urgent", "second", "third"])
    })))

  it.live("never runs beside another of a hundred when one is allowed", () =>
    inWorld(Effect.fnUntraced(function*({ gate, started }) {
      const begin = (index: number) => start("slow", { name: `${index}` })
      const runs = yield* Effect.forEach(Array.from({ length: 100 }, (_, index) => index), begin, {
        concurrency: "unbounded"
      })
      assert.strictEqual(started.length, 1)
      yield* Deferred.succeed(gate, undefined)
      for (const { runId } of runs) assert.strictEqual((yield* ended(runId)).state, "completed")
      assert.strictEqual(new Set(started).size, 100)
      assert.strictEqual(started.length, 100)
    })))
})

describe("A thread that is not through", () => {
  it.live("refuses a run that wants to be alone", () =>
    inWorld(Effect.fnUntraced(function*({ gate }) {
      const first = yield* startIn("single", "first", "t")
      const refused = yield* Effect.flip(startIn("single", "second", "t"))
      assert.deepInclude(refused.reason, { _tag: "ThreadBusy", threadId: "t", runId: first.runId })
      assert.strictEqual((yield* startIn("single", "other", "u")).state, "running")
      yield* Deferred.succeed(gate, undefined)
      yield* ended(first.runId)
      assert.strictEqual((yield* ended((yield* startIn("single", "third", "t")).runId)).output, "third")
    })))

  it.live("makes the next wait, in order", () =>
    inWorld(Effect.fnUntraced(function*({ gate, started }) {
      const runs = [
        yield* startIn("turn", "1", "t"),
        yield* startIn("turn", "2", "t"),
        yield* startIn("turn", "3", "t")
      ]
      yield* startIn("turn", "elsewhere", "u")
      assert.deepStrictEqual(started, ["1", "elsewhere"])
      yield* Deferred.succeed(gate, undefined)
      for (const { runId } of runs) yield* ended(runId)
      assert.deepStrictEqual(started, ["1", "elsewhere", "2", "3"])
    })))

  it.live("gives way to the newest", () =>
    inWorld(Effect.fnUntraced(function*({ gate }) {
      const first = yield* startIn("newest", "first", "t")
      const second = yield* startIn("newest", "second", "t")
      assert.strictEqual((yield* get(first.runId)).state, "cancelled")
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* ended(second.runId)).output, "second")
    })))

  it.live("forgets what is undone", () =>
    inWorld(Effect.fnUntraced(function*() {
      const first = yield* startIn("undo", "first", "t")
      const second = yield* startIn("undo", "second", "t")
      assert.strictEqual((yield* Effect.flip(get(first.runId))).reason._tag, "RunNotFound")
      const runtime = yield* Runtime.Runtime
      const { items: listed } = yield* runtime.list(caller, { threadId: "t", limit: 10 })
      assert.deepStrictEqual(listed.map(({ runId }) => runId), [second.runId])
    })))

  it.live("has one run of fifty that come at once", () =>
    inWorld(Effect.fnUntraced(function*() {
      const begin = Effect.result(startIn("single", "x", "t"))
      const results = yield* Effect.all(Array.from({ length: 50 }, () => begin), { concurrency: "unbounded" })
      assert.strictEqual(results.filter(({ _tag }) => _tag === "Success").length, 1)
    })))
})
