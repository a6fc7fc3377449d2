import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Run, type RunStore, Runtime } from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { caller, layerRuntime, start } from "../support.ts"

const Refund = Tool.make("refund", { description: "Refunds", success: Schema.String, needsApproval: true })
const Tools = Toolkit.make(Refund)
const Ask = Agent.make("ask", { description: "Asks for a text", payload: {} })
const Acme = App.make("acme", { version: "1", agents: [Ask], tools: Tools })
const Handlers = Layer.merge(
  Ask.toLayer(() => Effect.orDie(Run.interrupt("text", { schema: Schema.String }))),
  Tools.toLayer({ refund: () => Effect.succeed("refunded") })
)

describe("Runs by their last change", () => {
  it.live(
    "that wait for a permission are on the pages behind a thousand that wait for something else",
    () =>
      Effect.gen(function*() {
        const runtime = yield* Runtime.Runtime
        const asked = yield* start("refund", {}, "tool")
        yield* runtime.await(caller, asked.runId)
        yield* Effect.sleep("5 millis")
        const others = yield* Effect.forEach(Array.from({ length: 1_001 }), () => start("ask"))
        yield* Effect.forEach(others, ({ runId }) => runtime.await(caller, runId), { concurrency: 16, discard: true })
        const found: Array<string> = []
        let before: RunStore.Recent | undefined
        let pages = 0
        do {
          const page = yield* runtime.recent(caller, { asks: "permission", limit: 10, ...(before && { before }) })
          found.push(...page.items.map(({ run }) => run.runId))
          before = page.next
          pages++
        } while (before !== undefined)
        assert.deepStrictEqual(found, [asked.runId])
        assert.strictEqual(pages, 2)
        const input = yield* runtime.recent(caller, { asks: "input", limit: 10 })
        assert.deepStrictEqual([input.items.length, input.total], [10, 1_000])
        const next = yield* runtime.recent(caller, {
          asks: "input",
          limit: 10,
          ...(input.next && { before: input.next })
        })
        assert.isEmpty(next.items.filter(({ run }) => input.items.some((one) => one.run.runId === run.runId)))
        assert.deepStrictEqual([next.items.length, next.total], [10, 1_000])
      }).pipe(Effect.provide(layerRuntime(Acme, Handlers))),
    60_000
  )
})
