import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { startLab } from "./lab.ts"
import {
  as,
  EventPage,
  follow,
  frames,
  get,
  isWhole,
  json,
  post,
  Problem,
  Run,
  RunPage,
  start,
  Suspended,
  text,
  until
} from "./rest.ts"

const refund = Effect.fnUntraced(function*(url: string) {
  const run = yield* as(Suspended)(yield* post(`${url}/agents/support`, { question: "refund 1042" }))
  const [open] = run.interrupts
  return { runId: run.runId, answerUrl: `${url}/runs/${run.runId}/interrupts/${open?.id}` }
})

const typesOf = (events: ReadonlyArray<{ readonly type: string }>) => events.map((event) => event.type)

describe("REST idempotency", () => {
  it.live("attaches a repeat to its run and replays the stream", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const key = { "idempotency-key": "k1" }
      const first = yield* post(`${url}/agents/echo/stream`, { text: "a b" }, key)
      const second = yield* post(`${url}/agents/echo/stream`, { text: "a b" }, key)
      assert.strictEqual(first.headers.get("x-run-id"), second.headers.get("x-run-id"))
      assert.strictEqual(yield* text(first), yield* text(second))
      const waited = yield* post(`${url}/agents/echo`, { text: "a b" }, key)
      assert.strictEqual(waited.headers.get("x-run-id"), first.headers.get("x-run-id"))
      assert.strictEqual((yield* as(RunPage)(yield* get(`${url}/runs`))).items.length, 1)
    }).pipe(Effect.scoped))

  it.live("ignores the order of fields, and refuses another payload as a conflict", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const key = { "idempotency-key": "k2" }
      const first = yield* post(`${url}/tools/refund_order`, "{\"orderId\":1042,\"amount\":1}", key)
      const again = yield* post(`${url}/tools/refund_order`, "{\"amount\":1,\"orderId\":1042}", key)
      assert.strictEqual(again.headers.get("x-run-id"), first.headers.get("x-run-id"))
      const other = yield* post(`${url}/tools/refund_order`, { orderId: 1042, amount: 2 }, key)
      assert.strictEqual(other.status, 409)
      assert.deepInclude((yield* as(Problem)(other)).error, {
        _tag: "IdempotencyConflict",
        key: "k2",
        runId: first.headers.get("x-run-id")
      })
    }).pipe(Effect.scoped))

  it.live("is per agent; an empty key is no key", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const key = { "idempotency-key": "k3" }
      yield* post(`${url}/agents/echo`, { text: "a" }, key)
      assert.strictEqual((yield* post(`${url}/agents/support`, { question: "1042" }, key)).status, 200)
      const empty = { "idempotency-key": "" }
      yield* post(`${url}/agents/echo`, { text: "a" }, empty)
      assert.strictEqual((yield* post(`${url}/agents/echo`, { text: "b" }, empty)).status, 200)
    }).pipe(Effect.scoped))

  it.live("makes one run of 50 concurrent requests", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab()
      const responses = yield* Effect.forEach(
        Array.from({ length: 50 }),
        () => post(`${url}/agents/count/stream`, { tokens: 200 }, { "idempotency-key": "same" }),
        { concurrency: 50 }
      )
      assert.strictEqual(new Set(responses.map((response) => response.headers.get("x-run-id"))).size, 1)
      const bodies = yield* Effect.forEach(responses, text, { concurrency: 50 })
      for (const body of bodies) {
        const events = frames(body).map((frame) => frame.data)
        assert.isTrue(isWhole(events))
        assert.strictEqual(events.length, 202)
      }
      assert.strictEqual((yield* as(RunPage)(yield* get(`${url}/runs`))).items.length, 1)
    }).pipe(Effect.scoped))
})

