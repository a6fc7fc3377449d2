import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { as, follow, get, isWhole, json, post, Problem, raw, Run, start, Suspended, text } from "./rest.ts"

/** The server still works, and a new run has a complete journal. */
const alive = Effect.fnUntraced(function*(url: string) {
  const response = yield* post(`${url}/agents/support`, { question: "Where is order 1042?" })
  assert.strictEqual(response.status, 200)
  const events = yield* follow(url, response.headers.get("x-run-id") ?? "")
  assert.isTrue(isWhole(events))
  assert.strictEqual(events.at(-1)?.type, "done")
})

const refused = Effect.fnUntraced(function*(response: Response, status: number, tag: string) {
  assert.strictEqual(response.status, status)
  assert.strictEqual(response.headers.get("content-type"), "application/problem+json")
  assert.match(response.headers.get("x-trace-id") ?? "", /^[0-9a-f]{32}$/u)
  const problem = yield* as(Problem)(response)
  assert.strictEqual(problem.title, tag)
  assert.strictEqual(problem.status, status)
  assert.strictEqual(problem.error["_tag"], tag)
  assert.strictEqual(problem.traceId, response.headers.get("x-trace-id"))
  return problem
})

const readIssues = Schema.decodeUnknownSync(
  Schema.Array(Schema.Struct({ path: Schema.Array(Schema.String), message: Schema.String }))
)

