import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { AppTest } from "fastagentic/testing"
import app from "../src/app.ts"

it.effect("the editor joins the answers of two delegated runs", () =>
  Effect.gen(function*() {
    const client = yield* AppTest.client(app)
    const { doubts, facts } = yield* client.agents.editor({ topic: "tea" })
    assert.isNotEmpty(facts)
    assert.isNotEmpty(doubts)
    const { items } = yield* client.runs.list()
    const parent = items.find(({ agent }) => agent === "editor")
    assert.deepStrictEqual(
      items.filter(({ parentRunId }) => parentRunId === parent?.runId).map(({ agent }) => agent).sort(),
      ["critic", "researcher"]
    )
  }))
