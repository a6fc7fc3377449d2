import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startLab } from "./lab.ts"
import {
  as,
  EventPage,
  frames,
  get,
  json,
  post,
  Problem,
  raw,
  Run,
  RunPage,
  start,
  Suspended,
  text,
  until
} from "./rest.ts"

const order = { id: 1042, state: "shipped", amount: 42.5 }

describe("REST", () => {
  it.live("waits for an agent and returns its answer with run and trace id", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const response = yield* post(`${url}/agents/support`, { question: "Where is order 1042?" }, {
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
      })
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.headers.get("x-trace-id"), "4bf92f3577b34da6a3ce929d0e0e4736")
      assert.deepStrictEqual(yield* json(response), { answer: "Order 1042 is shipped.", orders: [order] })
      const run = yield* json(yield* get(`${url}/runs/${response.headers.get("x-run-id")}`))
      assert.deepInclude(run, { agent: "support", state: "completed", traceId: "4bf92f3577b34da6a3ce929d0e0e4736" })
    }).pipe(Effect.scoped))

  it.live("gives a declared error its status", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const response = yield* post(`${url}/agents/support`, { question: "Where is order 999999?" })
      assert.strictEqual(response.status, 404)
      assert.strictEqual(response.headers.get("content-type"), "application/problem+json")
      assert.deepInclude(yield* json(response), {
        type: "urn:fastagentic:error:OrderNotFound",
        title: "OrderNotFound",
        status: 404,
        error: { _tag: "OrderNotFound", orderId: 999999 }
      })
    }).pipe(Effect.scoped))

  it.live("streams tokens as server-sent events", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const response = yield* post(`${url}/agents/echo/stream`, { text: "one two three" })
      assert.strictEqual(response.headers.get("content-type"), "text/event-stream")
      assert.strictEqual(response.headers.get("cache-control"), "no-store, no-transform")
      assert.strictEqual(response.headers.get("x-accel-buffering"), "no")
      const events = frames(yield* text(response))
      assert.deepStrictEqual(events.map(({ event, id }) => `${id} ${event}`), [
        "1 run_started",
        "2 token",
        "3 token",
        "4 token",
        "5 done"
      ])
      assert.isTrue(events.every(({ data, event, id }) => data.seq === id && data.type === event))
    }).pipe(Effect.scoped))

  it.live("ends a failed stream with the error", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const response = yield* post(`${url}/agents/support/stream`, { question: "order 5" })
      assert.strictEqual(response.status, 200)
      const last = frames(yield* text(response)).at(-1)
      assert.strictEqual(last?.event, "error")
      assert.deepInclude(last?.data.data, { tag: "OrderNotFound", status: 404, declared: true })
    }).pipe(Effect.scoped))

  it.live("starts in the background", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const response = yield* post(`${url}/agents/support/runs`, { question: "1042" })
      assert.strictEqual(response.status, 202)
      const run = yield* as(Run)(response)
      assert.strictEqual(response.headers.get("location"), `/runs/${run.runId}`)
      assert.strictEqual(response.headers.get("x-run-id"), run.runId)
      assert.deepInclude(yield* until(url, run.runId, "completed"), { attempt: 1, seq: 3 })
      const page = yield* as(RunPage)(yield* get(`${url}/runs`))
      assert.deepStrictEqual([page.items.map(({ runId }) => runId), page.next], [[run.runId], null])
    }).pipe(Effect.scoped))

  it.live("calls tools, with approval and without", () =>
    Effect.gen(function*() {
      const url = yield* start()
      assert.deepStrictEqual(yield* json(yield* post(`${url}/tools/find_order`, { orderId: 1042 })), order)
      const missing = yield* as(Problem)(yield* post(`${url}/tools/find_order`, { orderId: 1 }))
      assert.deepStrictEqual(missing.error, { _tag: "OrderNotFound", orderId: 1 })
      const waiting = yield* as(Suspended)(yield* post(`${url}/tools/refund_order`, { orderId: 1042, amount: 5 }))
      const open = yield* json(yield* get(`${url}/runs/${waiting.runId}/interrupts`))
      assert.deepInclude(open, { next: null })
      yield* post(`${url}/runs/${waiting.runId}/interrupts/${waiting.interrupts[0]?.id}`, {
        decision: "edit",
        value: { orderId: 1042, amount: 3 }
      })
      assert.deepInclude(yield* until(url, waiting.runId, "completed"), { output: { orderId: 1042, refunded: 3 } })
      const page = yield* as(EventPage)(
        yield* get(`${url}/runs/${waiting.runId}/events`, { accept: "application/json" })
      )
      assert.deepStrictEqual(page.items.map(({ type }) => type), [
        "run_started",
        "interrupt",
        "run_suspended",
        "interrupt_resolved",
        "run_started",
        "tool_start",
        "tool_result",
        "done"
      ])
    }).pipe(Effect.scoped))

  it.live("calls a tool without fields with any empty body", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab()
      for (const body of [undefined, "", " ", "{}"]) {
        assert.strictEqual(yield* text(yield* post(`${url}/tools/ping`, body)), "\"pong\"")
      }
      for (const body of ["{\"a\":1}", "[]", "null", "\"x\"", "1"]) {
        const refused = yield* post(`${url}/tools/ping`, body)
        assert.strictEqual(refused.status, 400, body)
        assert.strictEqual((yield* as(Problem)(refused)).title, "InvalidPayload")
        assert.strictEqual((yield* post(`${url}/agents/two`, body)).status, 400, body)
      }
    }).pipe(Effect.scoped))

  it.live("reads resources with parameters and without, and renders prompts", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const page = yield* get(`${url}/resources/handbook/returns`)
      assert.strictEqual(page.headers.get("content-type"), "text/markdown; charset=utf-8")
      assert.strictEqual(yield* text(page), "# Returns\n30 days.")
      const lab = yield* startLab()
      assert.strictEqual(yield* text(yield* get(`${lab.url}/resources/rules`)), "[\"be kind\"]")
      assert.strictEqual((yield* get(`${lab.url}/resources/rules/`)).status, 404)
      assert.deepStrictEqual(yield* json(yield* post(`${url}/prompts/triage`, { severity: "high" })), {
        messages: [{ role: "user", text: "Sort this complaint; treat it as high." }]
      })
    }).pipe(Effect.scoped))

  it.live("lists declarations, with closed schemas of their inputs", () =>
    Effect.gen(function*() {
      const url = yield* start()
      assert.deepInclude(yield* json(yield* get(`${url}/agents`)), { next: null })
      const body = yield* text(yield* get(`${url}/agents`))
      assert.include(body, "\"examples\":[\"Where is order 1042?\"]")
      const tools = JSON.parse(yield* text(yield* get(`${url}/tools`)))
      for (const { payload } of tools.items) {
        assert.deepInclude(payload, { type: "object", additionalProperties: false })
      }
      const resources = JSON.parse(yield* text(yield* get(`${url}/resources`)))
      assert.deepInclude(resources.items[0], { identifier: "handbook", uriTemplate: "handbook://{topic}" })
      const prompts = JSON.parse(yield* text(yield* get(`${url}/prompts`)))
      assert.deepStrictEqual(prompts.items[0].params.required, ["severity"])
    }).pipe(Effect.scoped))

  it.live("returns any JSON unchanged", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab()
      const values = [
        null,
        "",
        "ü\u2028\u0000\n\ndata: x\n\nid: 9",
        0,
        -0.5,
        1e300,
        [],
        {},
        { a: { b: [null] } },
        "x".repeat(100_000)
      ]
      for (const value of values) {
        const response = yield* post(`${url}/agents/keep/stream`, { value })
        const events = frames(yield* text(response))
        assert.strictEqual(events.length, 2)
        assert.deepStrictEqual(events[1]?.data.data, { output: value })
        assert.deepInclude(yield* json(yield* get(`${url}/runs/${response.headers.get("x-run-id")}`)), {
          output: value
        })
      }
    }).pipe(Effect.scoped))

  it.live("serves health, readiness and metrics", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab()
      assert.deepStrictEqual(yield* json(yield* get(`${url}/health`)), { status: "ok" })
      assert.deepStrictEqual(yield* json(yield* get(`${url}/ready`)), { status: "ready" })
      const metric = (body: string, line: string) =>
        Number(body.split("\n").find((one) => one.startsWith(`${line} `))?.split(" ")[1] ?? 0)
      const before = yield* text(yield* get(`${url}/metrics`))
      yield* post(`${url}/agents/keep`, { value: 1 })
      yield* post(`${url}/agents/keep`, { value: 2 })
      const stay = yield* as(Run)(yield* post(`${url}/agents/stay/runs`, {}))
      const during = yield* get(`${url}/metrics`)
      assert.strictEqual(during.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8")
      const body = yield* text(during)
      const grown = (line: string) => metric(body, line) - metric(before, line)
      assert.strictEqual(grown("fastagentic_runs_started_total{app=\"lab\",kind=\"agent\",agent=\"keep\"}"), 2)
      assert.strictEqual(
        grown("fastagentic_runs_finished_total{app=\"lab\",kind=\"agent\",agent=\"keep\",state=\"completed\"}"),
        2
      )
      assert.strictEqual(grown("fastagentic_run_duration_seconds_count{app=\"lab\",kind=\"agent\",agent=\"keep\"}"), 2)
      assert.strictEqual(grown("fastagentic_runs_active{app=\"lab\"}"), 1)
      assert.strictEqual(grown("fastagentic_events_committed_total{app=\"lab\"}"), 6)
      yield* post(`${url}/runs/${stay.runId}/cancel`)
      const after = yield* text(yield* get(`${url}/metrics`))
      assert.strictEqual(
        metric(after, "fastagentic_runs_active{app=\"lab\"}"),
        metric(before, "fastagentic_runs_active{app=\"lab\"}")
      )
      const cancelled = "fastagentic_runs_finished_total{app=\"lab\",kind=\"agent\",agent=\"stay\",state=\"cancelled\"}"
      assert.strictEqual(metric(after, cancelled) - metric(before, cancelled), 1)
    }).pipe(Effect.scoped))

  it.live("counts each app of a process separately", () =>
    Effect.gen(function*() {
      const [lab, acme] = [(yield* startLab()).url, yield* start()]
      const linesOf = (url: string, app: string) =>
        Effect.map(
          Effect.flatMap(get(`${url}/metrics`), text),
          (body) => body.split("\n").filter((line) => line.includes(`app="${app}"`))
        )
      const before = yield* linesOf(lab, "lab")
      assert.strictEqual((yield* post(`${acme}/agents/echo`, { text: "a" })).status, 200)
      assert.deepStrictEqual(yield* linesOf(lab, "lab"), before)
      const counted = yield* linesOf(lab, "acme")
      assert.isTrue(
        counted.some((line) =>
          line.startsWith("fastagentic_runs_started_total{app=\"acme\",kind=\"agent\",agent=\"echo\"}")
        )
      )
    }).pipe(Effect.scoped))

  it.live("answers HEAD like GET", () =>
    Effect.gen(function*() {
      const url = yield* start()
      for (const path of ["/health", "/agents", "/openapi.json", "/runs"]) {
        const head = yield* raw(url, path, { method: "HEAD" })
        assert.strictEqual(head.status, 200, path)
        assert.strictEqual(head.body, "")
      }
    }).pipe(Effect.scoped))
})
