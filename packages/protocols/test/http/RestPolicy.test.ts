import { assert, describe, it } from "@effect/vitest"
import { RateLimit } from "@fastagentic/core"
import { Effect, Schema } from "effect"
import { by, people, startLab } from "./lab.ts"
import { as, follow, get, isWhole, post, Problem, Run, RunPage, Suspended, text, until } from "./rest.ts"

const routes: ReadonlyArray<readonly ["GET" | "POST", string]> = [
  ["GET", "/agents"],
  ["POST", "/agents/keep"],
  ["POST", "/agents/keep/stream"],
  ["POST", "/agents/keep/runs"],
  ["POST", "/agents/nobody"],
  ["GET", "/tools"],
  ["POST", "/tools/ping"],
  ["POST", "/tools/nothing"],
  ["GET", "/resources"],
  ["GET", "/resources/rules"],
  ["GET", "/resources/nothing"],
  ["GET", "/prompts"],
  ["POST", "/prompts/nothing"],
  ["GET", "/runs"],
  ["GET", "/runs/none"],
  ["GET", "/runs/none/events"],
  ["POST", "/runs/none/cancel"],
  ["POST", "/runs/none/resume"],
  ["GET", "/runs/none/interrupts"],
  ["POST", "/runs/none/interrupts/none"],
  ["GET", "/audit"],
  ["GET", "/audit?limit=x"],
  ["GET", "/metrics"]
]

const call = (url: string, [method, path]: readonly ["GET" | "POST", string], headers: Record<string, string> = {}) =>
  method === "GET" ? get(url + path, headers) : post(url + path, "{ no json", headers)

