import { assert, describe, it } from "@effect/vitest"
import type { RunEvent } from "@fastagentic/core/run/Event"
import { frame } from "../../src/http/EventStream.ts"

const stored = { runId: "run \"1\"", seq: 3, ts: 1_796_047_858_962.5, attempt: 2 }

const events: ReadonlyArray<RunEvent> = [
  { ...stored, type: "token", data: { delta: "a\"\\\n\u2028\u00e9\ud83d\ude00" } },
  { ...stored, type: "token", data: { delta: "x" }, place: "plan \u203a \"a\"/b" },
  { ...stored, type: "token", data: { delta: "" }, place: "" },
  { ...stored, type: "done", data: { output: { list: [null, 1, { deep: true }] } } },
  { ...stored, type: "token", place: "x", data: { delta: "x" } },
  { type: "token", data: { delta: "x" }, ...stored }
]

describe("A frame", () => {
  it("has an event as its JSON, whatever the order of its fields", () => {
    for (const event of events) {
      assert.strictEqual(frame(event), `id: 3\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
    }
  })
})
