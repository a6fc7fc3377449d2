import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Audit, Event, Run, Runtime } from "@fastagentic/core"
import { Deferred, Effect, Layer, Schedule, Schema } from "effect"
import { answer, caller, ended, isWhole, journal, layerRuntime, settle, start, summaryOf } from "../support.ts"

class NoLuck extends Schema.TaggedError<NoLuck>()("NoLuck", { by: Schema.String }, { httpApiStatus: 422 }) {}

const mode = { mode: Schema.Literals(["answer", "ask", "ask later", "fail", "hang", "defect"]) }
const Child = Agent.make("child", {
  description: "Does what it is told",
  payload: mode,
  success: Schema.Struct({ said: Schema.String }),
  error: NoLuck
})
const Parent = Agent.make("parent", { description: "Has others work", payload: mode })
const Both = Agent.make("both", { description: "Two at once", payload: mode })
const Crowd = Agent.make("crowd", { description: "Very many at once", payload: {} })
const Guarded = Agent.make("guarded", { description: "Needs a scope", payload: {}, scopes: ["guarded:call"] })
const One = Agent.make("one", {
  description: "One at a time",
  payload: { depth: Schema.Int },
  concurrency: { total: 1 }
})
const Steps = Agent.make("steps", { description: "Side by side", payload: {}, success: Schema.Json })
const Flaky = Agent.make("flaky", { description: "Tries again", payload: {} })

const Acme = App.make("acme", { version: "1", agents: [Child, Parent, Both, Crowd, Guarded, One, Steps, Flaky] })

interface World {
  readonly calls: Array<string>
  readonly gate: Deferred.Deferred<void>
}

const layerIn = ({ calls, gate }: World, audit?: Layer.Layer<Audit.Audit>) =>
  layerRuntime(
    Acme,
    Layer.mergeAll(
      Child.toLayer(Effect.fn(function*({ mode }) {
        calls.push(`child ${mode}`)
        if (mode === "fail") return yield* new NoLuck({ by: "child" })
        if (mode === "defect") return yield* Effect.die("secret")
        if (mode === "hang") {
          return yield* Effect.onInterrupt(Effect.never, () => Effect.sync(() => calls.push("stopped")))
        }
        if (mode === "ask later") yield* Deferred.await(gate)
        if (mode === "ask" || mode === "ask later") {
          return { said: yield* Effect.orDie(Run.interrupt("what", { schema: Schema.String })) }
        }
        return { said: "done" }
      })),
      Parent.toLayer(Effect.fn(function*({ mode }) {
        yield* Run.emit(Event.token("before"))
        const said = yield* Run.delegate(Child, { mode }).pipe(
          Effect.map(({ said }) => said),
          Effect.catchTag("NoLuck", ({ by }) => Effect.succeed(`no luck by ${by}`)),
          Effect.catchTag("DelegationFailed", ({ failure, state }) => Effect.succeed(`${state} ${failure?.tag}`)),
          Effect.orDie
        )
        yield* Run.emit(Event.token("after"))
        return said
      })),
      Both.toLayer(Effect.fn(function*({ mode }) {
        const [a, b] = yield* Effect.orDie(
          Effect.all([Run.delegate(Child, { mode }), Run.delegate(Child, { mode: "answer" })], { concurrency: 2 })
        )
        return `${a.said} ${b.said}`
      })),
      Crowd.toLayer(Effect.fn(function*() {
        calls.push("crowd")
        const others = Array.from({ length: 300 }, () => Run.delegate(Child, { mode: "answer" }))
        const all = Effect.all(others, { concurrency: "unbounded" })
        const opened = Effect.andThen(all, Deferred.succeed(gate, undefined))
        yield* Effect.orDie(
          Effect.all([Run.delegate(Child, { mode: "ask later" }), opened], { concurrency: 2 })
        )
        return "all"
      })),
      Guarded.toLayer(() => Effect.succeed("guarded")),
      One.toLayer(({ depth }) =>
        depth === 0 ? Effect.succeed("bottom") : Effect.orDie(Run.delegate(One, { depth: depth - 1 }))
      ),
      Steps.toLayer(Effect.fn(function*() {
        let most = 0
        let now = 0
        const work = (name: string) =>
          Effect.gen(function*() {
            most = Math.max(most, ++now)
            calls.push(name)
            const key = yield* Run.idempotencyKey
            yield* Effect.sleep("5 millis")
            now--
            return key
          })
        const keys = yield* Run.all({ a: work("a"), b: work("b"), c: work("c"), d: work("d") }, { concurrency: 2 })
        yield* Effect.orDie(Run.interrupt("go on", { schema: Schema.String }))
        return { most, keys: Object.values(keys).map((key) => key.replace(/^[^/]+/u, "run")), outside: calls.length }
      })),
      Flaky.toLayer(() => {
        const attempt = Effect.suspend(() =>
          calls.push("try") < 3
            ? Effect.andThen(Deferred.await(gate), Effect.succeed("never"))
            : Effect.succeed("third")
        )
        return Effect.orDie(Run.step("flaky", attempt, { timeout: "10 millis", retry: Schedule.recurs(5) }))
      })
    ),
    undefined,
    undefined,
    audit
  )

const inWorld = <A, E>(
  test: (world: World) => Effect.Effect<A, E, Runtime.Runtime>,
  audit?: Layer.Layer<Audit.Audit>
) =>
  Effect.flatMap(Deferred.make<void>(), (gate) => {
    const inside = { calls: [], gate }
    return Effect.provide(test(inside), layerIn(inside, audit))
  })

const childrenOf = (runId: string) =>
  Runtime.Runtime.use((runtime) =>
    Effect.map(runtime.list(caller, { parentRunId: runId, limit: 10 }), ({ items }) => items)
  )