describe("REST policy", () => {
  it.live("refuses every request without credentials", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab({ auth: people })
      for (const route of routes) {
        for (
          const headers of [
            {},
            { authorization: "Bearer wrong" },
            { authorization: "Basic a2V5LW9mLWFubjo=" },
            { "x-api-key": "" },
            { "x-api-key": "key-of-ann " + "x" }
          ]
        ) {
          const response = yield* call(url, route, headers)
          assert.strictEqual(response.status, 401, route.join(" "))
          assert.strictEqual(
            response.headers.get("www-authenticate"),
            headers.authorization?.startsWith("Bearer")
              ? "Bearer realm=\"agents\", error=\"invalid_token\", ApiKey realm=\"agents\""
              : "Bearer, ApiKey realm=\"agents\""
          )
          assert.strictEqual((yield* as(Problem)(response)).title, "Unauthenticated")
        }
      }
      for (const path of ["/health", "/ready", "/docs", "/openapi.json"]) {
        assert.strictEqual((yield* get(url + path)).status, 200, path)
      }
      assert.strictEqual((yield* get(`${url}/agents`, by("ann"))).status, 200)
      assert.strictEqual((yield* get(`${url}/agents`, { authorization: "Bearer key-of-ann" })).status, 200)
    }).pipe(Effect.scoped))

  it.live("hides a run from other callers and other tenants", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab({ auth: people })
      const run = yield* as(Suspended)(yield* post(`${url}/agents/two`, {}, by("ann")))
      const id = run.interrupts[0]?.id
      const about: ReadonlyArray<readonly ["GET" | "POST", string]> = [
        ["GET", `/runs/${run.runId}`],
        ["GET", `/runs/${run.runId}/events`],
        ["GET", `/runs/${run.runId}/interrupts`],
        ["POST", `/runs/${run.runId}/resume`],
        ["POST", `/runs/${run.runId}/cancel`],
        ["POST", `/runs/${run.runId}/interrupts/${id}`]
      ]
      for (const who of ["ben", "dan"]) {
        for (const [method, path] of about) {
          const body = path.endsWith(`/${id}`) ? { decision: "approve", value: "stolen" } : {}
          const response = method === "GET" ? yield* get(url + path, by(who)) : yield* post(url + path, body, by(who))
          assert.strictEqual(response.status, 404, `${who} ${path}`)
          const problem = yield* as(Problem)(response)
          assert.deepStrictEqual(problem.error, { _tag: "RunNotFound", runId: run.runId })
        }
        assert.deepStrictEqual((yield* as(RunPage)(yield* get(`${url}/runs`, by(who)))).items, [])
      }
      const seen = yield* as(RunPage)(yield* get(`${url}/runs`, by("cleo")))
      assert.deepStrictEqual(seen.items.map(({ runId }) => runId), [run.runId])
      const answered = yield* post(
        `${url}/runs/${run.runId}/interrupts/${id}`,
        { decision: "approve", value: "a" },
        by("cleo")
      )
      assert.strictEqual(answered.status, 202)
      const events = yield* Effect.flatMap(
        get(`${url}/runs/${run.runId}/events?after=4`, { ...by("ann"), accept: "application/json" }),
        text
      )
      assert.include(events, "\"by\":\"cleo\"")
    }).pipe(Effect.scoped))

  it.live("keeps equal idempotency keys of two callers apart", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab({ auth: people })
      const ids = yield* Effect.forEach(["ann", "ben", "dan"], (who) =>
        Effect.map(
          post(`${url}/agents/keep`, { value: who }, { ...by(who), "idempotency-key": "k" }),
          (response) => `${response.status} ${response.headers.get("x-run-id")}`
        ))
      assert.strictEqual(new Set(ids).size, 3)
      assert.isTrue(ids.every((id) => id.startsWith("200")))
    }).pipe(Effect.scoped))

  it.live("requires every scope of an agent and names the rule", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab({ auth: people })
      for (const path of ["/agents/vault", "/agents/vault/stream", "/agents/vault/runs"]) {
        for (const [who, missing] of [["ann", ["vault:open", "vault:see"]], ["ben", ["vault:see"]]] as const) {
          const response = yield* post(url + path, {}, by(who))
          assert.strictEqual(response.status, 403)
          const { error } = yield* as(Problem)(response)
          // A caller that holds some scopes learns all of them: its next token may hold no others.
          const needed = ["vault:open", "vault:see"]
          const beside = missing.length === needed.length ? {} : { needed }
          assert.deepStrictEqual(error, { _tag: "Forbidden", rule: "scopes", missing, ...beside })
          assert.strictEqual(
            response.headers.get("www-authenticate"),
            `Bearer realm="agents", error="insufficient_scope", scope="${needed.join(" ")}"`
          )
        }
      }
      assert.strictEqual((yield* post(`${url}/agents/vault`, {}, by("cleo"))).status, 200)
      assert.strictEqual((yield* post(`${url}/agents/vault`, {}, by("dan"))).status, 200)
      assert.deepStrictEqual((yield* as(RunPage)(yield* get(`${url}/runs`, by("ann")))).items, [])
    }).pipe(Effect.scoped))

  it.live("limits the rate for each caller and target", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab({
        auth: people,
        limit: RateLimit.layer([{ name: "each", by: ["user", "endpoint"], limit: 3, window: "30 seconds" }])
      })
      const call = (who: string, path = "/tools/ping") => post(url + path, {}, by(who))
      const answers = yield* Effect.forEach(Array.from({ length: 10 }), () => call("ann"), { concurrency: 10 })
      assert.strictEqual(answers.filter((answer) => answer.status === 200).length, 3)
      const refused = yield* call("ann")
      assert.strictEqual(refused.status, 429)
      const wait = Number(refused.headers.get("retry-after"))
      assert.isTrue(wait > 0 && wait <= 30, String(wait))
      assert.deepInclude((yield* as(Problem)(refused)).error, { _tag: "RateLimited", limit: 3 })
      assert.strictEqual((yield* call("ben")).status, 200)
      assert.strictEqual((yield* post(`${url}/agents/keep`, { value: 1 }, by("ann"))).status, 200)
      assert.strictEqual((yield* as(RunPage)(yield* get(`${url}/runs?kind=tool`, by("ann")))).items.length, 3)
    }).pipe(Effect.scoped))

  it.live("names the trace in every answer", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab({ auth: people })
      const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
      const headers = { ...by("ann"), traceparent: `00-${trace}-00f067aa0ba902b7-01` }
      const answers = [
        yield* get(`${url}/agents`, headers),
        yield* post(`${url}/agents/keep`, { value: 1 }, headers),
        yield* post(`${url}/agents/keep`, { value: 1, other: 2 }, headers),
        yield* post(`${url}/agents/keep/stream`, { value: 1 }, headers),
        yield* post(`${url}/agents/vault`, {}, headers),
        yield* get(`${url}/runs/none`, headers),
        yield* get(`${url}/nothing`, headers),
        yield* get(`${url}/health`, headers),
        yield* get(`${url}/runs`, { traceparent: headers.traceparent })
      ]
      for (const answer of answers) {
        assert.strictEqual(answer.headers.get("x-trace-id"), trace, answer.url)
        assert.match(
          answer.headers.get("traceparent") ?? "",
          new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`, "u"),
          answer.url
        )
      }
      for (const broken of ["", "x", `00-${"0".repeat(32)}-00f067aa0ba902b7-01`, "00-4BF92F-1-01"]) {
        const answer = yield* get(`${url}/agents`, { ...by("ann"), traceparent: broken })
        assert.match(answer.headers.get("x-trace-id") ?? "", /^(?!0+$)[0-9a-f]{32}$/u)
      }
    }).pipe(Effect.scoped))

  it.live("hides the scopes of a caller from the run's journal", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab()
      const run = yield* as(Run)(yield* post(`${url}/agents/two`, {}))
      yield* post(`${url}/runs/${run.runId}/cancel`)
      yield* until(url, run.runId, "cancelled")
      const body = yield* text(yield* get(`${url}/runs/${run.runId}`))
      const record = yield* Schema.decodeUnknownEffect(
        Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json))
      )(body)
      for (const inner of ["owner", "tenant", "fingerprint", "idempotencyKey", "emitted"]) {
        assert.notProperty(record, inner)
      }
      assert.isTrue(isWhole(yield* follow(url, run.runId)))
    }).pipe(Effect.scoped))
})
