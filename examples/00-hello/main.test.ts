import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { AppTest } from "fastagentic/testing"
import { readFileSync } from "node:fs"
import hello from "./app.ts"

const read = (name: string) => readFileSync(new URL(name, import.meta.url), "utf8")

describe("hello", () => {
  it("is the app of the README", () => {
    assert.include(read("../../README.md"), `\`\`\`ts\n${read("app.ts")}\`\`\``)
  })

  it.effect("asks before it greets", () =>
    Effect.gen(function*() {
      const client = yield* AppTest.client(hello)
      const paused = yield* Effect.flip(client.agents.greeter({ name: "Ada" }))
      if (paused._tag !== "RunSuspended") return assert.fail(paused._tag)
      const { runId } = paused.run
      yield* client.runs.answer(runId, paused.interrupts[0]?.id ?? "", { decision: "approve", value: true })
      const run = yield* Effect.repeat(client.runs.get(runId), { until: ({ state }) => state !== "running" })
      assert.strictEqual(run.output, "Ada is fine: true")
    }))
})
