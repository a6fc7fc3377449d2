import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Event, Run, RunError, RunStore, Runtime } from "@fastagentic/core"
import { Deferred, Effect, Layer, Schema, Stream } from "effect"
import { answer, caller, isWhole, journal, layerRuntime, settle, start, summaryOf } from "../support.ts"

const Work = Agent.make("work", {
  description: "Works in steps",
  payload: { loops: Schema.Int },
  success: Schema.String
})
const Brief = Agent.make("brief", { description: "Waits", payload: {}, durable: false })
const Ask = Agent.make("ask", { description: "Asks", payload: {}, success: Schema.String })
const Steps = Agent.make("steps", { description: "Names", payload: {}, success: Schema.Array(Schema.String) })

const Acme = App.make("acme", { version: "1", agents: [Work, Brief, Ask, Steps] })

/** The effects that the outside has seen, and the point at which an attempt stops. */
interface World {
  readonly done: Array<string>
  readonly stopAt: string | undefined
  readonly stopped: Deferred.Deferred<void>
}

const handlersIn = ({ done, stopAt, stopped }: World) => {
  const act = (name: string) =>
    Effect.suspend(() => {
      if (name === stopAt) return Effect.andThen(Deferred.succeed(stopped, undefined), Effect.never)
      done.push(name)
      return Effect.succeed(`${name} ${done.length}`)
    })
  return Layer.mergeAll(
    Work.toLayer(Effect.fn(function*({ loops }) {
      yield* Run.emit(Event.token("start"))
      yield* Run.step("first", act("first"))
      for (let turn = 1; turn <= loops; turn++) {
        yield* Run.emit(Event.token(`loop ${turn}`))
        yield* Run.step("loop", Effect.andThen(Run.emit(Event.token(`in ${turn}`)), act(`loop ${turn}`)))
      }
      yield* Run.emit(Event.token("end"))
      return done.join()
    })),
    Brief.toLayer(() => Effect.andThen(Run.emit(Event.token("here")), act("brief"))),
    Ask.toLayer(Effect.fn(function*() {
      yield* Run.emit(Event.token("before"))
      yield* Run.step("one", act("one"))
      const value = yield* Effect.orDie(Run.interrupt("ask", { schema: Schema.String }))
      yield* Run.emit(Event.token("after"))
      yield* Run.step("two", act("two"))
      return value
    })),
    Steps.toLayer(Effect.fn(function*() {
      const results = [
        yield* Run.step("a", Effect.andThen(Run.step("b", act("inner b")), act("a"))),
        yield* Run.step("b", act("b")),
        yield* Run.step("b", act("b twice")),
        yield* Run.step("b#2", act("called b#2"))
      ]
      yield* Run.step("last", act("last"))
      return results
    }))
  )
}

const world = (stopAt?: string): Effect.Effect<World> =>
  Effect.map(Deferred.make<void>(), (stopped) => ({ done: [], stopAt, stopped }))

/** A process: from the start of a runtime over a store to its end, which comes in order. */
const untilStopped = <A, E>(
  store: RunStore.RunStore["Service"],
  inside: World,
  effect: Effect.Effect<A, E, Runtime.Runtime>
) =>
  Effect.scoped(Effect.provide(effect, layerRuntime(Acme, handlersIn(inside), Layer.succeed(RunStore.RunStore, store))))

/** A process that is killed: at its end it writes nothing more. */
const during = <A, E>(
  store: RunStore.RunStore["Service"],
  inside: World,
  effect: Effect.Effect<A, E, Runtime.Runtime>
) =>
  Effect.suspend(() => {
    let killed = false
    const until: RunStore.RunStore["Service"] = {
      ...store,
      write: (writes) =>
        Effect.suspend(() =>
          killed ? Effect.fail(new RunError.StoreUnavailable({ operation: "killed" })) : store.write(writes)
        )
    }
    // Everything emitted so far is written by then.
    const kill = Effect.andThen(
      Effect.sleep("20 millis"),
      Effect.sync(() => {
        killed = true
      })
    )
    return untilStopped(until, inside, Effect.ensuring(effect, kill))
  })

const memory = Effect.provide(RunStore.RunStore, RunStore.RunStore.layerMemory)
const until = ({ stopped }: World) => Deferred.await(stopped)

