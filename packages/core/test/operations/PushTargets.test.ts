import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Runtime } from "@fastagentic/core"
import { Effect } from "effect"
import { caller, layerRuntime, settle } from "../support.ts"

const Echo = Agent.make("echo", { description: "Ends at once", payload: {} })
const Acme = App.make("acme", { version: "1", agents: [Echo] })
const Handlers = Echo.toLayer(() => Effect.succeed("done"))

describe("A push target", () => {
  it.live("stays when it was set again before the node that had taken it drops it", () =>
    Effect.gen(function*() {
      const { push } = yield* Runtime.Runtime
      const { runId } = yield* settle("echo")
      yield* push.set(caller, { runId, id: "a", config: { url: "first" } })
      const [taken] = yield* push.take({ lease: 1_000, limit: 10 })
      if (taken === undefined) return assert.fail("nothing is due")
      yield* push.set(caller, { runId, id: "a", config: { url: "second" } })
      yield* push.drop(taken)
      const [kept] = yield* push.list(caller, runId)
      assert.deepStrictEqual(kept?.config, { url: "second" })
      const [again] = yield* push.take({ lease: 1_000, limit: 10 })
      if (again === undefined) return assert.fail("nothing is due")
      yield* push.drop(again)
      assert.deepStrictEqual(yield* push.list(caller, runId), [])
    }).pipe(Effect.provide(layerRuntime(Acme, Handlers))))
})