describe("A run that has another work for it", () => {
  it.live("gets its typed answer, once", () =>
    inWorld(Effect.fnUntraced(function*({ calls }) {
      const run = yield* settle("parent", { mode: "answer" })
      assert.strictEqual(run.output, "done")
      assert.deepStrictEqual(calls, ["child answer"])
      const [child] = yield* childrenOf(run.runId)
      assert.deepInclude(child, { parentRunId: run.runId, rootRunId: run.runId, state: "completed", owner: run.owner })
      assert.strictEqual(child?.traceId, run.traceId)
      const events = summaryOf(yield* journal(run.runId))
      assert.deepStrictEqual(events, [
        "run_started",
        "token before",
        "agent_enter",
        "agent_exit",
        "token after",
        "done"
      ])
    })))

  it.live("gets its declared error, and a safe word about any other", () =>
    inWorld(Effect.fnUntraced(function*() {
      assert.strictEqual((yield* settle("parent", { mode: "fail" })).output, "no luck by child")
      assert.strictEqual((yield* settle("parent", { mode: "defect" })).output, "failed InternalError")
    })))

  it.live("pauses with it and goes on after it", () =>
    inWorld(Effect.fnUntraced(function*({ calls }) {
      const run = yield* settle("parent", { mode: "ask" })
      assert.deepInclude(run, { state: "suspended", waitsFor: "child" })
      const [child] = yield* childrenOf(run.runId)
      assert.strictEqual((yield* answer(child?.runId ?? "", { decision: "approve", value: "mine" })).state, "completed")
      assert.strictEqual((yield* ended(run.runId)).output, "mine")
      assert.deepStrictEqual(calls, ["child ask"])
      const events = yield* journal(run.runId)
      assert.isTrue(isWhole(events))
      assert.deepStrictEqual(summaryOf(events), [
        "run_started",
        "token before",
        "agent_enter",
        "run_suspended",
        "run_started",
        "agent_exit",
        "token after",
        "done"
      ])
    })))

  it.live("goes on after it also when the trail cannot be written", () =>
    inWorld(
      Effect.fnUntraced(function*() {
        const run = yield* settle("parent", { mode: "ask" })
        const [child] = yield* childrenOf(run.runId)
        yield* answer(child?.runId ?? "", { decision: "approve", value: "mine" })
        assert.strictEqual((yield* ended(run.runId)).output, "mine")
      }),
      Layer.succeed(Audit.Audit, {
        record: () => Effect.die("the trail is full"),
        page: () => Effect.succeed([]),
        redact: () => Effect.succeed(0)
      })
    ))

  it.live("waits for several side by side", () =>
    inWorld(Effect.fnUntraced(function*() {
      const run = yield* settle("both", { mode: "ask" })
      assert.deepInclude(run, { state: "suspended", waitsFor: "child" })
      const asking = (yield* childrenOf(run.runId)).find(({ state }) => state === "suspended")
      yield* answer(asking?.runId ?? "", { decision: "approve", value: "one" })
      assert.strictEqual((yield* ended(run.runId)).output, "one done")
      assert.strictEqual((yield* childrenOf(run.runId)).length, 2)
    })))

  it.live("takes it along when it is cancelled, running or paused", () =>
    inWorld(Effect.fnUntraced(function*({ calls }) {
      const runtime = yield* Runtime.Runtime
      for (const mode of ["hang", "ask"]) {
        const run = yield* start("parent", { mode })
        yield* Effect.sleep("30 millis")
        assert.strictEqual((yield* runtime.cancel(caller, run.runId)).state, "cancelled")
        yield* Effect.sleep("20 millis")
        const [child] = yield* childrenOf(run.runId)
        assert.strictEqual(child?.state, "cancelled", mode)
      }
      assert.deepStrictEqual(calls, ["child hang", "stopped", "child ask"])
    })))

  it.live("waits for the oldest of very many, and takes it along", () =>
    inWorld(Effect.fnUntraced(function*({ calls }) {
      const runtime = yield* Runtime.Runtime
      const run = yield* settle("crowd")
      assert.deepInclude(run, { state: "suspended", waitsFor: "child" })
      yield* Effect.sleep("50 millis")
      assert.strictEqual(calls.filter((call) => call === "crowd").length, 1)
      const { items: waiting } = yield* runtime.list(caller, { parentRunId: run.runId, state: "suspended", limit: 10 })
      yield* runtime.cancel(caller, run.runId)
      assert.strictEqual((yield* runtime.get(caller, waiting[0]?.runId ?? "")).state, "cancelled")
    })))

  it.live("does not wait for a place that it holds itself", () =>
    inWorld(Effect.fnUntraced(function*() {
      const run = yield* start("one", { depth: 3 })
      assert.strictEqual((yield* ended(run.runId)).output, "bottom")
    })))
})

describe("Steps side by side", () => {
  it.live("run so many at once, each once, each with a key of its own", () =>
    inWorld(Effect.fnUntraced(function*({ calls }) {
      const { runId } = yield* settle("steps")
      const run = yield* answer(runId, { decision: "approve", value: "yes" })
      const keys = ["run/a", "run/b", "run/c", "run/d"]
      assert.deepStrictEqual(run.output, { most: 2, keys, outside: 4 })
      assert.deepStrictEqual(calls, ["a", "b", "c", "d"])
    })))

  it.live("are tried again, each time for so long", () =>
    inWorld(Effect.fnUntraced(function*({ calls }) {
      assert.strictEqual((yield* settle("flaky")).output, "third")
      assert.strictEqual(calls.length, 3)
    })))
})
