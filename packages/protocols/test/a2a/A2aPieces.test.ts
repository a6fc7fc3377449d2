import { assert, describe, it } from "@effect/vitest"
import { Event, type RunRecord } from "@fastagentic/core"
import { Effect } from "effect"
import { TaskView } from "../../src/a2a/A2aTask.ts"
import { message } from "./requirements.ts"
import { json, post, start } from "./support.ts"
import { list, object, wires } from "./wires.ts"

describe("A view of a task", () => {
  it("costs the same for each of many pieces", () => {
    const cost = (count: number) => {
      // cast: a view reads these fields alone.
      const run = { runId: "r", agent: "talk", createdAt: 0, payload: {} } as unknown as RunRecord.RunRecord
      const view = new TaskView(run, undefined, { urlOf: (id) => id, fileIdOf: () => undefined })
      const events = Event.stamp(
        Array.from({ length: count }, () => Event.token("a chunk of 20 bytes")),
        { runId: "r", attempt: 1, ts: 0, lastSeq: 1 }
      )
      const before = performance.now()
      for (const event of events) view.apply([event], undefined)
      const millis = performance.now() - before
      assert.strictEqual(view.task().artifacts?.[0]?.parts[0]?.text?.length, count * 19)
      return millis
    }
    // A tenth of a second; if each copied those before it, two billion copies.
    assert.isBelow(Math.min(...[1, 2, 3].map(() => cost(64_000))), 1_500)
  })
})

describe("JSON-RPC", () => {
  it.live("keeps the id 0, also in a stream and in an error", () =>
    Effect.gen(function*() {
      const url = `${yield* start()}/a2a`
      const call = (method: string, params: unknown) => post(url, { jsonrpc: "2.0", id: 0, method, params })
      const hello = { message: message("hi"), metadata: { skillId: "echo" } }
      assert.strictEqual((yield* json(yield* call("SendMessage", hello)))["id"], 0)
      assert.strictEqual((yield* json(yield* call("GetTask", { id: "none" })))["id"], 0)
      const text = yield* Effect.flatMap(
        call("SendStreamingMessage", { ...hello, message: message("hi") }),
        (response) => Effect.promise(() => response.text())
      )
      const frames = text.split("\n").filter((line) => line.startsWith("data: ")).map((line) =>
        JSON.parse(line.slice(6))
      )
      assert.isAbove(frames.length, 1)
      assert.isTrue(frames.every(({ id }) => id === 0))
    }).pipe(Effect.scoped))

  it.live("reads no text as a boolean, over each binding of JSON", () =>
    Effect.gen(function*() {
      const url = `${yield* start()}/a2a`
      for (const wire of wires.filter(({ version }) => version === "1.0")) {
        const sent = { message: message("hi"), configuration: { returnImmediately: "false" } }
        const { error } = yield* wire.call(url, "send", sent)
        assert.deepInclude(error, { reason: "INVALID_PARAMS" })
        assert.isAbove(list(object(error)["fields"]).length, 0)
      }
    }).pipe(Effect.scoped))
})
