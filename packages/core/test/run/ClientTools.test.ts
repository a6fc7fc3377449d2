import { assert, it } from "@effect/vitest"
import { Agent, App, ClientTools, Replay, Run, RunStore, Runtime } from "@fastagentic/core"
import { Effect, Layer } from "effect"
import { caller, layerRuntime } from "../support.ts"

const Helper = Agent.make("helper", { description: "Works with a page", payload: {}, clientTools: true })
const Other = Agent.make("other", { description: "Works alone", payload: {} })
const Acme = App.make("acme", { version: "1", agents: [Helper, Other] })

const names = Effect.map(ClientTools.offered, ({ tools }) => tools.map(({ name }) => name).join())

it.live("The offer of a client is read for an agent that takes it, and costs any other no look at the store", () =>
  Effect.gen(function*() {
    const store = yield* Effect.provide(RunStore.RunStore, RunStore.RunStore.layerMemory)
    const reads: Array<string> = []
    const counting: RunStore.RunStore["Service"] = {
      ...store,
      // The look for a message reads the first two events.
      events: (runId, after, limit) =>
        Effect.suspend(() => {
          if (after === 0 && limit === 2) reads.push(runId)
          return store.events(runId, after, limit)
        })
    }
    const handlers = Layer.mergeAll(Helper.toLayer(() => names), Other.toLayer(() => names))
    yield* Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const message = ClientTools.toMessage({ tools: [{ name: "set_color", parameters: {} }] })
      for (const [identifier, seen, looks] of [["other", "", 0], ["helper", "set_color", 1]] as const) {
        const { run: { runId } } = yield* runtime.start(caller, { kind: "agent", identifier, payload: {}, message })
        assert.strictEqual((yield* runtime.await(caller, runId)).output, seen)
        assert.strictEqual(reads.length, looks)
      }
    }).pipe(Effect.provide(layerRuntime(Acme, handlers, Layer.succeed(RunStore.RunStore, counting))))
  }))

it.live("The offer of a client is there in a replay of its run", () =>
  Effect.gen(function*() {
    const store = Layer.succeed(
      RunStore.RunStore,
      yield* Effect.provide(RunStore.RunStore, RunStore.RunStore.layerMemory)
    )
    const seen = Effect.flatMap(names, (found) => Run.step(`saw ${found}`, Effect.succeed(found)))
    const handlers = Layer.mergeAll(Helper.toLayer(() => seen), Other.toLayer(() => names))
    yield* Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const message = ClientTools.toMessage({ tools: [{ name: "set_color", parameters: {} }] })
      const { run } = yield* runtime.start(caller, { kind: "agent", identifier: "helper", payload: {}, message })
      yield* runtime.await(caller, run.runId)
    }).pipe(Effect.provide(layerRuntime(Acme, handlers, store)), Effect.scoped)
    const findings = yield* Replay.check(Acme, { agent: "helper", finished: true }).pipe(
      Effect.provide(Layer.merge(handlers, store))
    )
    assert.deepStrictEqual(findings.map(({ verdict }) => verdict), ["ok"])
  }))
