import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Event, Run, RunError, RunStore, Runtime } from "@fastagentic/core"
import { Deferred, Effect, Fiber, Layer, Schema, Stream } from "effect"
import { caller, isWhole, journal, layerRuntime, settle, start } from "../support.ts"

const Work = Agent.make("work", { description: "Works", payload: { steps: Schema.Int }, success: Schema.Int })
const Talk = Agent.make("talk", { description: "Talks", payload: { tokens: Schema.Int } })
const Quiet = Agent.make("quiet", { description: "Talks in memory", payload: { tokens: Schema.Int }, durable: false })
const Acquire = Agent.make("acquire", { description: "Steps where it cannot be interrupted", payload: {} })

const Stuck = Agent.make("stuck", { description: "Cannot be interrupted", payload: {} })

const Acme = App.make("acme", { version: "1", agents: [Work, Talk, Quiet, Acquire, Stuck] })

const gate = Deferred.makeUnsafe<void>()

const talk = ({ tokens }: { readonly tokens: number }) =>
  Stream.range(0, tokens - 1).pipe(Stream.map((at) => Event.token(`${at} `)))

const Handlers = Layer.mergeAll(
  Work.toLayer(Effect.fn(function*({ steps }) {
    for (let at = 0; at < steps; at++) {
      yield* Run.step("step", Effect.andThen(Effect.sleep("2 millis"), Effect.succeed(at)))
    }
    return steps
  })),
  Talk.toLayer(talk),
  Quiet.toLayer(talk),
  Acquire.toLayer(() =>
    Effect.gen(function*() {
      yield* Effect.acquireRelease(Run.step("acquire", Effect.succeed("got")), () =>
        Effect.orDie(Run.step("release", Effect.succeed(1))))
      yield* Effect.uninterruptible(Run.step("more", Effect.succeed(2)))
      return yield* Effect.never
    })
  ),
  Stuck.toLayer(() => Effect.as(Effect.uninterruptible(Deferred.await(gate)), "done"))
)

interface Log {
  readonly types?: Array<ReadonlyArray<string>>
  writes: number
  largestWrite: number
  largestBatch: number
}

type Answers = ReturnType<RunStore.RunStore["Service"]["write"]>

/** A store in memory that is slow, or breaks at a write, or both. */
const layerStore = (options: {
  readonly at?: (write: number) => Answers | undefined
  readonly delay?: number
  readonly log?: Log
}) =>
  Layer.effect(
    RunStore.RunStore,
    Effect.map(RunStore.RunStore, ({ write, ...store }) => {
      const log = options.log ?? { writes: 0, largestWrite: 0, largestBatch: 0 }
      return {
        ...store,
        write: (writes: ReadonlyArray<RunStore.Write>) =>
          Effect.suspend(() => {
            log.writes++
            log.types?.push(...writes.map((one) => one.events.map(({ type }) => type)))
            log.largestBatch = Math.max(log.largestBatch, writes.reduce((sum, one) => sum + one.events.length, 0))
            log.largestWrite = Math.max(log.largestWrite, ...writes.map((one) => one.events.length))
            return Effect.andThen(Effect.sleep(options.delay ?? 0), options.at?.(log.writes) ?? write(writes))
          })
      }
    })
  ).pipe(Layer.provide(RunStore.RunStore.layerMemory))

const unavailable = Effect.fail(new RunError.StoreUnavailable({ operation: "test" }))

const withStore = (options: Parameters<typeof layerStore>[0]) =>
  Effect.provide(layerRuntime(Acme, Handlers, layerStore(options)))

const follow = Effect.fnUntraced(function*(runId: string) {
  const runtime = yield* Runtime.Runtime
  const pages = yield* runtime.follow(caller, runId, { after: 0, until: "final" })
  return yield* Stream.runCollect(pages)
})

