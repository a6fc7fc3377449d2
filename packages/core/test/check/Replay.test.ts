import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Event, Replay, Run, RunStore, Runtime } from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import { answer, caller, layerRuntime, settle } from "../support.ts"

const Trip = Agent.make("trip", { description: "Plans", payload: { to: Schema.String }, success: Schema.Json })
const Guide = Agent.make("guide", { description: "Asks", payload: {}, success: Schema.String })
const Travel = App.make("travel", { version: "1", agents: [Trip, Guide] })

type Handler = (payload: { readonly to: string }) => Effect.Effect<Schema.Json, never, Run.CurrentRun>

/** The effects that the outside has seen. */
const done: Array<string> = []
const act = (what: string) => Effect.sync(() => done.push(what)).pipe(Effect.as(what))
const ask = (name: string) => Effect.orDie(Run.interrupt(name, { schema: Schema.String }))

const GuideLayer = Guide.toLayer(() => ask("whom"))

const handlers = (trip: Handler) => Layer.merge(Trip.toLayer(trip), GuideLayer)

/** A run of the first handler, as the second one would go on with it. */
const upgrade = Effect.fnUntraced(function*(before: Handler, after: Handler, finished = false) {
  const store = yield* Effect.provide(RunStore.RunStore, RunStore.RunStore.layerMemory)
  const layer = Layer.succeed(RunStore.RunStore, store)
  yield* Effect.scoped(Effect.provide(settle("trip", { to: "Rome" }), layerRuntime(Travel, handlers(before), layer)))
  done.length = 0
  const writes: Array<RunStore.Write> = []
  const watched: RunStore.RunStore["Service"] = {
    ...store,
    write: (batch) => {
      writes.push(...batch)
      return store.write(batch)
    }
  }
  const findings = yield* Replay.check(Travel, { agent: "trip", finished }).pipe(
    Effect.provide(Layer.merge(handlers(after), Layer.succeed(RunStore.RunStore, watched)))
  )
  assert.deepStrictEqual(writes, [])
  assert.strictEqual(findings.length, 1)
  return `${findings[0]?.verdict}, ${findings[0]?.detail}`
})

const before: Handler = Effect.fn(function*({ to }) {
  yield* Run.emit(Event.token("hello"))
  const plan = yield* Run.step("plan", act("plan"))
  const both = yield* Run.all({ hotel: act("hotel"), train: act("train") })
  yield* Run.emit(Event.token(to))
  const choice = yield* ask("choice")
  yield* Run.step("book", act("book"))
  return [plan, both, choice]
})

