import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Run, RunStore, Runtime } from "@fastagentic/core"
import { Context, Effect, Exit, Layer, Option, Schema, Scope } from "effect"
import * as TestClock from "effect/testing/TestClock"
import { caller, layerRuntime } from "../support.ts"

const signals = { steer: Schema.String, add: Schema.Struct({ amount: Schema.Finite }) }
const Two = Agent.make("two", { description: "Takes two messages", payload: {}, signals })
const Polls = Agent.make("polls", { description: "Polls, works, polls", payload: {}, signals })
const Both = Agent.make("both", { description: "Two branches", payload: {}, signals })
const Races = Agent.make("races", { description: "Waits for a while", payload: {}, signals })
const Mixed = Agent.make("mixed", { description: "Asks and receives", payload: {}, signals })
const Mute = Agent.make("mute", { description: "Takes nothing", payload: {} })
const Wrong = Agent.make("wrong", { description: "Takes what it does not declare", payload: {} })
const Memory = Agent.make("memory", { description: "In memory", payload: {}, durable: false, signals })
const Acme = App.make("acme", { version: "1", agents: [Two, Polls, Both, Races, Mixed, Mute, Wrong, Memory] })

const two = Effect.gen(function*() {
  const first = yield* Run.receive(Two, "steer")
  const { amount } = yield* Run.receive(Two, "add")
  return `${first} ${amount}`
})

const handlers = Layer.mergeAll(
  Two.toLayer(() => two),
  Memory.toLayer(() => two),
  Polls.toLayer(Effect.fn(function*() {
    const before = yield* Run.poll(Polls, "steer")
    yield* Run.sleep("10 seconds")
    const after = yield* Run.poll(Polls, "steer")
    return [before, after].map(Option.getOrElse(() => "nothing")).join(" ")
  })),
  Both.toLayer(() =>
    Effect.map(
      Effect.all([
        Run.scope("a")(Run.receive(Both, "steer")),
        Run.scope("b")(Run.receive(Both, "steer"))
      ], { concurrency: 2 }),
      (got) => got.toSorted().join(" ")
    )
  ),
  Races.toLayer(Effect.fn(function*() {
    const got = yield* Effect.race(Run.receive(Races, "steer"), Effect.as(Run.sleep("5 seconds"), "late"))
    return `${got} then ${yield* Run.receive(Races, "steer")}`
  })),
  Mixed.toLayer(() =>
    Effect.map(
      Effect.all([
        Run.scope("a")(Effect.orDie(Run.interrupt("ok", { schema: Schema.Boolean }))),
        Run.scope("b")(Run.receive(Mixed, "steer"))
      ], { concurrency: 2 }),
      ([ok, steer]) => `${ok} ${steer}`
    )
  ),
  Mute.toLayer(() => Effect.never),
  Wrong.toLayer(() => Effect.map(Run.receive("steer"), String))
)

const passes = (millis: number) => TestClock.adjust(millis)

type Service = Runtime.Runtime["Service"]

const makeWorld = Effect.map(Layer.build(RunStore.RunStore.layerMemory), (store) => ({
  store: Context.get(store, RunStore.RunStore),
  /** A node on the store, for as long as the effect takes. */
  during: <A, E>(use: (runtime: Service) => Effect.Effect<A, E>) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const node = layerRuntime(Acme, handlers, Layer.succeedContext(store), { grace: 0 })
      const context = yield* Layer.buildWithScope(node, scope)
      return yield* Effect.onExit(use(Context.get(context, Runtime.Runtime)), () => Scope.close(scope, Exit.void))
    })
}))

/** A test on one node. */
const onNode = <A, E>(use: (runtime: Service) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(makeWorld, ({ during }) => during(use)))

/** A test on one node, with a run of the agent that has come to rest. */
const atRest = <A, E>(identifier: string, use: (runtime: Service, runId: string) => Effect.Effect<A, E>) =>
  onNode((runtime) =>
    Effect.flatMap(
      Effect.tap(start(runtime, identifier), () => passes(1_100)),
      (runId) => use(runtime, runId)
    )
  )

const start = (runtime: Service, identifier: string) =>
  Effect.map(runtime.start(caller, { kind: "agent", identifier, payload: {} }), ({ run }) => run.runId)

const steer = (runtime: Service, runId: string, payload: unknown, idempotencyKey?: string) =>
  runtime.signal(caller, runId, { signal: "steer", payload, idempotencyKey })

const add = (runtime: Service, runId: string, amount: unknown) =>
  runtime.signal(caller, runId, { signal: "add", payload: { amount } })

const outputOf = (runtime: Service, runId: string) =>
  Effect.map(runtime.get(caller, runId), ({ output, state }) => state === "completed" ? output : state)

const types = (runtime: Service, runId: string) =>
  Effect.map(
    runtime.events(caller, runId, { after: 0, limit: 100 }),
    (events) => events.map(({ type }) => type)
  )

