import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { AppTest } from "fastagentic/testing"
import { readFileSync } from "node:fs"
import shop from "./app.ts"
import hello from "./greeter.ts"

const read = (name: string) => readFileSync(new URL(name, import.meta.url), "utf8")

describe("the documented apps", () => {
  it("the README shows app.ts", () => {
    assert.include(read("../../README.md"), `\`\`\`ts\n${read("app.ts")}\`\`\``)
  })

  it("docs/runs.md shows greeter.ts", () => {
    assert.include(read("../../docs/runs.md"), `\`\`\`ts\n${read("greeter.ts")}\`\`\``)
  })

  it.effect("the README's agent gives the README's answer", () =>
    Effect.gen(function*() {
      const client = yield* AppTest.client(shop)
      const answer = yield* client.agents.support({ question: "Where is order 1042?" })
      assert.include(read("../../README.md"), `\`\`\`json\n${JSON.stringify(answer)}\n\`\`\``)
    }))

  it.effect("the greeter asks before it completes, and completes with the answer", () =>
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
