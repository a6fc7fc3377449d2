import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { serveWorks } from "../durable.ts"
import { mounted } from "../fixture.ts"
import { collect, connect, getTask, post, refusal, request, send, sendStream, states } from "./support.ts"

const start = Effect.gen(function*() {
  const { url } = yield* serveWorks(mounted("a2a"))
  return { client: yield* connect(url), url }
})

const configuration = { returnImmediately: true }

describe("A task that waits", () => {
  it.live("for a time or another run is working, and its message waits for the end", () =>
    Effect.gen(function*() {
      const { client } = yield* start
      for (const skill of ["nap", "boss"]) {
        const task = yield* send(client, { millis: 150 }, { skill })
        assert.strictEqual(task.status.state, "TASK_STATE_COMPLETED")
        const updates = yield* collect(sendStream(client, { millis: 150 }, { skill }))
        assert.strictEqual(states(updates).at(-1), "TASK_STATE_COMPLETED")
        assert.notInclude(states(updates), "TASK_STATE_INPUT_REQUIRED")
      }
      const asleep = yield* send(client, { millis: 3_600_000 }, { skill: "nap", configuration })
      let seen = asleep
      for (let turn = 0; turn < 20; turn++) {
        yield* Effect.sleep("10 millis")
        seen = yield* getTask(client, asleep.id)
        assert.notStrictEqual(seen.status.state, "TASK_STATE_INPUT_REQUIRED")
      }
      assert.strictEqual(seen.status.state, "TASK_STATE_WORKING")
    }).pipe(Effect.scoped))

  it.live("for a free slot is submitted, and working once it is answered", () =>
    Effect.gen(function*() {
      const { client } = yield* start
      const holder = yield* send(client, { name: "first" }, { skill: "line", configuration })
      const second = yield* send(client, { name: "second" }, { skill: "line", configuration })
      assert.strictEqual((yield* getTask(client, second.id)).status.state, "TASK_STATE_SUBMITTED")
      assert.strictEqual((yield* getTask(client, holder.id)).status.state, "TASK_STATE_WORKING")
      const asking = yield* send(client, {}, { skill: "asks" })
      assert.strictEqual(asking.status.state, "TASK_STATE_INPUT_REQUIRED")
      const answered = yield* send(client, { decision: "approve", value: true }, { taskId: asking.id })
      assert.strictEqual(answered.status.state, "TASK_STATE_COMPLETED")
    }).pipe(Effect.scoped))

  it.live("is refused with an A2A error when its context is busy", () =>
    Effect.gen(function*() {
      const { client, url } = yield* start
      const first = yield* send(client, {}, { skill: "single", contextId: "c", configuration })
      const params = request({}, { skill: "single", contextId: "c" })
      const answer = yield* post(`${url}/a2a`, { jsonrpc: "2.0", id: 1, method: "SendMessage", params })
      assert.deepInclude(yield* refusal(answer), {
        status: 200,
        code: -32004,
        message:
          `The run "${first.id}" of the thread "${first.contextId}" has not ended. Wait for its end, or cancel it.`
      })
    }).pipe(Effect.scoped))
})
