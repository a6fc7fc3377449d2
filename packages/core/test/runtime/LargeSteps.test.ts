import { assert, describe, it } from "@effect/vitest"
import { Agent, App, BlobStore, Run, RunBlobs, RunStore } from "@fastagentic/core"
import { Context, Effect, Layer, Schema } from "effect"
import { answer, journal, layerRuntime, settle } from "../support.ts"

/** Makes a large value in a step, asks, and then says what the step gave. */
class Large extends Agent.make("large", { description: "Works with much", payload: {}, success: Schema.String }) {}

class Works extends App.make("works", { version: "1.0.0", agents: [Large] }) {}

const rows = Array.from(
  { length: 60_000 },
  (_, id) => ({ id, name: `row ${id}`, tags: ["a", "b"], text: "x".repeat(40) })
)
const value: Schema.Json = { rows, text: "äöü\n".repeat(500_000) }
const size = JSON.stringify(value).length

const handler = (steps: { count: number }) =>
  Large.toLayer(Effect.fn(function*() {
    const made = yield* Run.step(
      "make",
      Effect.sync(() => {
        steps.count++
        return value
      })
    )
    yield* Effect.orDie(Run.interrupt("go", { schema: Schema.Boolean }))
    return JSON.stringify(made) === JSON.stringify(value) ? "the same" : "another"
  }))

const stores = Layer.provideMerge(
  RunBlobs.layer().pipe(Layer.provideMerge(RunStore.RunStore.layerMemory)),
  BlobStore.layerMemory
)

describe("A step with a large value", () => {
  it.live("lets the event loop turn while it is stored, and gives the same value to a process that resumes", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(stores)
      const steps = { count: 0 }
      const serve = () => layerRuntime(Works, handler(steps), Layer.succeedContext(context))
      let turns = 0
      let isStored = false
      const turn = () => {
        turns++
        if (!isStored) setImmediate(turn)
      }
      const { runId } = yield* Effect.gen(function*() {
        setImmediate(turn)
        const run = yield* settle("large")
        isStored = true
        const [stored] = (yield* journal(run.runId)).filter(({ type }) => type === "checkpoint")
        assert.isTrue(stored?.type === "checkpoint" && Math.abs(stored.data.bytes / size - 1) < 0.05)
        return run
      }).pipe(Effect.provide(serve()), Effect.scoped)
      assert.isAbove(turns, size / 65_536)
      yield* Effect.gen(function*() {
        const done = yield* answer(runId, { decision: "approve", value: true })
        assert.strictEqual(done.output, "the same")
        assert.strictEqual(steps.count, 1)
      }).pipe(Effect.provide(serve()), Effect.scoped)
      // It is in the blob store, in slices of lines.
      const blobs = Context.get(context, BlobStore.BlobStore)
      const [blob] = yield* blobs.list("")
      const start = yield* blobs.start(blob?.key ?? "", 200)
      assert.include(new TextDecoder().decode(start), "\"sliced\":true}\n")
    }).pipe(Effect.scoped))
})