describe("REST cancel", () => {
  it.live("ends a running run for its waiting caller and its followers", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab()
      const run = yield* as(Run)(yield* post(`${url}/agents/stay/runs`, {}))
      const followed = yield* Effect.forkScoped(follow(url, run.runId))
      yield* Effect.sleep("20 millis")
      const cancelled = yield* post(`${url}/runs/${run.runId}/cancel`, { reason: "enough" })
      assert.strictEqual(cancelled.status, 200)
      assert.strictEqual((yield* as(Run)(cancelled)).state, "cancelled")
      const events = yield* Fiber.join(followed)
      assert.deepStrictEqual(typesOf(events), ["run_started", "token", "run_cancelled"])
      assert.deepStrictEqual(events.at(-1)?.data, { reason: "enough" })
    }).pipe(Effect.scoped))

  it.live("answers the waiting caller with a problem", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab()
      const waiting = yield* Effect.forkScoped(post(`${url}/agents/stay`, {}))
      yield* Effect.sleep("50 millis")
      const [run] = (yield* as(RunPage)(yield* get(`${url}/runs?state=running`))).items
      yield* post(`${url}/runs/${run?.runId}/cancel`)
      const answer = yield* Fiber.join(waiting)
      assert.strictEqual(answer.status, 409)
      assert.strictEqual((yield* as(Problem)(answer)).title, "RunCancelled")
    }).pipe(Effect.scoped))

  it.live("ends a suspended run, whose interrupt then refuses answers", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const { answerUrl, runId } = yield* refund(url)
      assert.strictEqual((yield* as(Run)(yield* post(`${url}/runs/${runId}/cancel`))).state, "cancelled")
      const late = yield* post(answerUrl, { decision: "approve", value: true })
      assert.strictEqual(late.status, 409)
      assert.deepInclude((yield* as(Problem)(late)).error, { _tag: "RunFinished", state: "cancelled" })
      const events = yield* follow(url, runId)
      assert.isTrue(isWhole(events))
      assert.deepStrictEqual(typesOf(events).slice(-2), ["run_suspended", "run_cancelled"])
    }).pipe(Effect.scoped))

  it.live("leaves a finished run unchanged, and 20 concurrent cancels are one", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const runId = (yield* post(`${url}/agents/echo`, { text: "a" })).headers.get("x-run-id") ?? ""
      const after = yield* post(`${url}/runs/${runId}/cancel`)
      assert.strictEqual(after.status, 200)
      assert.strictEqual((yield* as(Run)(after)).state, "completed")
      const waiting = yield* as(Run)(yield* post(`${url}/agents/support/runs`, { question: "wait" }))
      const answers = yield* Effect.forEach(
        Array.from({ length: 20 }),
        () => Effect.flatMap(post(`${url}/runs/${waiting.runId}/cancel`), as(Run)),
        { concurrency: 20 }
      )
      assert.isTrue(answers.every((answer) => answer.state === "cancelled"))
      const events = yield* follow(url, waiting.runId)
      assert.strictEqual(events.filter((event) => event.type === "run_cancelled").length, 1)
    }).pipe(Effect.scoped))

  it.live("is never lost on a run that is suspended at the same moment", () =>
    Effect.gen(function*() {
      const url = yield* start()
      yield* Effect.forEach(
        Array.from({ length: 40 }),
        Effect.fnUntraced(function*() {
          const run = yield* as(Run)(yield* post(`${url}/agents/support/runs`, { question: "refund 1042" }))
          assert.strictEqual((yield* as(Run)(yield* post(`${url}/runs/${run.runId}/cancel`))).state, "cancelled")
          assert.isTrue(isWhole(yield* follow(url, run.runId)))
        }),
        { concurrency: 8 }
      )
    }).pipe(Effect.scoped))
})

