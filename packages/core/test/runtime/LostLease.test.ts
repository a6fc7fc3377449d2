import { assert, describe, it } from "@effect/vitest"
import { Agent, App, type RunStore, Runtime } from "@fastagentic/core"
import { Deferred, Effect } from "effect"
import { caller, layerRuntime, start } from "../support.ts"
import { cutStore } from "./cutStore.ts"

class Slow extends Agent.make("slow", { description: "Never ends by itself", payload: {} }) {}
class Acme extends App.make("acme", { version: "1", agents: [Slow] }) {}

/** Another node takes the run and fails it. */
const takenElsewhere = (inner: RunStore.RunStore["Service"], runId: string) =>
  inner.write([{
    _tag: "Commit",
    runId,
    attempt: 1,
    from: ["running"],
    ts: 1,
    events: [{ type: "error", data: { tag: "Gone", message: "gone", status: 500, declared: false } }],
    set: {
      state: "failed",
      attempt: 2,
      error: { tag: "Gone", message: "gone", status: 500, declared: false },
      finishedAt: 1
    }
  }])

describe("A node whose run was taken while it could not reach its store", () => {
  it.live(
    "stops the run when it is back, and answers and retries by what the store says",
    () =>
      Effect.gen(function*() {
        const { inner, layer, link } = yield* cutStore
        const stopped = yield* Deferred.make<void>()
        const handlers = Slow.toLayer(() =>
          Effect.onInterrupt(Effect.never, () => Deferred.succeed(stopped, undefined))
        )
        yield* Effect.gen(function*() {
          const runtime = yield* Runtime.Runtime
          const { runId } = yield* start("slow")
          link.isCut = true
          yield* takenElsewhere(inner, runId)
          yield* Effect.sleep("2500 millis")
          assert.strictEqual((yield* Effect.flip(runtime.get(caller, runId))).reason._tag, "StoreUnavailable")
          assert.isFalse(yield* Deferred.isDone(stopped))
          link.isCut = false
          assert.strictEqual((yield* runtime.get(caller, runId)).state, "failed")
          const { attached, run } = yield* runtime.retry(caller, runId)
          assert.isFalse(attached)
          assert.notStrictEqual(run.runId, runId)
          yield* Deferred.await(stopped)
        }).pipe(Effect.provide(layerRuntime(Acme, handlers, layer)))
      }).pipe(Effect.scoped),
    20_000
  )
})
