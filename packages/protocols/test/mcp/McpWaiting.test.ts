import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { serveWorks } from "../durable.ts"
import { mounted } from "../fixture.ts"
import { connect, kinds } from "./clients.ts"

describe.each(kinds)("A call whose run waits: %s", (kind) => {
  const open = Effect.flatMap(
    serveWorks(mounted("mcp")),
    ({ url }) => connect(kind, { _tag: "Http", url: `${url}/mcp` })
  )

  it.live("waits through a short sleep and a child run", () =>
    Effect.gen(function*() {
      const peer = yield* open
      const rested = yield* Effect.promise(() => peer.callTool("nap", { millis: 150 }))
      assert.deepStrictEqual([rested.isError, rested.structured], [false, { slept: 150 }])
      const messages: Array<string | undefined> = []
      const answer = yield* Effect.promise(() =>
        peer.callTool("boss", { millis: 150 }, { onprogress: ({ message }) => void messages.push(message) })
      )
      assert.deepStrictEqual([answer.isError, answer.text], [false, "somebody slept 150"])
      assert.include(messages, "waits for another run")
    }).pipe(Effect.scoped))

  it.live("answers with the address of a run that sleeps for long, and leaves the run alone", () =>
    Effect.gen(function*() {
      const peer = yield* open
      const meta = { "fastagentic/idempotencyKey": "k" }
      const first = yield* Effect.promise(() => peer.callTool("nap", { millis: 3_600_000 }, { meta }))
      const pointer = JSON.parse(first.text)
      assert.isTrue(first.isError)
      assert.deepInclude(pointer, {
        _tag: "RunContinues",
        runId: first.meta["fastagentic/runId"],
        state: "suspended",
        waitsFor: "timer",
        follow: { method: "GET", path: `/runs/${pointer.runId}` },
        again: { _meta: meta }
      })
      assert.isNumber(pointer.wakeAt)
      const again = yield* Effect.promise(() => peer.callTool("nap", { millis: 3_600_000 }, { meta }))
      assert.strictEqual(JSON.parse(again.text).runId, pointer.runId)
    }).pipe(Effect.scoped))

  it.live("is refused while its thread is busy", () =>
    Effect.gen(function*() {
      const peer = yield* open
      const meta = { "fastagentic/threadId": "t" }
      const controller = new AbortController()
      const first = peer.callTool("single", {}, { meta, signal: controller.signal }).catch(() => undefined)
      const busy = yield* Effect.promise(async () => {
        for (let turn = 0; turn < 200; turn++) {
          const sent = new AbortController()
          const failure = await Promise.race([
            peer.callTool("single", {}, { meta, signal: sent.signal }).catch((error: unknown) => error),
            new Promise((resolve) => setTimeout(() => resolve(undefined), 2_000))
          ])
          if (failure !== undefined) return failure
          sent.abort()
        }
        return undefined
      })
      assert.deepInclude(Object(busy).data, { tag: "ThreadBusy", threadId: "t" })
      controller.abort()
      yield* Effect.promise(() => first)
    }).pipe(Effect.scoped))
})