describe("A message to a run", () => {
  for (const identifier of ["two", "memory"]) {
    it.effect(`is taken by the run that waits for it, in memory and at rest: ${identifier}`, () =>
      atRest(identifier, (runtime, runId) =>
        Effect.gen(function*() {
          assert.deepInclude(yield* runtime.get(caller, runId), { state: "suspended", waitsFor: "signal" })
          yield* steer(runtime, runId, "left")
          yield* passes(60_000)
          assert.deepInclude(yield* runtime.get(caller, runId), { state: "suspended", waitsFor: "signal" })
          yield* add(runtime, runId, 2)
          yield* passes(1_100)
          assert.strictEqual(yield* outputOf(runtime, runId), "left 2")
          const all = yield* types(runtime, runId)
          assert.strictEqual(all.filter((type) => type === "signal").length, 2)
          assert.strictEqual(all.filter((type) => type === "signal_received").length, 2)
          assert.deepStrictEqual(yield* runtime.interrupts(caller, runId), [])
        })))
  }

  it.effect("is kept until the run takes it, in the order of sending and over restarts", () =>
    Effect.gen(function*() {
      const { during } = yield* makeWorld
      const runId = yield* during((runtime) =>
        Effect.gen(function*() {
          const runId = yield* start(runtime, "two")
          yield* passes(1_100)
          yield* add(runtime, runId, 1)
          yield* passes(10)
          yield* add(runtime, runId, 2)
          assert.strictEqual((yield* runtime.get(caller, runId)).state, "suspended")
          return runId
        })
      )
      yield* during((runtime) =>
        Effect.gen(function*() {
          yield* steer(runtime, runId, "right")
          yield* passes(1_100)
          assert.strictEqual(yield* outputOf(runtime, runId), "right 1")
        })
      )
    }).pipe(Effect.scoped))

  it.effect("is polled without waiting, and a replay gives the same answers", () =>
    Effect.gen(function*() {
      const { during } = yield* makeWorld
      const runId = yield* during((runtime) =>
        Effect.gen(function*() {
          const runId = yield* start(runtime, "polls")
          yield* passes(1_100)
          yield* steer(runtime, runId, "now")
          return runId
        })
      )
      yield* passes(20_000)
      yield* during((runtime) =>
        Effect.gen(function*() {
          yield* passes(2_000)
          assert.strictEqual(yield* outputOf(runtime, runId), "nothing now")
        })
      )
    }).pipe(Effect.scoped))

  it.effect("goes to one of several branches that wait for it", () =>
    atRest("both", (runtime, runId) =>
      Effect.gen(function*() {
        yield* Effect.all([steer(runtime, runId, "x"), steer(runtime, runId, "y")], { concurrency: 2 })
        yield* passes(1_100)
        assert.strictEqual(yield* outputOf(runtime, runId), "x y")
      })))

  it.effect("is kept for the next receive when the branch that waited has given up", () =>
    onNode((runtime) =>
      Effect.gen(function*() {
        const runId = yield* start(runtime, "races")
        yield* passes(7_000)
        yield* steer(runtime, runId, "here")
        yield* passes(1_100)
        assert.strictEqual(yield* outputOf(runtime, runId), "late then here")
      })
    ))

  it.effect("neither answers a question nor is one", () =>
    atRest("mixed", (runtime, runId) =>
      Effect.gen(function*() {
        assert.deepInclude(yield* runtime.get(caller, runId), { state: "suspended", waitsFor: "interrupt" })
        const [asked, ...others] = yield* runtime.interrupts(caller, runId)
        assert.deepStrictEqual([asked?.name, others], ["a/ok", []])
        yield* steer(runtime, runId, "on")
        yield* passes(1_100)
        assert.strictEqual((yield* runtime.get(caller, runId)).state, "suspended")
        yield* runtime.answer(caller, runId, asked?.id ?? "", { decision: "approve", value: true })
        yield* passes(1_100)
        assert.strictEqual(yield* outputOf(runtime, runId), "true on")
      })))

  it.effect("with a key is one message however often it is sent", () =>
    atRest("both", (runtime, runId) =>
      Effect.gen(function*() {
        yield* Effect.all(Array.from({ length: 5 }, () => steer(runtime, runId, "x", "k")), { concurrency: 5 })
        yield* passes(1_100)
        assert.strictEqual((yield* runtime.get(caller, runId)).state, "suspended")
        const conflict = yield* Effect.flip(steer(runtime, runId, "other", "k"))
        assert.deepInclude(conflict.reason, { _tag: "IdempotencyConflict", key: "k" })
        yield* steer(runtime, runId, "y", "l")
        yield* passes(1_100)
        assert.strictEqual(yield* outputOf(runtime, runId), "x y")
        // After the end a repeat is still the same message, and a new one is refused.
        yield* steer(runtime, runId, "x", "k")
        const over = yield* Effect.flip(steer(runtime, runId, "z"))
        assert.strictEqual(over.reason._tag, "RunFinished")
      })))

  it.effect("is refused when the agent does not declare it or it does not fit", () =>
    onNode((runtime) =>
      Effect.gen(function*() {
        const [runId, mute] = [yield* start(runtime, "two"), yield* start(runtime, "mute")]
        const tag = <A>(effect: Effect.Effect<A, { readonly reason: { readonly _tag: string } }>) =>
          Effect.map(Effect.flip(effect), ({ reason }) => reason._tag)
        assert.strictEqual(yield* tag(steer(runtime, mute, "x")), "NotDeclared")
        assert.strictEqual(yield* tag(steer(runtime, runId, 7)), "InvalidPayload")
        assert.strictEqual(yield* tag(add(runtime, runId, "much")), "InvalidPayload")
        assert.strictEqual(yield* tag(steer(runtime, "00000000-0000-7000-8000-000000000000", "x")), "RunNotFound")
        const wrong = yield* start(runtime, "wrong")
        yield* passes(1_100)
        assert.strictEqual(yield* outputOf(runtime, wrong), "failed")
      })
    ))

  it.effect("is inherited by a fork when it was taken", () =>
    atRest("two", (runtime, runId) =>
      Effect.gen(function*() {
        yield* steer(runtime, runId, "left")
        yield* passes(1_100)
        yield* runtime.cancel(caller, runId)
        const { run } = yield* runtime.fork(caller, runId, {})
        yield* passes(1_100)
        yield* add(runtime, run.runId, 3)
        yield* passes(1_100)
        assert.strictEqual(yield* outputOf(runtime, run.runId), "left 3")
      })))
})
