import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Run, RunRecord, Runtime, Thread } from "@fastagentic/core"
import { Deferred, Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { caller, layerRuntime, start } from "../support.ts"
import { cutStore } from "./cutStore.ts"

class Child extends Agent.make("child", { description: "Answers", payload: {} }) {}
class Parent extends Agent.make("parent", { description: "Delegates", payload: {} }) {}
class Listener extends Agent.make("listener", {
  description: "Reads what others have kept",
  payload: { what: Schema.Literals(["signal", "thread", "message"]) },
  signals: { go: Schema.String },
  threads: "enqueue"
}) {}
class Acme extends App.make("acme", { version: "1", agents: [Parent, Child, Listener] }) {}

const ListenerLayer = (gate: Deferred.Deferred<void>) =>
  Listener.toLayer(({ what }) =>
    Effect.andThen(
      Deferred.await(gate),
      what === "signal"
        ? Effect.as(Run.poll(Listener, "go"), "read")
        : what === "thread"
        ? Effect.as(Thread.messages({ last: 1 }), "read")
        : Effect.as(Run.message, "read")
    )
  )

const until = Effect.fnUntraced(function*(runId: string, is: (run: RunRecord.RunRecord) => boolean) {
  const runtime = yield* Runtime.Runtime
  while (true) {
    yield* TestClock.adjust("20 millis")
    const run = yield* runtime.get(caller, runId)
    if (is(run)) return run
  }
})

const isFinal = ({ state }: RunRecord.RunRecord) => RunRecord.isFinal(state)

describe("A run whose store is away", () => {
  it.effect("while it delegates waits for the store and completes in its first attempt", () =>
    Effect.gen(function*() {
      const { layer, link } = yield* cutStore
      const gate = yield* Deferred.make<void>()
      const handlers = Layer.mergeAll(
        Parent.toLayer(() => Effect.andThen(Deferred.await(gate), Effect.orDie(Run.delegate(Child, {})))),
        Child.toLayer(() => Effect.succeed("answered")),
        ListenerLayer(gate)
      )
      yield* Effect.gen(function*() {
        const { runId } = yield* start("parent")
        link.isCut = true
        yield* Deferred.succeed(gate, undefined)
        yield* TestClock.adjust("500 millis")
        link.isCut = false
        assert.deepInclude(yield* until(runId, isFinal), { state: "completed", output: "answered", attempt: 1 })
      }).pipe(Effect.provide(layerRuntime(Acme, handlers, layer)))
    }).pipe(Effect.scoped), 20_000)

  for (const what of ["signal", "thread", "message"]) {
    it.effect(
      `while it reads a ${what} waits for the store and completes in its first attempt`,
      () =>
        Effect.gen(function*() {
          const { layer, link } = yield* cutStore
          const gate = yield* Deferred.make<void>()
          const handlers = Layer.mergeAll(
            Parent.toLayer(() => Effect.succeed("")),
            Child.toLayer(() => Effect.succeed("")),
            ListenerLayer(gate)
          )
          yield* Effect.gen(function*() {
            const runtime = yield* Runtime.Runtime
            const request = { kind: "agent", identifier: "listener", payload: { what }, threadId: "talk" } as const
            const { run: { runId } } = yield* runtime.start(caller, request)
            link.isCut = true
            yield* Deferred.succeed(gate, undefined)
            yield* TestClock.adjust("500 millis")
            link.isCut = false
            assert.deepInclude(yield* until(runId, isFinal), { state: "completed", output: "read", attempt: 1 })
          }).pipe(Effect.provide(layerRuntime(Acme, handlers, layer)))
        }).pipe(Effect.scoped),
      20_000
    )
  }

  it.effect("when it commits a step resumes, and its node does not count as lost", () =>
    Effect.gen(function*() {
      const { layer, link } = yield* cutStore
      const [gate, open] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let attempts = 0
      const handlers = Layer.mergeAll(
        Parent.toLayer(() =>
          Effect.gen(function*() {
            attempts++
            yield* Deferred.await(gate)
            if (attempts > 1) yield* Deferred.await(open)
            return yield* Run.step("work", Effect.succeed("done"))
          })
        ),
        Child.toLayer(() => Effect.succeed("")),
        ListenerLayer(gate)
      )
      yield* Effect.gen(function*() {
        const { runId } = yield* start("parent")
        link.isCut = true
        yield* Deferred.succeed(gate, undefined)
        yield* TestClock.adjust("100 millis")
        link.isCut = false
        assert.deepInclude(yield* until(runId, ({ attempt }) => attempt === 2), { state: "running", crashes: 0 })
        yield* Deferred.succeed(open, undefined)
        assert.deepInclude(yield* until(runId, isFinal), { state: "completed", output: "done" })
      }).pipe(Effect.provide(layerRuntime(Acme, handlers, layer)))
    }).pipe(Effect.scoped), 20_000)
})

describe("Runs that may be what ended their node three times", () => {
  it.effect("are resumed one at a time, so that the next loss says which of them it is", () =>
    Effect.gen(function*() {
      const { inner, layer } = yield* cutStore
      const gates = new Map<string, Deferred.Deferred<void>>()
      const begun: Array<string> = []
      const handlers = Layer.mergeAll(
        Parent.toLayer(() =>
          Effect.gen(function*() {
            const { record: { runId } } = yield* Run.CurrentRun
            begun.push(runId)
            const gate = yield* Deferred.make<void>()
            gates.set(runId, gate)
            yield* Deferred.await(gate)
            return yield* Run.step("work", Effect.succeed("done"))
          })
        ),
        Child.toLayer(() => Effect.succeed("")),
        ListenerLayer(yield* Deferred.make<void>())
      )
      // Three runs of a node that is gone, with a fingerprint that fits.
      const template = yield* Effect.gen(function*() {
        const { runId } = yield* start("child")
        return yield* until(runId, isFinal)
      }).pipe(Effect.provide(layerRuntime(Acme, handlers)))
      const { error: _error, finishedAt: _finishedAt, output: _output, ...record } = template
      const ids = ["a", "b", "c"].map((name) => `0190b2f0-0000-7000-8000-00000000000${name}`)
      yield* Effect.gen(function*() {
        const { runId } = yield* start("parent")
        const { fingerprint } = yield* until(runId, () => true)
        yield* inner.write(ids.map((runId) => ({
          _tag: "Admit",
          run: {
            ...record,
            runId,
            agent: "parent",
            fingerprint,
            state: "running",
            attempt: 3,
            crashes: 2,
            durable: true
          },
          events: []
        })))
        yield* TestClock.adjust("6 seconds")
        assert.lengthOf(begun.filter((id) => ids.includes(id)), 1)
        for (let more = 1; more <= 3; more++) {
          for (const gate of gates.values()) yield* Deferred.succeed(gate, undefined)
          if (more < 3) yield* TestClock.adjust("5500 millis")
          assert.lengthOf(begun.filter((id) => ids.includes(id)), Math.min(more + 1, 3))
        }
        for (const id of ids) {
          assert.deepInclude(yield* until(id, isFinal), { state: "completed", attempt: 4, crashes: 0 })
        }
      }).pipe(Effect.provide(layerRuntime(Acme, handlers, layer)))
    }).pipe(Effect.scoped), 60_000)
})