const paths = ["/agents/support", "/agents/support/stream", "/agents/support/runs"]
const deep = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`

const bodies: ReadonlyArray<readonly [what: string, body: string, tag: string]> = [
  ["malformed JSON", "{\"question\":", "BadBody"],
  ["no JSON", "question=1042", "BadBody"],
  ["no body", "", "InvalidPayload"],
  ["null", "null", "InvalidPayload"],
  ["a list", "[]", "InvalidPayload"],
  ["a wrong type", "{\"question\":1042}", "InvalidPayload"],
  ["a value that a check refuses", "{\"question\":\"\"}", "InvalidPayload"],
  ["a missing field", "{}", "InvalidPayload"],
  ["an unknown field", "{\"question\":\"where\",\"colour\":\"red\"}", "InvalidPayload"],
  ["a prototype", "{\"question\":\"where\",\"__proto__\":{\"admin\":true}}", "InvalidPayload"],
  ["200,000 nested lists", deep(200_000), "InvalidPayload"],
  ["a field of nested lists", `{"question":${deep(200_000)}}`, "InvalidPayload"]
]

describe("REST refuses", () => {
  for (const path of paths) {
    for (const [what, body, tag] of bodies) {
      it.live(`${what} at ${path}`, () =>
        Effect.gen(function*() {
          const url = yield* start()
          const problem = yield* refused(yield* post(url + path, body), 400, tag)
          if (tag === "InvalidPayload") assert.strictEqual(problem.error["target"], "support")
          const list = yield* json(yield* get(`${url}/runs`))
          assert.deepStrictEqual(list["items"], [])
          yield* alive(url)
        }).pipe(Effect.scoped))
    }
  }

  it.live("a payload that does not fit, with all its issues at once", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const problem = yield* refused(
        yield* post(`${url}/tools/refund_order`, { orderId: "x", amount: 1, extra: true }),
        400,
        "InvalidPayload"
      )
      assert.deepStrictEqual(readIssues(problem.error["issues"]).map(({ path }) => path.join(".")).sort(), [
        "extra",
        "orderId"
      ])
    }).pipe(Effect.scoped))

  it.live("idempotency keys and threads with U+0000", () =>
    Effect.gen(function*() {
      const url = yield* start()
      for (const [header, target] of [["idempotency-key", "idempotencyKey"], ["x-thread-id", "threadId"]] as const) {
        const question = { question: "Where is order 1042?" }
        const long = yield* post(`${url}/agents/support`, question, { [header]: "é".repeat(513) })
        assert.strictEqual((yield* refused(long, 400, "InvalidPayload")).error["target"], target)
        assert.strictEqual((yield* post(`${url}/agents/support`, question, { [header]: "é".repeat(512) })).status, 200)
      }
    }).pipe(Effect.scoped))

  it.live("undeclared targets and unknown runs", () =>
    Effect.gen(function*() {
      const url = yield* start()
      yield* refused(yield* post(`${url}/agents/nobody`, {}), 404, "NotDeclared")
      yield* refused(yield* post(`${url}/agents/nobody/stream`, {}), 404, "NotDeclared")
      yield* refused(yield* post(`${url}/agents/nobody/runs`, {}), 404, "NotDeclared")
      yield* refused(yield* post(`${url}/tools/nothing`, {}), 404, "NotDeclared")
      yield* refused(yield* post(`${url}/prompts/nothing`, {}), 404, "NotDeclared")
      yield* refused(yield* get(`${url}/resources/nothing`), 404, "NotDeclared")
      yield* refused(yield* get(`${url}/resources/nothing/x`), 404, "NotDeclared")
      yield* refused(yield* get(`${url}/resources/handbook`), 404, "NotDeclared")
      yield* refused(yield* get(`${url}/resources/handbook/returns/x`), 404, "NotDeclared")
      yield* refused(yield* get(`${url}/resources/handbook/nothing`), 404, "PageNotFound")
      yield* refused(yield* get(`${url}/runs/none`), 404, "RunNotFound")
      for (const unprintable of ["%0d%0aX-Mine:%201", "%00", "%E2%82%AC", "%20"]) {
        yield* refused(yield* get(`${url}/runs/${unprintable}`), 404, "RunNotFound")
        yield* refused(yield* get(`${url}/runs/${unprintable}/events`), 404, "RunNotFound")
        yield* refused(yield* post(`${url}/runs/${unprintable}/cancel`, {}), 404, "RunNotFound")
      }
      yield* refused(yield* get(`${url}/runs/none/events`), 404, "RunNotFound")
      yield* refused(yield* get(`${url}/runs/none/interrupts`), 404, "RunNotFound")
      yield* refused(yield* get(`${url}/runs/none/interrupts/i`), 404, "RunNotFound")
      yield* refused(yield* post(`${url}/runs/none/cancel`), 404, "RunNotFound")
      yield* refused(yield* post(`${url}/runs/none/resume`), 404, "RunNotFound")
      yield* refused(yield* post(`${url}/runs/none/interrupts/i`, { decision: "approve" }), 404, "RunNotFound")
      const { run } = { run: yield* as(Suspended)(yield* post(`${url}/agents/support`, { question: "refund 1042" })) }
      yield* refused(yield* get(`${url}/runs/${run.runId}/interrupts/none`), 404, "InterruptNotFound")
      yield* refused(
        yield* post(`${url}/runs/${run.runId}/interrupts/none`, { decision: "approve" }),
        404,
        "InterruptNotFound"
      )
      yield* alive(url)
    }).pipe(Effect.scoped))

  it.live("paths and methods without a route", () =>
    Effect.gen(function*() {
      const url = yield* start()
      yield* refused(yield* get(`${url}/nothing`), 404, "NoSuchRoute")
      yield* refused(yield* get(`${url}/`), 404, "NoSuchRoute")
      yield* refused(yield* get(`${url}/runs/a/b/c`), 404, "NoSuchRoute")
      const wrong = yield* get(`${url}/agents/support`)
      assert.strictEqual(wrong.headers.get("allow"), "POST")
      yield* refused(wrong, 405, "MethodNotAllowed")
      const deleted = yield* Effect.promise(() => fetch(`${url}/runs`, { method: "DELETE" }))
      assert.strictEqual(deleted.headers.get("allow"), "GET")
      yield* refused(deleted, 405, "MethodNotAllowed")
      for (const method of ["PUT", "PATCH", "OPTIONS", "DELETE", "POST"]) {
        assert.strictEqual((yield* raw(url, "/health", { method })).status, 405)
      }
      const head = yield* raw(url, "/health", { method: "HEAD" })
      assert.strictEqual(head.status, 200)
      assert.strictEqual((yield* raw(url, "/nothing", { method: "HEAD" })).status, 404)
      const long = yield* raw(url, `/runs/${"x".repeat(5_000)}`)
      assert.strictEqual(long.status, 404)
      assert.strictEqual(long.headers["content-type"], "application/problem+json")
      yield* alive(url)
    }).pipe(Effect.scoped))

  it.live("a body over 1 MiB, with and without Content-Length", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const big = JSON.stringify({ question: "x".repeat(1_048_577) })
      yield* refused(yield* post(`${url}/agents/support`, big), 413, "BodyTooLarge")
      const chunks = new ReadableStream<Uint8Array>({
        pull(controller) {
          controller.enqueue(new TextEncoder().encode("x".repeat(65_536)))
        }
      })
      const init = { method: "POST", body: chunks, duplex: "half" }
      // The server may also close the connection before it has read the whole body.
      const endless = yield* Effect.promise(() =>
        fetch(`${url}/agents/support`, init).then((response) => response.status, () => 413)
      )
      assert.strictEqual(endless, 413)
      const fits = JSON.stringify({ text: "x".repeat(1_048_000) })
      assert.strictEqual((yield* post(`${url}/agents/echo`, fits)).status, 200)
      yield* alive(url)
    }).pipe(Effect.scoped))

  it.live("a body with a content encoding", () =>
    Effect.gen(function*() {
      const url = yield* start()
      for (const encoding of ["gzip", "br", "identity, gzip", "x"]) {
        for (const path of paths) {
          const response = yield* post(url + path, { question: "where" }, { "content-encoding": encoding })
          assert.strictEqual(response.headers.get("accept-encoding"), "identity")
          const { error } = yield* refused(response, 415, "UnsupportedEncoding")
          assert.strictEqual(error["encoding"], encoding)
        }
      }
      const plain = yield* post(`${url}/agents/echo`, { text: "a" }, { "content-encoding": "Identity" })
      assert.strictEqual(plain.status, 200)
      yield* alive(url)
    }).pipe(Effect.scoped))

  it.live("resource parameters that name another path", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const attempts = [
        "..%2F..%2Fetc%2Fpasswd",
        "%2e%2e",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..",
        ".",
        "%00",
        "returns%00.md",
        "..%5C..%5Cetc%5Cpasswd",
        "..\\..\\etc",
        "%252e%252e%252fetc%252fpasswd",
        "%c0%ae%c0%ae%c0%afetc",
        "%",
        "%zz",
        "%E0%A4%A",
        "",
        "%20",
        "a{topic}b",
        "returns?x=/../..",
        "returns%3Fx"
      ]
      for (const attempt of attempts) {
        const answer = yield* raw(url, `/resources/handbook/${attempt}`)
        const expected = attempt === "returns?x=/../.." ? 200 : 404
        assert.strictEqual(answer.status, expected, attempt)
        if (expected === 404) assert.strictEqual(answer.headers["content-type"], "application/problem+json", attempt)
        assert.notInclude(answer.body, "root:")
      }
      // Decoded once: the handler gets text, not a path.
      const twice = yield* raw(url, "/resources/handbook/%252e%252e%252fetc")
      assert.deepInclude(JSON.parse(twice.body), { error: { _tag: "PageNotFound", topic: "%2e%2e%2fetc" } })
      const once = yield* raw(url, "/resources/handbook/%72eturns")
      assert.strictEqual(once.body, "# Returns\n30 days.")
      yield* alive(url)
    }).pipe(Effect.scoped))

  it.live("cursors that are not an event number of the run", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const response = yield* post(`${url}/agents/echo`, { text: "a b" })
      const runId = response.headers.get("x-run-id") ?? ""
      for (const cursor of ["99", "-1", "x", "1.5", "0x1", "1e3", "99999999999999999999", " ", "NaN"]) {
        yield* refused(yield* get(`${url}/runs/${runId}/events`, { "last-event-id": cursor }), 400, "InvalidCursor")
        yield* refused(yield* get(`${url}/runs/${runId}/events?after=${cursor}`), 400, "InvalidCursor")
      }
      yield* refused(yield* get(`${url}/runs/${runId}/events?after=`), 400, "InvalidCursor")
      yield* alive(url)
    }).pipe(Effect.scoped))

  it.live("invalid and unknown filters", () =>
    Effect.gen(function*() {
      const url = yield* start()
      for (
        const query of [
          "limit=0",
          "limit=-1",
          "limit=201",
          "limit=x",
          "limit=",
          "limit=1.5",
          "limit=Infinity",
          "state=happy",
          "state=",
          "kind=robot",
          "colour=red",
          "before=x"
        ]
      ) {
        const { error } = yield* refused(yield* get(`${url}/runs?${query}`), 400, "InvalidPayload")
        const [name = ""] = query.split("=")
        const issues = readIssues(error["issues"])
        assert.isNotEmpty(issues)
        assert.isTrue(issues.every(({ message, path }) => path.join(".") === name && /^.+$/u.test(message)))
      }
      const { error } = yield* refused(yield* get(`${url}/runs?limit=0&state=happy&x=1`), 400, "InvalidPayload")
      assert.deepStrictEqual(readIssues(error["issues"]).map(({ path }) => path.join(".")).sort(), [
        "limit",
        "state",
        "x"
      ])
      for (
        const after of ["", "x", "12", "019a0000-0000-7000-8000-00000000000", "019A0000-0000-7000-8000-000000000000"]
      ) {
        yield* refused(yield* get(`${url}/runs?after=${after}`), 400, "InvalidCursor")
      }
      assert.strictEqual((yield* get(`${url}/runs?after=019a0000-0000-7000-8000-000000000000`)).status, 200)
      assert.strictEqual((yield* get(`${url}/runs?state=completed&kind=agent&limit=200`)).status, 200)
      yield* alive(url)
    }).pipe(Effect.scoped))

  it.live("invalid decisions and reasons", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const run = yield* as(Suspended)(yield* post(`${url}/agents/support`, { question: "refund 1042" }))
      const [open] = run.interrupts
      const answerUrl = `${url}/runs/${run.runId}/interrupts/${open?.id}`
      yield* refused(yield* post(answerUrl, "{"), 400, "BadBody")
      yield* refused(yield* post(answerUrl), 400, "BadBody")
      yield* refused(yield* post(answerUrl, "null"), 400, "BadBody")
      const { error } = yield* refused(yield* post(answerUrl, { decision: "maybe", x: 1 }), 400, "BadBody")
      assert.match(String(error["detail"]), /^x: .*; decision: .*$/u)
      yield* refused(yield* post(answerUrl, { decision: "approve", value: true, by: "root" }), 400, "BadBody")
      yield* refused(yield* post(answerUrl, { decision: "approve", value: "yes" }), 400, "InvalidPayload")
      yield* refused(yield* post(answerUrl, { decision: "approve" }), 400, "InvalidPayload")
      yield* refused(yield* post(`${url}/runs/${run.runId}/cancel`, { reason: 1 }), 400, "BadBody")
      yield* refused(yield* post(`${url}/runs/${run.runId}/cancel`, { why: "x" }), 400, "BadBody")
      yield* refused(yield* post(`${url}/runs/${run.runId}/resume`), 409, "DecisionPending")
      assert.strictEqual((yield* post(answerUrl, { decision: "approve", value: true })).status, 202)
      const events = yield* follow(url, run.runId)
      assert.isTrue(isWhole(events))
      assert.strictEqual(events.filter((event) => event.type === "interrupt_resolved").length, 1)
      yield* alive(url)
    }).pipe(Effect.scoped))

  it.live("invalid prompt parameters", () =>
    Effect.gen(function*() {
      const url = yield* start()
      yield* refused(yield* post(`${url}/prompts/triage`, "{"), 400, "BadBody")
      yield* refused(yield* post(`${url}/prompts/triage`, {}), 400, "InvalidPayload")
      yield* refused(yield* post(`${url}/prompts/triage`, { severity: "worst" }), 400, "InvalidPayload")
      yield* refused(yield* post(`${url}/prompts/triage`, { severity: "low", x: 1 }), 400, "InvalidPayload")
    }).pipe(Effect.scoped))

  it.live("to reveal more of a defect than its trace id", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const response = yield* post(`${url}/agents/support`, { question: "crash" })
      assert.strictEqual(response.status, 500)
      const runId = response.headers.get("x-run-id") ?? ""
      const seen = [
        yield* text(response),
        yield* text(yield* post(`${url}/agents/support/stream`, { question: "crash" })),
        yield* text(yield* get(`${url}/runs/${runId}`)),
        yield* text(yield* get(`${url}/runs/${runId}/events`)),
        yield* text(yield* get(`${url}/runs/${runId}/events`, { accept: "application/json" })),
        yield* text(yield* get(`${url}/runs`))
      ]
      for (const body of seen) {
        assert.include(body, "InternalError")
        assert.notMatch(body, /secret|postgres|password|fixture\.ts|at Effect|node_modules/u)
      }
      const run = yield* as(Run)(yield* get(`${url}/runs/${runId}`))
      assert.strictEqual(run.state, "failed")
      yield* alive(url)
    }).pipe(Effect.scoped))
})
