import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { AppTest } from "fastagentic/testing"
import app from "../src/app.ts"

it.live("the agent finds the order of a question", () =>
  Effect.gen(function*() {
    const client = yield* AppTest.client(app)
    const answer = yield* client.agents.support({ question: "Where is order 1042?" })
    assert.include(answer, "1042")
    assert.include(answer, "shipped")
  }), 60_000)
