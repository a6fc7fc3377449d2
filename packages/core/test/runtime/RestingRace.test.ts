import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Audit, Auth, Budget, Caller, RateLimit, Run, RunStore, Runtime } from "@fastagentic/core"
import { Context, Effect, Layer, Logger, Schema } from "effect"

const Waits = Agent.make("waits", { description: "Waits", payload: {}, signals: { go: Schema.String } })
const Asks = Agent.make("asks", { description: "Asks", payload: {} })
const app = App.make("acme", { version: "1", agents: [Waits, Asks] })
const caller = Caller.make("local")

/**
 * A store in which another node writes to a run at the moment in which the run comes to rest: after its owner has decided to
 * suspend it, and before the store has done so.
 */
const racing = (
  other: (store: RunStore.RunStore["Service"], rests: RunStore.Commit) => Effect.Effect<RunStore.Commit>
) => {
  const seen: Array<string> = []
  let raced = false
  const layer = Layer.effect(
    RunStore.RunStore,
    Effect.map(Layer.build(RunStore.RunStore.layerMemory), (context): RunStore.RunStore["Service"] => {
      const store = Context.get(context, RunStore.RunStore)
      return {
        ...store,
        write: Effect.fnUntraced(function*(writes) {
          const rests = writes.find((write) => write._tag === "Commit" && write.set?.state === "suspended")
          if (rests?._tag !== "Commit" || raced) return yield* store.write(writes)
          raced = true
          const [first] = yield* store.write([yield* Effect.orDie(other(store, rests))])
          seen.push(`other ${first?._tag}`)
          const written = yield* store.write(writes)
          seen.push(`rest ${written[writes.indexOf(rests)]?._tag}`)
          return written
        })
      }
    })
  )
  return { layer, seen }
}

const runtime = (store: Layer.Layer<RunStore.RunStore>) =>
  Runtime.layer(app, { grace: 0 }).pipe(
    Layer.provide(Layer.merge(
      Waits.toLayer(() => Run.receive(Waits, "go")),
      Asks.toLayer(() => Effect.map(Effect.orDie(Run.interrupt("ok", { schema: Schema.String })), (text) => text))
    )),
    Layer.provide([store, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited, Audit.layerMemory])
  )