describe("REST decisions", () => {
  it.live("suspend with 202 and the open interrupt", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const response = yield* post(`${url}/agents/support`, { question: "refund 1042" })
      assert.strictEqual(response.status, 202)
      const body = yield* json(response)
      assert.strictEqual(response.headers.get("location"), `/runs/${String(body["runId"])}`)
      const { interrupts: [open] } = yield* Effect.orDie(Schema.decodeUnknownEffect(Suspended)(body))
      assert.deepInclude(open, { name: "refund", state: "open" })
      const streamed = yield* text(yield* post(`${url}/agents/support/stream`, { question: "refund 1042" }))
      assert.deepStrictEqual(frames(streamed).map((frame) => frame.event), [
        "run_started",
        "token",
        "interrupt",
        "run_suspended"
      ])
    }).pipe(Effect.scoped))

  it.live("are readable one by one, before and after", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const { answerUrl, runId } = yield* refund(url)
      const open = yield* json(yield* get(answerUrl))
      assert.deepInclude(open, { name: "refund", state: "open" })
      assert.deepStrictEqual((yield* json(yield* get(`${url}/runs/${runId}/interrupts`)))["items"], [open])
      yield* post(answerUrl, { decision: "approve", value: true })
      const resolved = yield* json(yield* get(answerUrl))
      assert.strictEqual(resolved["id"], open["id"])
      assert.notStrictEqual(resolved["state"], "open")
    }).pipe(Effect.scoped))

  it.live("accept a repeated answer of the same caller, and no other", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const { answerUrl, runId } = yield* refund(url)
      const yes = { decision: "approve", value: true, reason: "fine" }
      // The run may have completed by the time the decision is answered.
      assert.include([200, 202], (yield* post(answerUrl, yes)).status)
      yield* until(url, runId, "completed")
      const again = yield* post(answerUrl, yes)
      assert.strictEqual(again.status, 200)
      for (const other of [{ decision: "deny" }, { decision: "approve", value: false }]) {
        const late = yield* post(answerUrl, other)
        assert.strictEqual(late.status, 409)
        const { error } = yield* as(Problem)(late)
        assert.strictEqual(error["_tag"], "InterruptResolved")
        assert.deepInclude(error["resolution"], { ...yes, by: "local" })
      }
      const finished = yield* as(Run)(yield* get(`${url}/runs/${runId}`))
      assert.deepInclude(finished, { state: "completed", attempt: 2 })
    }).pipe(Effect.scoped))

  it.live("have one winner among 100 answers", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const { answerUrl, runId } = yield* refund(url)
      const answers = yield* Effect.forEach(
        Array.from({ length: 100 }, (_, index) => index),
        (index) =>
          post(
            answerUrl,
            index % 2 === 0 ? { decision: "approve", value: true } : { decision: "approve", value: false }
          ),
        { concurrency: 100 }
      )
      assert.strictEqual(answers.filter((answer) => answer.status >= 500).length, 0)
      const run = yield* until(url, runId, "completed")
      const events = yield* follow(url, runId)
      assert.isTrue(isWhole(events))
      const resolved = events.filter((event) => event.type === "interrupt_resolved")
      assert.strictEqual(resolved.length, 1)
      assert.strictEqual(run.attempt, 2)
      const value = Schema.decodeUnknownSync(Schema.Struct({ value: Schema.Boolean }))(resolved[0]?.data).value
      assert.deepInclude(run.output, { answer: value ? "refunded" : "not refunded" })
      // An answer equal to the winner's is accepted, every other is refused.
      for (const [index, answer] of answers.entries()) {
        assert.strictEqual(answer.status === 409, (index % 2 === 0) !== value, String(answer.status))
      }
    }).pipe(Effect.scoped))

  it.live("have one winner among answers and cancels", () =>
    Effect.gen(function*() {
      const url = yield* start()
      yield* Effect.forEach(
        Array.from({ length: 20 }),
        Effect.fnUntraced(function*() {
          const { answerUrl, runId } = yield* refund(url)
          yield* Effect.all([
            post(answerUrl, { decision: "approve", value: true }),
            post(`${url}/runs/${runId}/cancel`),
            post(answerUrl, { decision: "approve", value: false })
          ], { concurrency: 3 })
          yield* post(`${url}/runs/${runId}/cancel`)
          const run = yield* as(Run)(yield* get(`${url}/runs/${runId}`))
          assert.include(["completed", "cancelled"], run.state)
          const events = yield* follow(url, runId)
          assert.isTrue(isWhole(events))
          assert.strictEqual(events.filter(({ type }) => type === "done" || type === "run_cancelled").length, 1)
        }),
        { concurrency: 4 }
      )
    }).pipe(Effect.scoped))

  it.live("denies", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const run = yield* as(Suspended)(yield* post(`${url}/tools/refund_order`, { orderId: 1042, amount: 5 }))
      yield* post(`${url}/runs/${run.runId}/interrupts/${run.interrupts[0]?.id}`, {
        decision: "deny",
        reason: "too much"
      })
      yield* until(url, run.runId, "rejected")
      const repeated = yield* json(yield* get(`${url}/runs/${run.runId}`))
      assert.deepInclude(repeated["error"], {
        tag: "ToolDenied",
        message: "The call of the tool \"refund_order\" was denied: too much",
        status: 403
      })
    }).pipe(Effect.scoped))

  it.live("resume the run after the last of several, and an earlier resume does nothing", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab()
      const answer = Effect.fnUntraced(function*(runId: string, value: string) {
        const { interrupts } = yield* as(Suspended)(
          yield* post(`${url}/agents/two`, {}, { "idempotency-key": "two" })
        )
        const pending = yield* post(`${url}/runs/${runId}/resume`)
        assert.strictEqual(pending.status, 409)
        assert.deepStrictEqual((yield* as(Problem)(pending)).error["interrupts"], interrupts.map(({ id }) => id))
        yield* post(`${url}/runs/${runId}/interrupts/${interrupts[0]?.id}`, { decision: "approve", value })
      })
      const run = yield* as(Run)(yield* post(`${url}/agents/two`, {}, { "idempotency-key": "two" }))
      yield* answer(run.runId, "a")
      yield* until(url, run.runId, "suspended")
      yield* answer(run.runId, "b")
      assert.strictEqual((yield* until(url, run.runId, "completed")).output, "a b")
      const resumed = yield* post(`${url}/runs/${run.runId}/resume`)
      assert.strictEqual(resumed.status, 200)
      const events = yield* follow(url, run.runId)
      assert.isTrue(isWhole(events))
      assert.deepStrictEqual(events.filter(({ type }) => type === "token").map(({ data }) => data), [
        { delta: "first " },
        { delta: "second " }
      ])
    }).pipe(Effect.scoped))

  it.live("leave a running run unchanged on resume", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab()
      const run = yield* as(Run)(yield* post(`${url}/agents/stay/runs`, {}))
      const resumed = yield* post(`${url}/runs/${run.runId}/resume`)
      assert.strictEqual(resumed.status, 202)
      assert.deepInclude(yield* as(Run)(resumed), { state: "running", attempt: 1 })
    }).pipe(Effect.scoped))
})

