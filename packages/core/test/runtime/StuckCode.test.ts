import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Hook, Run, RunError, RunStore, Runtime, SharedNotes } from "@fastagentic/core"
import { Context, Deferred, type Duration, Effect, Fiber, Layer, Schema } from "effect"
import * as TestClock from "effect/testing/TestClock"
import { caller, layerRuntime } from "../support.ts"

const payload = {}
const One = Agent.make("one", { description: "One at a time", payload, concurrency: { total: 1 } })
const Two = Agent.make("two", { description: "One of a tenant", payload, concurrency: { perTenant: 1 } })
const Turns = Agent.make("turns", { description: "Takes turns", payload, threads: "enqueue" })
const Free = Agent.make("free", { description: "Has no limit", payload })
const Alerts = Hook.make("acme/alerts")
const Waits = Agent.make("waits", { description: "Waits", payload, timeout: "5 seconds" }).hook(Alerts)
const Undoes = Agent.make("undoes", { description: "Undoes", payload, timeout: "5 seconds" }).hook(Alerts)
const Hangs = Agent.make("hangs", { description: "Hangs", payload, timeout: "5 seconds" }).hook(Alerts)
const Naps = Agent.make("naps", { description: "Sleeps", payload })
const Leaves = Agent.make("leaves", { description: "Leaves its node once", payload })
const Acme = App.make("acme", { version: "1", agents: [One, Two, Turns, Free, Waits, Undoes, Hangs, Naps, Leaves] })

/** The state that the handlers share with their test. */
const makeWorld = () => ({ gate: Deferred.makeUnsafe<void>(), runs: 0, asked: 0, isChanged: false })
type World = ReturnType<typeof makeWorld>

const handlers = (world: World) => {
  /** Only the first run cannot be interrupted. */
  const work = () =>
    Effect.suspend(() =>
      world.runs++ === 0
        ? Effect.as(Effect.uninterruptible(Deferred.await(world.gate)), "stuck")
        : Effect.succeed("worked")
    )
  const asks = Effect.orDie(Run.interrupt("go", { schema: Schema.String }))
  return Layer.mergeAll(
    One.toLayer(work),
    Two.toLayer(work),
    Turns.toLayer(work),
    Free.toLayer(work),
    Waits.toLayer(() => asks),
    Hangs.toLayer(() => Effect.as(Effect.uninterruptible(Deferred.await(world.gate)), "hung")),
    Naps.toLayer(() => Effect.as(Effect.orDie(Run.sleep("6 seconds")), "awake")),
    Undoes.toLayer(() =>
      Effect.suspend(() => Effect.andThen(world.isChanged ? Effect.void : Run.compensate("book", Effect.void), asks))
    ),
    Leaves.toLayer(() =>
      Effect.flatMap(
        Run.CurrentRun,
        ({ leave }) => world.runs++ === 0 ? Effect.uninterruptible(leave) : Effect.succeed("back")
      )
    ),
    Alerts.toLayer({
      error: (failure) =>
        Effect.suspend(() => {
          world.asked++
          return Effect.as(Effect.sleep("2500 millis"), { ...failure, message: "asked" })
        })
    })
  )
}

/** Nodes of one store. It cannot tell their runs apart, so none looks for its own unfinished ones. */
const nodes = (
  world: World,
  change: (store: RunStore.RunStore["Service"]) => Partial<RunStore.RunStore["Service"]> = () => ({}),
  apart: Duration.Input = 0
) =>
  Effect.gen(function*() {
    const store = Context.get(yield* Layer.build(RunStore.RunStore.layerMemory), RunStore.RunStore)
    const notes = SharedNotes.makeMemory()
    const node = Effect.map(
      Layer.build(
        layerRuntime(
          Acme,
          handlers(world),
          Layer.succeed(RunStore.RunStore, { ...store, unfinished: Effect.succeed([]), ...change(store) })
        ).pipe(Layer.provide(Layer.succeed(SharedNotes.SharedNotes, notes)))
      ),
      (context) => Context.get(context, Runtime.Runtime)
    )
    const first = yield* node
    yield* TestClock.adjust(apart)
    const both = [first, yield* node] as const
    // Nodes wait for their code when they stop.
    yield* Effect.addFinalizer(() => Deferred.succeed(world.gate, undefined))
    return both
  })

type Node = Runtime.Runtime["Service"]

const start = (node: Node, identifier: string, more: Partial<Runtime.StartRequest> = {}) =>
  Effect.map(node.start(caller, { kind: "agent", identifier, payload: {}, ...more }), ({ run }) => run)

const cancelled = Effect.fnUntraced(function*(node: Node, runId: string) {
  const cancelling = yield* Effect.forkChild(node.cancel(caller, runId))
  yield* TestClock.adjust("6 seconds")
  assert.strictEqual((yield* Fiber.join(cancelling)).state, "cancelled")
})