describe("A store that fails", () => {
  for (
    const [how, answer] of [
      ["says so", unavailable],
      ["breaks", Effect.die(new Error("disk on fire"))],
      ["answers too little", Effect.succeed([])]
    ] as const
  ) {
    it.live(`stops the run when it ${how}, ends its followers, and leaves other runs alone`, () =>
      Effect.gen(function*() {
        const runtime = yield* Runtime.Runtime
        const other = yield* Effect.forkChild(settle("quiet", { tokens: 50 }))
        const run = yield* start("work", { steps: 50 })
        const waiting = yield* Effect.forkChild(runtime.await(caller, run.runId))
        const pages = yield* follow(run.runId)
        assert.isTrue(pages.at(-1)?.closing)
        assert.strictEqual((yield* Fiber.join(waiting)).state, "running")
        assert.strictEqual((yield* Fiber.join(other)).state, "completed")
        // The store is back: new runs work, and the lost one can still be ended.
        assert.strictEqual((yield* settle("work", { steps: 2 })).state, "completed")
        assert.strictEqual((yield* runtime.cancel(caller, run.runId)).state, "cancelled")
        const events = yield* journal(run.runId)
        assert.isTrue(isWhole(events))
        assert.strictEqual(events.at(-1)?.type, "run_cancelled")
      }).pipe(withStore({ at: (write) => write === 4 ? answer : undefined })))
  }

  it.live("refuses a start that it could not keep", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(start("work", { steps: 1 }))
      assert.strictEqual(error.reason._tag, "StoreUnavailable")
      assert.strictEqual((yield* settle("work", { steps: 1 })).state, "completed")
    }).pipe(withStore({ at: (write) => write === 1 ? unavailable : undefined })))

  it.live("loses the end of a run, not the run: the next start goes on", () =>
    Effect.gen(function*() {
      const log: Log = { writes: 0, largestWrite: 0, largestBatch: 0 }
      const store = yield* Layer.build(layerStore({ log, at: (write) => write === 4 ? unavailable : undefined }))
      const shared = Layer.succeedContext(store)
      const runId = yield* Effect.gen(function*() {
        const run = yield* start("work", { steps: 2 })
        yield* follow(run.runId)
        return run.runId
      }).pipe(Effect.provide(layerRuntime(Acme, Handlers, shared)), Effect.scoped)
      const run = yield* Runtime.Runtime.use((runtime) => runtime.await(caller, runId)).pipe(
        Effect.provide(layerRuntime(Acme, Handlers, shared)),
        Effect.scoped
      )
      assert.deepInclude(run, { state: "completed", attempt: 2, output: 2 })
    }).pipe(Effect.scoped))

  it.live("does not hang a handler that cannot be interrupted", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const run = yield* start("acquire")
      const pages = yield* follow(run.runId)
      assert.isTrue(pages.at(-1)?.closing)
      assert.strictEqual((yield* runtime.cancel(caller, run.runId)).state, "cancelled")
    }).pipe(withStore({ at: (write) => write === 2 ? unavailable : undefined })))

  it.live("is not asked again by a run that is cancelled inside of a region that cannot be interrupted", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const run = yield* start("acquire")
      yield* Effect.sleep("30 millis")
      assert.strictEqual((yield* runtime.cancel(caller, run.runId)).state, "cancelled")
      assert.isTrue(isWhole(yield* journal(run.runId)))
    }).pipe(withStore({})))

  it.live("is asked again for the end of a run whose code cannot be interrupted", () => {
    let isAway = false
    return Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const run = yield* start("stuck")
      yield* Effect.sleep("100 millis")
      isAway = true
      const refused = yield* Effect.flip(runtime.cancel(caller, run.runId))
      assert.strictEqual(refused.reason._tag, "StoreUnavailable")
      isAway = false
      const ended = yield* Effect.timeout(runtime.await(caller, run.runId), "4 seconds")
      assert.strictEqual(ended.state, "cancelled")
      const events = yield* journal(run.runId)
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.sleep("100 millis")
      assert.deepStrictEqual(yield* journal(run.runId), events)
      assert.strictEqual(events.at(-1)?.type, "run_cancelled")
    }).pipe(
      Effect.ensuring(Deferred.succeed(gate, undefined)),
      withStore({ at: () => isAway ? unavailable : undefined })
    )
  }, 20_000)
})

describe("A slow store", () => {
  it.live("gets the events that a run still has with its end, in one write", () => {
    const log: Log = { types: [], writes: 0, largestWrite: 0, largestBatch: 0 }
    return Effect.gen(function*() {
      const run = yield* settle("talk", { tokens: 3 })
      assert.deepStrictEqual(log.types, [["run_started"], ["token", "token", "token", "done"]])
      assert.deepStrictEqual((yield* journal(run.runId)).map(({ seq }) => seq), [1, 2, 3, 4, 5])
    }).pipe(withStore({ delay: 5, log }))
  })

  it.live("holds back a run that emits faster than it writes", () => {
    const log: Log = { writes: 0, largestWrite: 0, largestBatch: 0 }
    return Effect.gen(function*() {
      const run = yield* settle("talk", { tokens: 100_000 })
      assert.strictEqual(run.state, "completed")
      assert.strictEqual(run.seq, 100_002)
      assert.isBelow(log.largestWrite, 1_100)
      assert.isBelow(log.largestBatch, 70_000)
      assert.isAbove(log.writes, 2)
    }).pipe(withStore({ delay: 5, log }))
  }, 60_000)

  it.live("launches every run that it admits, even when the caller leaves meanwhile", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      for (let turn = 0; turn < 10; turn++) {
        const leaving = yield* Effect.forkChild(start("work", { steps: 1 }, "agent", `k${turn}`))
        yield* Effect.sleep(turn)
        yield* Fiber.interrupt(leaving)
      }
      // The last one may still be on its way to the store.
      yield* settle("work", { steps: 1 })
      const { items: runs } = yield* runtime.list(caller, { limit: 100 })
      assert.isAbove(runs.length, 1)
      for (const { runId } of runs) assert.strictEqual((yield* runtime.await(caller, runId)).state, "completed")
    }).pipe(withStore({ delay: 5 })))

  it.live("gives the run a decision even when whoever decided leaves meanwhile", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const run = yield* start("acquire")
      yield* Effect.sleep("60 millis")
      const leaving = yield* Effect.forkChild(runtime.cancel(caller, run.runId))
      yield* Effect.sleep("1 millis")
      yield* Fiber.interrupt(leaving)
      const events = yield* journal(run.runId)
      assert.strictEqual(events.at(-1)?.type, "run_cancelled")
    }).pipe(withStore({ delay: 5 })))
})

describe("Runs in memory", () => {
  it.live("are kept up to a number of those that ended last", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const ids = yield* Effect.forEach(
        Array.from({ length: 1_050 }),
        () => Effect.map(settle("quiet", { tokens: 1 }), ({ runId }) => runId)
      )
      const kept = yield* Effect.filter(ids, (runId) => Effect.isSuccess(runtime.get(caller, runId)))
      assert.isTrue(kept.length >= 100 && kept.length <= 1_000, String(kept.length))
      assert.deepStrictEqual(kept, ids.slice(-kept.length))
      const { items: listed } = yield* runtime.list(caller, { limit: 2_000 })
      assert.deepStrictEqual(listed.map(({ runId }) => runId), kept.toReversed())
    }).pipe(withStore({})))
})
