import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { request as rawRequest } from "node:http"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { startLab } from "./lab.ts"
import { as, EventPage, follow, frames, get, isWhole, json, post, Problem, Run, start, text, until } from "./rest.ts"

const count = (url: string, payload: { readonly tokens: number; readonly pause?: number; readonly filler?: number }) =>
  Effect.flatMap(post(`${url}/agents/count/runs`, payload), as(Run))

setFlagsFromString("--expose_gc")
/** The memory in use after a garbage collection. */
const usedMemory = Effect.gen(function*() {
  for (let turn = 0; turn < 5; turn++) {
    runInNewContext("gc")()
    yield* Effect.sleep("20 millis")
  }
  return process.memoryUsage()
})

/** Reads a body chunk by chunk. */
const reading = (response: Response) => {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  return {
    next: Effect.promise(async () => {
      const chunk = await reader?.read()
      return chunk?.done === false ? chunk.value : undefined
    }),
    leave: Effect.promise(async () => reader?.cancel())
  }
}

describe("REST events", () => {
  it.live("resume after any event with exactly the rest", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab()
      const run = yield* count(url, { tokens: 60, pause: 5 })
      const all = yield* follow(url, run.runId)
      assert.isTrue(isWhole(all))
      assert.strictEqual(all.length, 62)
      yield* Effect.forEach(
        all,
        Effect.fnUntraced(function*({ seq }) {
          const byHeader = yield* get(`${url}/runs/${run.runId}/events`, { "last-event-id": String(seq) })
          const byQuery = yield* get(`${url}/runs/${run.runId}/events?after=${seq}`)
          if (seq === all.length) {
            assert.deepStrictEqual([byHeader.status, byQuery.status], [204, 204])
            return
          }
          const rest = all.slice(seq)
          assert.deepStrictEqual(frames(yield* text(byHeader)).map(({ data }) => data), rest)
          assert.deepStrictEqual(
            frames(yield* text(byQuery)).map(({ data }) => data),
            rest
          )
          const page = yield* as(EventPage)(
            yield* get(`${url}/runs/${run.runId}/events?after=${seq}`, { accept: "application/json" })
          )
          assert.deepStrictEqual(page, { items: rest, next: null })
        }),
        { concurrency: 16 }
      )
    }).pipe(Effect.scoped))

  it.live("prefer the Last-Event-ID header to the query", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab()
      const run = yield* count(url, { tokens: 5 })
      yield* until(url, run.runId, "completed")
      const response = yield* get(`${url}/runs/${run.runId}/events?after=0`, { "last-event-id": "5" })
      assert.deepStrictEqual(frames(yield* text(response)).map(({ id }) => id), [6, 7])
    }).pipe(Effect.scoped))

  it.live("reach 20 followers that join at any moment of a run of 2,000 tokens, complete", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab()
      const run = yield* count(url, { tokens: 2_000, pause: 20 })
      const journals = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, index) => index),
        Effect.fnUntraced(function*(index) {
          yield* Effect.sleep(Math.random() * 200)
          const { seq } = yield* as(Run)(yield* get(`${url}/runs/${run.runId}`))
          const after = index % 2 === 0 ? 0 : Math.floor(Math.random() * (seq + 1))
          return { after, events: yield* follow(url, run.runId, after) }
        }),
        { concurrency: 20 }
      )
      const whole = yield* follow(url, run.runId)
      assert.strictEqual(whole.length, 2_002)
      assert.isTrue(isWhole(whole))
      for (const { after, events } of journals) {
        assert.strictEqual(events.length, 2_002 - after)
        assert.deepStrictEqual(events, whole.slice(after))
      }
    }).pipe(Effect.scoped))

  it.live("survive clients that disconnect mid-stream", () =>
    Effect.gen(function*() {
      const { runtime, url } = yield* startLab()
      const responses = yield* Effect.forEach(
        Array.from({ length: 10 }),
        () => post(`${url}/agents/count/stream`, { tokens: 1_000, pause: 10 }),
        { concurrency: 10 }
      )
      for (const response of responses) {
        const reader = reading(response)
        assert.include(yield* reader.next, "run_started")
        yield* reader.leave
      }
      for (const response of responses) {
        const runId = response.headers.get("x-run-id") ?? ""
        yield* until(url, runId, "completed")
        const events = yield* follow(url, runId)
        assert.strictEqual(events.length, 1_002)
        assert.isTrue(isWhole(events))
      }
      assert.isTrue(yield* runtime.ready)
    }).pipe(Effect.scoped))

  it.live("survive a caller that disconnects while it waits for an answer", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab()
      for (let turn = 0; turn < 20; turn++) {
        const waiting = yield* Effect.forkScoped(
          post(`${url}/agents/count`, { tokens: 200, pause: 10 }, { "idempotency-key": `k${turn}` })
        )
        yield* Effect.sleep(turn)
        yield* Fiber.interrupt(waiting)
      }
      const ends = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, turn) => turn),
        (turn) => post(`${url}/agents/count`, { tokens: 200, pause: 10 }, { "idempotency-key": `k${turn}` }),
        { concurrency: 20 }
      )
      for (const end of ends) assert.strictEqual(end.status, 200)
    }).pipe(Effect.scoped))

  it.live("do not wait for a follower that never reads, nor keep its unread events", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab()
      const { hostname, port } = new URL(url)
      const before = yield* usedMemory
      const run = yield* count(url, { tokens: 2_000, pause: 100, filler: 10_000 })
      const idle = yield* Effect.forEach(
        Array.from({ length: 20 }),
        () =>
          Effect.acquireRelease(
            Effect.callback<{ destroy: () => void }>((resume) => {
              const request = rawRequest({ hostname, port, path: `/runs/${run.runId}/events` }, (response) => {
                response.pause()
                resume(Effect.succeed(response))
              })
              request.end()
            }),
            (response) => Effect.sync(() => response.destroy())
          ),
        { concurrency: 20 }
      )
      assert.strictEqual(idle.length, 20)
      yield* until(url, run.runId, "completed")
      // The journal itself is 20 MB of text; only buffers wait for readers.
      const after = yield* usedMemory
      assert.isBelow(after.external - before.external, 20_000_000)
      assert.isBelow(after.heapUsed - before.heapUsed, 300_000_000)
      const events = yield* follow(url, run.runId)
      assert.strictEqual(events.length, 2_002)
    }).pipe(Effect.scoped))

  it.effect("contain a comment every 15 seconds without events", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab()
      const run = yield* Effect.flatMap(post(`${url}/agents/stay/runs`, {}), as(Run))
      const reader = reading(yield* get(`${url}/runs/${run.runId}/events`))
      let seen = ""
      while (!seen.includes("event: token")) seen += yield* reader.next
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual(yield* reader.next, ":\n\n")
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual(yield* reader.next, ":\n\n")
      yield* reader.leave
    }).pipe(Effect.scoped))

  it.live("tell followers to reconnect when the server shuts down, which refuses new runs", () =>
    Effect.gen(function*() {
      const { runtime, url } = yield* startLab()
      const run = yield* Effect.flatMap(post(`${url}/agents/stay/runs`, {}), as(Run))
      const followers = yield* Effect.forEach(
        Array.from({ length: 5 }),
        () => get(`${url}/runs/${run.runId}/events`),
        { concurrency: 5 }
      )
      const waiting = yield* Effect.forkScoped(post(`${url}/agents/stay`, {}))
      yield* Effect.sleep("50 millis")
      assert.strictEqual((yield* get(`${url}/ready`)).status, 200)
      yield* runtime.drain
      for (const follower of followers) assert.isTrue((yield* text(follower)).endsWith("retry: 1000\n\n"))
      assert.strictEqual((yield* Fiber.join(waiting)).status, 202)
      assert.strictEqual((yield* get(`${url}/ready`)).status, 503)
      assert.strictEqual((yield* get(`${url}/health`)).status, 200)
      for (const path of ["/agents/keep", "/agents/keep/runs", "/agents/keep/stream"]) {
        const refused = yield* post(url + path, { value: 1 })
        assert.strictEqual(refused.status, 503)
        assert.strictEqual(refused.headers.get("retry-after"), "1")
        assert.strictEqual((yield* as(Problem)(refused)).title, "ShuttingDown")
      }
      assert.strictEqual((yield* post(`${url}/tools/ping`)).status, 503)
      // Existing runs can still be read and cancelled.
      assert.strictEqual((yield* text(yield* get(`${url}/runs/${run.runId}/events`))).endsWith("retry: 1000\n\n"), true)
      assert.strictEqual((yield* as(Run)(yield* post(`${url}/runs/${run.runId}/cancel`))).state, "cancelled")
    }).pipe(Effect.scoped))

  it.live("stay open over a pause for a follower, and end there for the stream of a start", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const started = yield* post(`${url}/agents/support/stream`, { question: "refund 1042" })
      const runId = started.headers.get("x-run-id") ?? ""
      assert.strictEqual(frames(yield* text(started)).at(-1)?.event, "run_suspended")
      const following = yield* Effect.forkScoped(follow(url, runId, 2))
      yield* Effect.sleep("30 millis")
      const page = yield* json(yield* get(`${url}/runs/${runId}/interrupts`))
      const [open] = Array.isArray(page["items"]) ? page["items"] : []
      yield* post(`${url}/runs/${runId}/interrupts/${open.id}`, { decision: "approve", value: true })
      const events = yield* Fiber.join(following)
      assert.deepStrictEqual(events.map((event) => `${event.seq} ${event.type}`), [
        "3 interrupt",
        "4 run_suspended",
        "5 interrupt_resolved",
        "6 run_started",
        "7 token",
        "8 done"
      ])
    }).pipe(Effect.scoped))
})