describe("A run that comes to rest", () => {
  const commitOf = ({ attempt, runId, ts }: RunStore.Commit): RunStore.Commit => ({
    _tag: "Commit",
    runId,
    attempt,
    from: ["running"],
    ts,
    events: []
  })

  it.live("is never suspended beside a message that another node has sent meanwhile", () =>
    Effect.gen(function*() {
      const { layer, seen } = racing((_store, rests) =>
        Effect.succeed({
          ...commitOf(rests),
          events: [{ type: "signal", data: { id: "signal/go/k", signal: "go", by: "other" } }],
          open: [{
            id: "signal/go/k",
            runId: rests.runId,
            name: "signal/go/k",
            kind: "input",
            signal: "go",
            createdAt: 1,
            state: "resolved",
            resolution: { decision: "approve", by: "other", at: 1, value: "now" }
          }]
        })
      )
      yield* Effect.gen(function*() {
        const runtime = yield* Runtime.Runtime
        const { run } = yield* runtime.start(caller, { kind: "agent", identifier: "waits", payload: {} })
        const ended = yield* Effect.timeout(runtime.await(caller, run.runId), "10 seconds")
        assert.deepInclude(ended, { state: "completed", output: "now", attempt: 1 })
      }).pipe(Effect.provide(runtime(layer)))
      // The owner may end here: the run is running then, and another node takes it and its message.
      assert.deepStrictEqual(seen, ["other Committed", "rest Refused"])
    }))

  it.live("is never suspended beside a decision that another node has taken meanwhile", () =>
    Effect.gen(function*() {
      const { layer, seen } = racing(Effect.fnUntraced(function*(store, rests) {
        const [asked] = yield* Effect.orDie(store.interrupts(rests.runId))
        const resolution = { decision: "approve", by: "other", at: 1, value: "yes" } as const
        return {
          ...commitOf(rests),
          events: [{ type: "interrupt_resolved", data: { id: asked?.id ?? "", decision: "approve", by: "other" } }],
          resolve: { id: asked?.id ?? "", resolution }
        }
      }))
      yield* Effect.gen(function*() {
        const runtime = yield* Runtime.Runtime
        const { run } = yield* runtime.start(caller, { kind: "agent", identifier: "asks", payload: {} })
        const ended = yield* Effect.timeout(runtime.await(caller, run.runId), "10 seconds")
        assert.deepInclude(ended, { state: "completed", output: "yes", attempt: 1 })
      }).pipe(Effect.provide(runtime(layer)))
      assert.deepStrictEqual(seen, ["other Committed", "rest Refused"])
    }))

  /** A store that answers the writes and reads of a run that comes to rest in its own way. */
  const standIn = (
    change: (store: RunStore.RunStore["Service"]) => Partial<RunStore.RunStore["Service"]>
  ): Layer.Layer<RunStore.RunStore> =>
    Layer.effect(
      RunStore.RunStore,
      Effect.map(Layer.build(RunStore.RunStore.layerMemory), (context): RunStore.RunStore["Service"] => {
        const store = Context.get(context, RunStore.RunStore)
        return { ...store, ...change(store) }
      })
    )

  const restIn = (writes: ReadonlyArray<RunStore.Write>) =>
    writes.find((write) => write._tag === "Commit" && write.set?.state === "suspended" && write.ifSeq !== undefined)

  it.live("looks less often while another node writes to it all the time, and rests once that ends", () =>
    Effect.gen(function*() {
      const state = { busy: true, looks: 0 }
      const layer = standIn((store) => ({
        write: Effect.fnUntraced(function*(writes) {
          const rests = restIn(writes)
          if (rests?._tag === "Commit" && state.busy) {
            state.looks++
            yield* store.write([{
              ...commitOf(rests),
              events: [{ type: "log", data: { level: "info", message: "x" } }]
            }])
          }
          return yield* store.write(writes)
        })
      }))
      yield* Effect.gen(function*() {
        const runtime = yield* Runtime.Runtime
        const { run } = yield* runtime.start(caller, { kind: "agent", identifier: "asks", payload: {} })
        yield* Effect.sleep("1500 millis")
        assert.isAbove(state.looks, 2)
        assert.isBelow(state.looks, 20)
        assert.strictEqual((yield* runtime.get(caller, run.runId)).state, "running")
        state.busy = false
        yield* Effect.sleep("1200 millis")
        assert.deepInclude(yield* runtime.get(caller, run.runId), { state: "suspended", attempt: 1 })
      }).pipe(Effect.provide(runtime(layer)))
    }))

  it.live("stops here when the store has lost events that it had committed", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const layer = standIn((store) => ({
        get: (runId) => Effect.map(store.get(runId), (run) => run && { ...run, seq: run.seq - 1 }),
        write: (writes) => {
          if (restIn(writes) === undefined) return store.write(writes)
          seen.push("rest")
          return Effect.succeed(writes.map(() => ({ _tag: "Refused" }) as const))
        }
      }))
      const lost = Logger.make(({ message }) => {
        if (String(message).includes("A run was lost")) seen.push("lost")
      })
      yield* Effect.gen(function*() {
        const runtime = yield* Runtime.Runtime
        yield* runtime.start(caller, { kind: "agent", identifier: "asks", payload: {} })
        yield* Effect.sleep("3 seconds")
        assert.deepStrictEqual(seen.slice(0, 10), [..."123456789"].map(() => "rest").concat("lost"))
      }).pipe(Effect.provide(runtime(layer)), Effect.provide(Logger.layer([lost])))
    }))
})
