import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Run, RunStore, Runtime } from "@fastagentic/core"
import { Context, Effect, Exit, Layer, Schema, Scope } from "effect"
import * as TestClock from "effect/testing/TestClock"
import { caller, layerRuntime } from "../support.ts"

const payload = {}
const Slow = Agent.make("slow", { description: "Never ends", payload, timeout: "10 seconds" })
const Free = Agent.make("free", { description: "Has no limit", payload })
const Asks = Agent.make("asks", { description: "Asks", payload })
const Naps = Agent.make("naps", { description: "Sleeps", payload })
const Boss = Agent.make("boss", { description: "Delegates", payload })
const Line = Agent.make("line", { description: "One at a time", payload, concurrency: { total: 1 } })
const Quick = Agent.make("quick", { description: "Ends in time", payload, timeout: "10 seconds" })
const Memory = Agent.make("memory", { description: "Asks in memory", payload, durable: false, timeout: "10 seconds" })
const agents = [Slow, Free, Asks, Naps, Boss, Line, Quick, Memory]
const Acme = App.make("acme", { version: "1", agents })

const finalized: Array<string> = []

const handlers = Layer.mergeAll(
  Slow.toLayer(() => Effect.ensuring(Effect.never, Effect.sync(() => finalized.push("slow")))),
  Free.toLayer(() => Effect.never),
  Asks.toLayer(() => Effect.as(Effect.orDie(Run.interrupt("go", { schema: Schema.Boolean })), "went")),
  Naps.toLayer(() => Effect.as(Run.sleep("1 hour"), "slept")),
  Boss.toLayer(() => Effect.orDie(Run.delegate(Free, {}))),
  Line.toLayer(() => Effect.never),
  Quick.toLayer(() => Effect.as(Effect.sleep("9 seconds"), "done")),
  Memory.toLayer(() => Effect.as(Effect.orDie(Run.interrupt("go", { schema: Schema.Boolean })), "went"))
)

const passes = (millis: number) => TestClock.adjust(millis)

const withRuntime = <A, E>(use: (runtime: Runtime.Runtime["Service"]) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(
    Layer.build(layerRuntime(Acme, handlers)),
    (context) => use(Context.get(context, Runtime.Runtime))
  ))

const start = (
  runtime: Runtime.Runtime["Service"],
  identifier: string,
  more: Partial<Runtime.StartRequest> = {}
) => Effect.map(runtime.start(caller, { kind: "agent", identifier, payload: {}, ...more }), ({ run }) => run)

const exceeded = (run: { readonly state: string; readonly error?: unknown }) => {
  assert.strictEqual(run.state, "failed")
  assert.deepInclude(run.error, { tag: "DeadlineExceeded", status: 504, declared: false })
}

