import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Hook, Redaction, Run, Runtime } from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import { caller, journal, layerRuntime } from "../support.ts"

const secret = `sk-proj-${"aB3".repeat(12)}`

const Redacted = Hook.make("redacted")
const Reads = Agent.make("reads", {
  description: "Reads its message, and fails the first time",
  payload: { text: Schema.String },
  signals: { more: Schema.String }
}).hook(Redacted)

const Acme = App.make("acme", { version: "1", agents: [Reads] })

const message = { messageId: "m-1", metadata: { from: ["phone"] }, parts: [{ text: `the key is ${secret}` }] }

const layer = Layer.suspend(() => {
  let runs = 0
  return layerRuntime(
    Acme,
    Layer.mergeAll(
      Reads.toLayer(Effect.fn(function*() {
        if (++runs === 1) return yield* Effect.die("broken")
        const said = yield* Run.receive(Reads, "more")
        return JSON.stringify([yield* Run.message, said])
      })),
      Redacted.toLayer({ output: Redaction.guard() })
    )
  )
})

describe("A message as its protocol delivered it", () => {
  it.live("is read by the handler, also in a run that retries another, and passes the guards where others read it", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const request = { kind: "agent", identifier: "reads", payload: { text: "hi" }, message } as const
      const failed = yield* runtime.start(caller, request)
      assert.strictEqual((yield* failed.settled).state, "failed")
      const retried = yield* runtime.retry(caller, failed.run.runId)
      yield* retried.settled
      const { runId } = retried.run
      const sent = { messageId: "m-2", parts: [{ text: "go" }] }
      yield* runtime.signal(caller, runId, { signal: "more", payload: "go", message: sent })
      const done = yield* runtime.await(caller, runId)
      // The guard of the output changes the answer, not the message that the handler had.
      assert.strictEqual(done.state, "completed")
      assert.include(String(done.output), "\"messageId\":\"m-1\",\"metadata\":{\"from\":[\"phone\"]}")
      const events = yield* journal(runId)
      const kept = events.flatMap((event) => event.type === "message_received" ? [event.data.message] : [])
      assert.strictEqual(kept.length, 2)
      assert.notInclude(JSON.stringify(events), secret)
      assert.deepStrictEqual(kept[1], sent)
      const at = events.findIndex(({ type }) => type === "signal")
      assert.strictEqual(events[at - 1]?.type, "message_received")
    }).pipe(Effect.provide(layer)))

  it.live("is refused when it is nested too deeply", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      let deep: Schema.Json = 1
      for (let level = 0; level < 300; level++) deep = [deep]
      const request = { kind: "agent", identifier: "reads", payload: { text: "hi" }, message: deep } as const
      const { reason } = yield* Effect.flip(runtime.start(caller, request))
      assert.deepInclude(reason, { _tag: "InvalidPayload", target: "message" })
    }).pipe(Effect.provide(layer)))
})