describe("A restart", () => {
  it.live("goes on where a durable run was: nothing committed runs or is said again", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const before = yield* world("loop 2")
      const { runId } = yield* during(store, before, Effect.tap(start("work", { loops: 3 }), () => until(before)))
      assert.deepStrictEqual(before.done, ["first", "loop 1"])
      assert.deepInclude(yield* store.get(runId), { state: "running", attempt: 1 })

      const after = yield* world()
      yield* during(
        store,
        after,
        Effect.gen(function*() {
          const run = yield* Runtime.Runtime.use((runtime) => runtime.await(caller, runId))
          assert.deepInclude(run, { state: "completed", attempt: 2 })
          assert.deepStrictEqual(after.done, ["loop 2", "loop 3"])
          const events = yield* journal(runId)
          assert.isTrue(isWhole(events))
          assert.deepStrictEqual(events.map(({ attempt }, index) => `${attempt} ${summaryOf(events)[index]}`), [
            "1 run_started",
            "1 token start",
            "1 checkpoint",
            "1 token loop 1",
            "1 token in 1",
            "1 checkpoint",
            "1 token loop 2",
            "1 token in 2",
            "2 run_started",
            "2 checkpoint",
            "2 token loop 3",
            "2 token in 3",
            "2 checkpoint",
            "2 token end",
            "2 done"
          ])
        })
      )
    }))

  it.live("in order lets go of what runs, and the next start goes on at once", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const before = yield* world("loop 2")
      const { runId } = yield* untilStopped(store, before, Effect.tap(start("work", { loops: 2 }), () => until(before)))
      const stopped = yield* store.get(runId)
      assert.deepInclude(stopped, { state: "suspended", attempt: 1, crashes: 0 })
      assert.isUndefined(stopped?.waitsFor)
      const after = yield* world()
      yield* untilStopped(
        store,
        after,
        Effect.gen(function*() {
          const run = yield* Runtime.Runtime.use((runtime) => runtime.await(caller, runId))
          assert.deepInclude(run, { state: "completed", attempt: 2, crashes: 0 })
          const events = yield* journal(runId)
          assert.isTrue(isWhole(events))
          assert.strictEqual(events.filter(({ type }) => type === "run_suspended").length, 1)
        })
      )
      assert.deepStrictEqual([...before.done, ...after.done], ["first", "loop 1", "loop 2"])
    }))

  it.live("survives any number of them, at every step", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const seen: Array<string> = []
      let runId = ""
      for (const stopAt of ["first", "loop 1", "loop 1", "loop 2", "loop 3"]) {
        const inside = yield* world(stopAt)
        yield* during(
          store,
          inside,
          Effect.gen(function*() {
            if (runId === "") ({ runId } = yield* start("work", { loops: 3 }))
            yield* until(inside)
          })
        )
        seen.push(...inside.done)
      }
      const last = yield* world()
      const run = yield* during(store, last, Runtime.Runtime.use((runtime) => runtime.await(caller, runId)))
      assert.deepInclude(run, { state: "completed", attempt: 6 })
      assert.deepStrictEqual([...seen, ...last.done], ["first", "loop 1", "loop 2", "loop 3"])
      const events = yield* store.events(runId, 0, 1_000)
      assert.isTrue(isWhole(events))
      const outside = summaryOf(events).filter((line) => /token (?:start|loop|end)/u.test(line))
      assert.deepStrictEqual(outside, ["token start", "token loop 1", "token loop 2", "token loop 3", "token end"])
    }))

  it.live("keeps a pause, which is answered in another process", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const first = yield* world()
      const { runId } = yield* during(store, first, settle("ask"))
      const second = yield* world()
      yield* during(
        store,
        second,
        Effect.gen(function*() {
          const run = yield* answer(runId, { decision: "approve", value: "yes" })
          assert.deepInclude(run, { state: "completed", output: "yes", attempt: 2 })
          assert.deepStrictEqual([first.done, second.done], [["one"], ["two"]])
          assert.deepStrictEqual(summaryOf(yield* journal(runId)), [
            "run_started",
            "token before",
            "checkpoint",
            "interrupt",
            "run_suspended",
            "interrupt_resolved",
            "run_started",
            "token after",
            "checkpoint",
            "done"
          ])
        })
      )
    }))

  it.live("finds every step again by its name, whatever the names are", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const before = yield* world("last")
      const { runId } = yield* during(store, before, Effect.tap(start("steps"), () => until(before)))
      const after = yield* world()
      const run = yield* during(store, after, Runtime.Runtime.use((runtime) => runtime.await(caller, runId)))
      assert.deepStrictEqual(run.output, ["a 2", "b 3", "b twice 4", "called b#2 5"])
      assert.deepStrictEqual(after.done, ["last"])
    }))

  it.live("lets what is not durable come to its end in the time that there is", () =>
    Effect.gen(function*() {
      const Quick = Agent.make("quick", { description: "Two steps", payload: {}, durable: false })
      const begun = yield* Deferred.make<void>()
      const done: Array<string> = []
      const Handlers = Quick.toLayer(Effect.fn(function*() {
        yield* Run.step(
          "one",
          Effect.as(Effect.andThen(Deferred.succeed(begun, undefined), Effect.sleep("20 millis")), 1)
        )
        yield* Run.step("two", Effect.sync(() => done.push("two")))
        return "done"
      }))
      const App1 = App.make("acme", { version: "1", agents: [Quick] })
      yield* Effect.andThen(start("quick"), Deferred.await(begun)).pipe(
        Effect.provide(layerRuntime(App1, Handlers, undefined, { grace: "10 seconds" })),
        Effect.scoped
      )
      assert.deepStrictEqual(done, ["two"])
    }))

  it.live("ends what is not durable, and says why", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const inside = yield* world("brief")
      const events = yield* during(
        store,
        inside,
        Effect.gen(function*() {
          const runtime = yield* Runtime.Runtime
          const { runId } = yield* start("brief")
          yield* until(inside)
          const pages = yield* runtime.follow(caller, runId, { after: 0, until: "final" })
          return { runId, pages }
        }).pipe(Effect.flatMap(({ pages, runId }) => Effect.as(Effect.forkDetach(Stream.runCollect(pages)), runId)))
      )
      assert.isUndefined(yield* store.get(events))
      assert.deepStrictEqual(yield* store.unfinished, [])
    }))

  it.live("does not start what arrives while it stops", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const inside = yield* world()
      const runtime = yield* during(store, inside, Runtime.Runtime)
      const late = yield* Effect.flip(
        runtime.start(caller, { kind: "agent", identifier: "work", payload: { loops: 1 } })
      )
      assert.strictEqual(late.reason._tag, "ShuttingDown")
      assert.isFalse(yield* runtime.ready)
      assert.deepStrictEqual(inside.done, [])
    }))

  it.live("leaves alone what is no longer declared, and serves everything else", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const before = yield* world("first")
      const { runId } = yield* during(store, before, Effect.tap(start("work", { loops: 1 }), () => until(before)))
      const Other = App.make("acme", { version: "2", agents: [Brief] })
      yield* Effect.gen(function*() {
        const runtime = yield* Runtime.Runtime
        assert.deepInclude(yield* runtime.get(caller, runId), { state: "running", attempt: 1 })
        assert.strictEqual((yield* settle("brief")).state, "completed")
        assert.strictEqual((yield* runtime.cancel(caller, runId)).state, "cancelled")
      }).pipe(
        Effect.provide(
          layerRuntime(Other, Brief.toLayer(() => Effect.succeed("ok")), Layer.succeed(RunStore.RunStore, store))
        ),
        Effect.scoped
      )
    }))

  it.live("keeps a run whose payload no longer fits", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const before = yield* world("first")
      const { runId } = yield* during(store, before, Effect.tap(start("work", { loops: 1 }), () => until(before)))
      const Changed = Agent.make("work", { description: "", payload: { rounds: Schema.Int } })
      const run = yield* Runtime.Runtime.use((runtime) => runtime.await(caller, runId)).pipe(
        Effect.provide(layerRuntime(
          App.make("acme", { version: "2", agents: [Changed] }),
          Changed.toLayer(() => Effect.succeed("")),
          Layer.succeed(RunStore.RunStore, store)
        )),
        Effect.scoped
      )
      assert.deepInclude(run, { state: "suspended", waitsFor: "migration", attempt: 2, fingerprint: run.fingerprint })
      const after = yield* world()
      const back = yield* during(store, after, Runtime.Runtime.use((runtime) => runtime.await(caller, runId)))
      assert.deepInclude(back, { state: "completed", attempt: 3 })
      assert.deepStrictEqual(after.done, ["first", "loop 1"])
    }))

  it.live("does not run a step again that a slow owner commits while it is being replaced", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const first = yield* world("loop 1")
      const run = yield* during(store, first, Effect.tap(start("work", { loops: 1 }), () => until(first)))
      assert.deepStrictEqual(first.done, ["first"])
      /** The owner before was only slow: it commits its step just before the claim that fences it. */
      const racing: RunStore.RunStore["Service"] = {
        ...store,
        write: (writes) => {
          const claim = writes.find((write) => write._tag === "Commit" && write.set?.attempt === 2)
          const late: RunStore.Commit = {
            _tag: "Commit",
            runId: run.runId,
            attempt: 1,
            from: ["running"],
            ts: run.updatedAt,
            events: [Event.token("late")],
            steps: [{ name: "loop", value: "from the owner before" }]
          }
          return claim === undefined ? store.write(writes) : Effect.andThen(store.write([late]), store.write(writes))
        }
      }
      const second = yield* world()
      yield* during(
        racing,
        second,
        Effect.gen(function*() {
          const events = yield* journal(run.runId)
          isWhole(events)
          assert.deepStrictEqual(second.done, [])
          const said = summaryOf(events).filter((line) => line.startsWith("token"))
          assert.deepStrictEqual(said, [
            "token start",
            "token loop 1",
            "token in 1",
            "token late",
            "token end"
          ])
        })
      )
    }))
})