describe("A replay", () => {
  it.live("goes as far as the record, and does nothing that is not in it", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* upgrade(before, before), "ok, up to interrupt \"choice\"")
      assert.deepStrictEqual(done, [])
    }))

  it.live("finds a step under another name, before another, or left out", () =>
    Effect.gen(function*() {
      const renamed: Handler = Effect.fn(function*({ to }) {
        yield* Run.emit(Event.token("hello"))
        yield* Run.step("draft", act("draft"))
        return to
      })
      assert.strictEqual(
        yield* upgrade(before, renamed),
        "diverges, wants step \"draft\" where step \"plan\" is recorded"
      )
      const more: Handler = Effect.fn(function*() {
        yield* Run.emit(Event.token("hello"))
        yield* Run.step("plan", act("plan"))
        yield* Run.step("visa", act("visa"))
        return ""
      })
      assert.match(
        yield* upgrade(before, more),
        /^diverges, wants step "visa" where step "(?:hotel|train)" is recorded$/u
      )
      const less: Handler = Effect.fn(function*() {
        yield* Run.emit(Event.token("hello"))
        return yield* Run.step("plan", act("plan"))
      })
      assert.match(yield* upgrade(before, less), /^diverges, ends after step "plan", and step "(?:hotel|train)"/u)
      assert.deepStrictEqual(done, [])
    }))

  const step = (name: string) => Run.step(name, act(name))
  const inOrder = (...all: ReadonlyArray<Effect.Effect<unknown, never, Run.CurrentRun>>): Handler => () =>
    Effect.andThen(Effect.all(all, { discard: true }), ask("go on"))
  const [one, two, three] = [step("one"), step("two"), step("three")]

  it.live("finds steps that have changed places", () =>
    Effect.gen(function*() {
      const swapped = "diverges, comes to step \"two\" before step \"one\", which was committed before it"
      assert.strictEqual(yield* upgrade(inOrder(one, two, three), inOrder(two, one, three)), swapped)
      // A repeated step is placed by its number.
      assert.strictEqual(
        yield* upgrade(inOrder(one, two, one), inOrder(one, one, two)),
        "diverges, comes to step \"one#2\" before step \"two\", which was committed before it"
      )
      assert.strictEqual(
        yield* upgrade(inOrder(one, two), inOrder(two)),
        "diverges, waits after interrupt \"go on\", and step \"one\" is recorded"
      )
    }))

  it.live("finds no steps that have changed places in what goes on side by side", () =>
    Effect.gen(function*() {
      const slowly = (name: string, millis: number) => Run.step(name, Effect.delay(act(name), millis))
      const beside = inOrder(
        one,
        Effect.all([slowly("slow", 60), slowly("quick", 1).pipe(Effect.andThen(two)), three], {
          concurrency: "unbounded"
        })
      )
      assert.strictEqual(yield* upgrade(beside, beside), "ok, up to interrupt \"go on\"")
      const after = inOrder(slowly("slow", 60), slowly("quick", 1), three, one, two)
      assert.match(yield* upgrade(beside, after), /^diverges, comes to step "slow" before step "(?:one|quick|three)",/u)
    }))

  it.live("finds an answer and a step that have changed places", () =>
    Effect.gen(function*() {
      const paid = Run.step("pay", act("pay"))
      const sure: Handler = () => Effect.andThen(ask("sure"), Effect.andThen(paid, ask("go on")))
      const unsure: Handler = () => Effect.andThen(paid, Effect.andThen(ask("sure"), ask("go on")))
      const store = yield* Effect.provide(RunStore.RunStore, RunStore.RunStore.layerMemory)
      const layer = Layer.succeed(RunStore.RunStore, store)
      yield* Effect.gen(function*() {
        const { runId } = yield* settle("trip", { to: "Rome" })
        yield* answer(runId, { decision: "approve", value: "yes" })
        const check = (handler: Handler) =>
          Effect.map(
            Replay.check(Travel).pipe(Effect.provide(Layer.merge(handlers(handler), layer))),
            ([found]) => `${found?.verdict}, ${found?.detail}`
          )
        assert.strictEqual(yield* check(sure), "ok, up to interrupt \"go on\"")
        assert.strictEqual(
          yield* check(unsure),
          "diverges, comes to step \"pay\" before interrupt \"sure\", which was committed before it"
        )
      }).pipe(Effect.provide(layerRuntime(Travel, handlers(sure), layer)), Effect.scoped)
    }))

  it.live("finds another pause, and another answer to it", () =>
    Effect.gen(function*() {
      const asking = (pause: Effect.Effect<unknown, never, Run.CurrentRun>): Handler =>
        Effect.fn(function*() {
          yield* Run.step("one", act("one"))
          yield* pause
          return ""
        })
      assert.strictEqual(
        yield* upgrade(asking(ask("day")), asking(ask("date"))),
        "diverges, wants interrupt \"date\" where interrupt \"day\" is recorded"
      )
      const number = Effect.orDie(Run.interrupt("day", { schema: Schema.Int }))
      assert.strictEqual(
        yield* upgrade(asking(ask("day")), asking(number)),
        "diverges, wants another answer to interrupt \"day\" than was asked for"
      )
      assert.strictEqual(
        yield* upgrade(asking(Run.sleep("1 hour")), asking(Run.sleep("2 hours"))),
        "ok, up to step \"sleep pause\""
      )
      assert.strictEqual(
        yield* upgrade(asking(Run.sleep("1 hour")), asking(ask("day"))),
        "diverges, wants interrupt \"day\" where step \"sleep pause\" is recorded"
      )
    }))

  it.live("finds events of another type before what was committed", () =>
    Effect.gen(function*() {
      const other: Handler = Effect.fn(function*({ to }) {
        yield* Run.emit({ type: "log", data: { level: "info", message: to } })
        return yield* before({ to })
      })
      assert.strictEqual(
        yield* upgrade(before, other),
        "diverges, emits log, which the journal does not have there"
      )
    }))

  it.live("finds what does not decode any more", () =>
    Effect.gen(function*() {
      const priced = (schema: Schema.ConstraintCodec<unknown, unknown>, value: unknown): Handler =>
        Effect.fn(function*() {
          yield* Run.stepWith("price", schema, Effect.succeed(value))
          return yield* ask("ok")
        })
      assert.match(
        yield* upgrade(priced(Schema.String, "7"), priced(Schema.Int, 7)),
        /^diverges, fails after step "price": /u
      )
    }))

  it.live("starts no other runs and does no side effects, and goes through what inside of a step was committed", () =>
    Effect.gen(function*() {
      const first: Handler = Effect.fn(function*() {
        yield* Run.step("outer", Effect.andThen(Run.step("inner", act("inner")), act("outer")))
        return yield* ask("go on")
      })
      const then = (next: Effect.Effect<unknown, unknown, Run.CurrentRun>): Handler =>
        Effect.fn(function*() {
          yield* Run.step("outer", act("outer"))
          yield* Effect.orDie(next)
          return yield* ask("go on")
        })
      assert.strictEqual(
        yield* upgrade(first, then(Run.delegate(Guide, {}))),
        "diverges, wants step \"delegate guide\" where interrupt \"go on\" is recorded"
      )
      assert.strictEqual(
        yield* upgrade(first, then(Run.sideEffect("pay", act("pay")))),
        "diverges, wants step \"pay\" where interrupt \"go on\" is recorded"
      )
      assert.strictEqual(yield* upgrade(first, then(Effect.void)), "ok, up to interrupt \"go on\"")
      assert.deepStrictEqual(done, [])
    }))

  it.live("goes to the end of what has completed", () =>
    Effect.gen(function*() {
      const whole: Handler = Effect.fn(function*({ to }) {
        yield* Run.step("plan", act("plan"))
        return to
      })
      const more: Handler = Effect.fn(function*({ to }) {
        yield* Run.step("plan", act("plan"))
        yield* Run.step("more", act("more"))
        return to
      })
      assert.strictEqual(yield* upgrade(whole, whole, true), "ok, up to its end")
      assert.strictEqual(
        yield* upgrade(whole, more, true),
        "diverges, wants step \"more\" where its end, completed, is recorded"
      )
    }))

  it.live("leaves the store as it is: the run goes on afterwards", () =>
    Effect.gen(function*() {
      const store = yield* Effect.provide(RunStore.RunStore, RunStore.RunStore.layerMemory)
      const layer = Layer.succeed(RunStore.RunStore, store)
      yield* Effect.gen(function*() {
        const { runId } = yield* settle("trip", { to: "Rome" })
        const runtime = yield* Runtime.Runtime
        const [asked] = yield* runtime.interrupts(caller, runId)
        yield* Replay.check(Travel).pipe(Effect.provide(Layer.merge(handlers(before), layer)))
        const Less = App.make("travel", { version: "2", agents: [Guide] })
        const [gone] = yield* Replay.check(Less).pipe(Effect.provide(Layer.merge(GuideLayer, layer)))
        assert.deepInclude(gone, { runId, verdict: "undeclared", detail: "there is no agent \"trip\" any more" })
        yield* runtime.answer(caller, runId, asked?.id ?? "", { decision: "approve", value: "both" })
        assert.deepInclude(yield* runtime.await(caller, runId), { state: "completed" })
      }).pipe(Effect.provide(layerRuntime(Travel, handlers(before), layer)), Effect.scoped)
    }))
})