describe("A run with a deadline", () => {
  it.effect("fails at the timeout of its agent, and its finalizers run", () =>
    withRuntime((runtime) =>
      Effect.gen(function*() {
        finalized.length = 0
        const run = yield* start(runtime, "slow")
        assert.strictEqual(run.deadline, run.createdAt + 10_000)
        yield* passes(9_999)
        assert.strictEqual((yield* runtime.get(caller, run.runId)).state, "running")
        yield* passes(1)
        const ended = yield* runtime.await(caller, run.runId)
        exceeded(ended)
        assert.strictEqual(ended.finishedAt, run.deadline)
        assert.deepStrictEqual(finalized, ["slow"])
      })
    ))

  it.effect("ends as usual when it ends in time", () =>
    withRuntime((runtime) =>
      Effect.gen(function*() {
        const run = yield* start(runtime, "quick")
        yield* passes(60_000)
        assert.deepInclude(yield* runtime.get(caller, run.runId), { state: "completed", output: "done" })
      })
    ))

  for (const [identifier, waitsFor] of [["asks", "interrupt"], ["naps", "timer"], ["memory", "interrupt"]] as const) {
    it.effect(`fails while it waits for ${waitsFor === "timer" ? "a time" : "a decision"}: ${identifier}`, () =>
      withRuntime((runtime) =>
        Effect.gen(function*() {
          const run = yield* start(runtime, identifier, { timeout: 5_000 })
          yield* passes(4_000)
          assert.deepInclude(yield* runtime.get(caller, run.runId), { state: "suspended", waitsFor })
          yield* passes(3_000)
          exceeded(yield* runtime.get(caller, run.runId))
          const events = yield* runtime.events(caller, run.runId, { after: 0, limit: 100 })
          assert.strictEqual(events.at(-1)?.type, "error")
        })
      ))
  }

  it.effect("fails while it stands in a line that is full", () =>
    withRuntime((runtime) =>
      Effect.gen(function*() {
        const first = yield* start(runtime, "line")
        const second = yield* start(runtime, "line", { timeout: 5_000 })
        yield* passes(7_000)
        exceeded(yield* runtime.get(caller, second.runId))
        assert.strictEqual((yield* runtime.get(caller, first.runId)).state, "running")
      })
    ))

  it.effect("has its whole time from the start that was asked for", () =>
    withRuntime((runtime) =>
      Effect.gen(function*() {
        const run = yield* start(runtime, "slow", { startAt: 60_000 })
        assert.strictEqual(run.deadline, 70_000)
        yield* passes(65_000)
        assert.strictEqual((yield* runtime.get(caller, run.runId)).state, "running")
        yield* passes(6_000)
        exceeded(yield* runtime.get(caller, run.runId))
      })
    ))

  it.effect("takes the shorter of the agent's timeout and of the start's", () =>
    withRuntime((runtime) =>
      Effect.gen(function*() {
        const deadlines = yield* Effect.forEach(
          [5_000, 20_000],
          (timeout) => Effect.map(start(runtime, "slow", { timeout }), ({ deadline }) => deadline)
        )
        assert.deepStrictEqual(deadlines, [5_000, 10_000])
        assert.notProperty(yield* start(runtime, "free"), "deadline")
      })
    ))

  it.effect("gives its deadline to the runs that it starts", () =>
    withRuntime((runtime) =>
      Effect.gen(function*() {
        const { runId } = yield* start(runtime, "boss", { timeout: 5_000 })
        yield* passes(1_000)
        const { items: [child] } = yield* runtime.list(caller, { parentRunId: runId, limit: 10 })
        assert.strictEqual(child?.deadline, 5_000)
        yield* passes(6_000)
        exceeded(yield* runtime.get(caller, runId))
        const { items: [ended] } = yield* runtime.list(caller, { parentRunId: runId, limit: 10 })
        assert.include(["failed", "cancelled"], ended?.state)
      })
    ))

  it.effect("fails at the start of a server that was down at its deadline", () =>
    Effect.gen(function*() {
      const store = yield* Layer.build(RunStore.RunStore.layerMemory)
      const kept = Layer.succeedContext(store)
      const during = <A, E>(use: (runtime: Runtime.Runtime["Service"]) => Effect.Effect<A, E>) =>
        Effect.gen(function*() {
          const scope = yield* Scope.make()
          const context = yield* Layer.buildWithScope(layerRuntime(Acme, handlers, kept, { grace: 0 }), scope)
          return yield* Effect.onExit(use(Context.get(context, Runtime.Runtime)), () => Scope.close(scope, Exit.void))
        })
      const runs = yield* during((runtime) =>
        Effect.tap(
          Effect.forEach(["asks", "slow", "naps"], (one) => start(runtime, one, { timeout: 5_000 })),
          passes(1_000)
        )
      )
      yield* passes(60_000)
      yield* during((runtime) =>
        Effect.gen(function*() {
          yield* passes(2_000)
          for (const { runId } of runs) exceeded(yield* runtime.await(caller, runId))
        })
      )
    }).pipe(Effect.scoped))

  it.effect("of an agent whose timeout is no time stops the start of the server", () =>
    Effect.gen(function*() {
      for (const timeout of [0, Infinity]) {
        const Never = Agent.make("never", { description: "Never", payload, timeout })
        const app = App.make("acme", { version: "1", agents: [Never] })
        const error = yield* Effect.flip(Layer.build(layerRuntime(app, Never.toLayer(() => Effect.succeed("")))))
        assert.propertyVal(error, "_tag", "FusionError")
      }
    }).pipe(Effect.scoped))
})