describe("REST lists", () => {
  it.live("page over 120 runs without gap or duplicate while new ones start", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab()
      const ids = yield* Effect.forEach(
        Array.from({ length: 120 }, (_, index) => index),
        (index) =>
          Effect.map(
            post(`${url}/${index % 2 === 0 ? "tools/ping" : "agents/keep"}`, index % 2 === 0 ? {} : { value: index }),
            (response) => response.headers.get("x-run-id") ?? ""
          ),
        { concurrency: 10 }
      )
      const noise = yield* Effect.forkScoped(Effect.forever(post(`${url}/tools/ping`)))
      const seen: Array<string> = []
      let next: string | null = null
      do {
        const page: typeof RunPage.Type = yield* as(RunPage)(
          yield* get(`${url}/runs?limit=7${next === null ? "" : `&after=${next}`}`)
        )
        seen.push(...page.items.map((run) => run.runId))
        next = page.next
      } while (next !== null)
      yield* Fiber.interrupt(noise)
      assert.deepStrictEqual(seen, [...seen].sort().reverse())
      assert.strictEqual(new Set(seen).size, seen.length)
      assert.deepStrictEqual(seen.filter((id) => ids.includes(id)), [...ids].sort().reverse())
      const tools = yield* as(RunPage)(yield* get(`${url}/runs?kind=agent&agent=keep&state=completed&limit=200`))
      assert.strictEqual(tools.items.length, 60)
    }).pipe(Effect.scoped))

  it.live("group by thread, and page events as JSON", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab()
      const response = yield* post(`${url}/agents/count`, { tokens: 1_200, pause: 400 }, { "x-thread-id": "t1" })
      const runId = response.headers.get("x-run-id") ?? ""
      yield* post(`${url}/tools/ping`)
      const thread = yield* as(RunPage)(yield* get(`${url}/runs?threadId=t1`))
      assert.deepStrictEqual(thread.items.map((run) => run.runId), [runId])
      const seen: Array<{ readonly seq: number }> = []
      let next: string | null = "0"
      while (next !== null) {
        const page: typeof EventPage.Type = yield* as(EventPage)(
          yield* get(`${url}/runs/${runId}/events?after=${next}`, { accept: "application/json" })
        )
        seen.push(...page.items)
        next = page.next
      }
      assert.isTrue(isWhole(seen))
      assert.strictEqual(seen.length, 1_202)
    }).pipe(Effect.scoped))
})