describe("Code that does not stop", () => {
  for (
    const [what, identifier, more] of [
      ["the concurrency of its agent", "one", {}],
      ["its tenant's share of an agent", "two", {}],
      ["its thread", "turns", { threadId: "talk" }]
    ] as const
  ) {
    it.effect(`keeps its place in ${what} on the other nodes too, until it ends`, () =>
      Effect.gen(function*() {
        const world = makeWorld()
        const [here, there] = yield* nodes(world)
        const stuck = yield* start(here, identifier, more)
        yield* cancelled(here, stuck.runId)
        const next = yield* start(there, identifier, more)
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* there.get(caller, next.runId)).state, "queued")
        assert.strictEqual(world.runs, 1)
        yield* Deferred.succeed(world.gate, undefined)
        yield* TestClock.adjust("3 seconds")
        assert.deepInclude(yield* there.get(caller, next.runId), { state: "completed", output: "worked" })
      }).pipe(Effect.scoped))
  }

  for (
    const [what, identifier, more] of [
      ["for its agent", "one", {}],
      ["for its thread", "turns", { threadId: "talk" }]
    ] as const
  ) {
    it.effect(`gives no place to a run ${what} that another node starts as soon as its own run has ended`, () =>
      Effect.gen(function*() {
        const world = makeWorld()
        const [here, there] = yield* nodes(world, undefined, "500 millis")
        const stuck = yield* start(here, identifier, more)
        yield* TestClock.adjust("1600 millis")
        const cancelling = yield* Effect.forkChild(here.cancel(caller, stuck.runId))
        yield* TestClock.adjust("3001 millis")
        assert.strictEqual((yield* Fiber.join(cancelling)).state, "cancelled")
        const next = yield* start(there, identifier, more)
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* there.get(caller, next.runId)).state, "queued")
        assert.strictEqual(world.runs, 1)
        yield* Deferred.succeed(world.gate, undefined)
        yield* TestClock.adjust("3 seconds")
        assert.deepInclude(yield* there.get(caller, next.runId), { state: "completed", output: "worked" })
      }).pipe(Effect.scoped))
  }

  it.effect("keeps its place on the other nodes while its own node waits for error hooks", () =>
    Effect.gen(function*() {
      const world = makeWorld()
      const [here, there] = yield* nodes(world)
      const stuck = yield* start(here, "one")
      yield* cancelled(here, stuck.runId)
      yield* Effect.forEach(Array.from({ length: 33 }), () => start(here, "hangs"))
      yield* TestClock.adjust("14 seconds")
      assert.isAtLeast(world.asked, 17)
      assert.isBelow(world.asked, 34)
      const next = yield* start(there, "one")
      yield* TestClock.adjust("100 millis")
      assert.strictEqual((yield* there.get(caller, next.runId)).state, "queued")
    }).pipe(Effect.scoped))

  it.effect("is ended when its end was refused once and the store was away then", () =>
    Effect.gen(function*() {
      const world = makeWorld()
      const answers: Array<"refuse" | "away"> = []
      const [here] = yield* nodes(world, (store) => ({
        write: (writes) => {
          const answer = answers.shift()
          if (answer === "refuse") return Effect.succeed(writes.map(() => ({ _tag: "Refused" }) as const))
          if (answer === "away") return Effect.fail(new RunError.StoreUnavailable({ operation: "test" }))
          return store.write(writes)
        }
      }))
      const { runId } = yield* start(here, "free")
      const cancelling = yield* Effect.forkChild(Effect.flip(here.cancel(caller, runId)))
      yield* TestClock.adjust("1 second")
      answers.push("refuse", "away")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(cancelling)).reason._tag, "StoreUnavailable")
      assert.deepStrictEqual(answers, [])
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* here.get(caller, runId)).state, "cancelled")
    }).pipe(Effect.scoped))
})

describe("A handler that leaves its node", () => {
  it.effect("leaves it also from a region that cannot be interrupted, and continues", () =>
    Effect.gen(function*() {
      const [here] = yield* nodes(makeWorld())
      const { runId } = yield* start(here, "leaves")
      yield* TestClock.adjust("3 seconds")
      assert.deepInclude(yield* here.get(caller, runId), { state: "completed", attempt: 2, output: "back" })
    }).pipe(Effect.scoped))
})

describe("The error hooks of a run at its deadline", () => {
  it.effect("do not hold up the runs that are due meanwhile", () =>
    Effect.gen(function*() {
      const world = makeWorld()
      const here = Context.get(yield* Layer.build(layerRuntime(Acme, handlers(world))), Runtime.Runtime)
      yield* start(here, "waits")
      const { runId } = yield* start(here, "naps")
      yield* TestClock.adjust("7400 millis")
      assert.strictEqual(world.asked, 1)
      assert.deepInclude(yield* here.get(caller, runId), { state: "completed", output: "awake" })
    }).pipe(Effect.scoped))

  it.effect("are asked once for a run that waits, however many nodes find it", () =>
    Effect.gen(function*() {
      const world = makeWorld()
      const [here, there] = yield* nodes(world)
      const { runId } = yield* start(here, "waits")
      yield* TestClock.adjust("20 seconds")
      for (const node of [here, there]) {
        const run = yield* node.get(caller, runId)
        assert.strictEqual(run.state, "failed")
        assert.deepInclude(run.error, { tag: "DeadlineExceeded", message: "asked" })
      }
      assert.strictEqual(world.asked, 1)
    }).pipe(Effect.scoped))

  it.effect("are not asked again while its undos wait for repair", () =>
    Effect.gen(function*() {
      const world = makeWorld()
      const [here] = yield* nodes(world)
      const { runId } = yield* start(here, "undoes")
      yield* TestClock.adjust("4 seconds")
      world.isChanged = true
      yield* TestClock.adjust("45 seconds")
      assert.deepInclude(yield* here.get(caller, runId), { state: "suspended", waitsFor: "repair" })
      assert.strictEqual(world.asked, 1)
    }).pipe(Effect.scoped))
})
