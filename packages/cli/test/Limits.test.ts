import { NodeWS } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import {
  Agent,
  App,
  Audit,
  Auth,
  Budget,
  Principal,
  RateCounters,
  RateLimit,
  Resource,
  RunError,
  RunStore,
  Server
} from "fastagentic"
import { once } from "node:events"
import { urlOf } from "./serving.ts"

class Ask extends Agent.make("ask", { description: "Answers", payload: { text: Schema.String } }) {}
class Tell extends Agent.make("tell", { description: "Tells", payload: { text: Schema.String } }) {}
const Handbook = Resource.make("handbook", "desk://handbook", { description: "The handbook", success: Schema.String })

class Desk extends App.make("desk", { version: "1", agents: [Ask, Tell], resources: [Handbook] }) {}

const DeskLayer = Layer.mergeAll(
  Ask.toLayer(({ text }) => Effect.succeed(text)),
  Tell.toLayer(({ text }) => Effect.succeed(text)),
  Handbook.toLayer(() => Effect.succeed("be kind"))
)

const person = (id: string, tenant: string) => ({
  key: Redacted.make(id),
  principal: new Principal.Principal({ id: id.split("@")[0] ?? "", tenant, scopes: [], roles: [], claims: {} })
})

const people = Auth.layerKeys([
  person("ann", "acme"),
  person("ben", "acme"),
  person("dan", "other"),
  person("ann@other", "other")
])

const build = (rules: ReadonlyArray<RateLimit.Rule>, take?: RateCounters.RateCounters["Service"]["take"]) =>
  Layer.build(
    Server.layer(Desk, { port: 0, grace: "200 millis" }).pipe(
      Layer.provide([
        DeskLayer,
        people,
        RunStore.RunStore.layerMemory,
        Audit.layerMemory,
        Budget.layerUnlimited,
        RateLimit.layer(rules)
      ]),
      Layer.provide(take === undefined ? Layer.empty : Layer.succeed(RateCounters.RateCounters, { take }))
    )
  )

const start = (rules: ReadonlyArray<RateLimit.Rule>, take?: RateCounters.RateCounters["Service"]["take"]) =>
  Effect.map(build(rules, take), urlOf)

const send = (url: string, who: string, body: unknown, headers: Record<string, string> = {}) =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": who, ...headers },
      body: JSON.stringify(body)
    })
    const text = await response.text()
    const body_ = response.headers.get("content-type")?.includes("json") === true ? JSON.parse(text) : text
    return { status: response.status, headers: response.headers, body: body_ }
  })

const ask = (url: string, who: string, headers: Record<string, string> = {}) =>
  send(`${url}/agents/ask`, who, { text: "?" }, headers)

const statuses = <A>(calls: ReadonlyArray<Effect.Effect<{ readonly status: number }, A>>) =>
  Effect.map(Effect.all(calls), (answers) => answers.map(({ status }) => status))

const mcp = (url: string, who: string) =>
  send(`${url}/mcp`, who, {
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: {
      name: "ask",
      arguments: { text: "?" },
      _meta: {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}
      }
    }
  }, {
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": "ask"
  })

let messages = 0

const a2a = (url: string, who: string, method = "SendMessage") =>
  send(`${url}/a2a/ask`, who, {
    jsonrpc: "2.0",
    id: 1,
    method,
    params: { message: { messageId: `m${++messages}`, role: "ROLE_USER", parts: [{ text: "?" }] } }
  }, { "a2a-version": "1.0" })

/** The answer of a socket to one frame. */
const webSocket = (url: string, who: string) =>
  Effect.promise(async () => {
    const socket = new NodeWS.WebSocket(`${url.replace("http", "ws")}/ws`, { headers: { "x-api-key": who } })
    await once(socket, "open")
    socket.send(JSON.stringify({ id: "1", op: "start", agent: "ask", payload: { text: "?" } }))
    const [frame] = await once(socket, "message")
    socket.terminate()
    return JSON.parse(String(frame))
  })

const one = (rule: Partial<RateLimit.Rule> = {}): RateLimit.Rule => ({
  name: "one",
  by: ["user"],
  limit: 1,
  window: "1 hour",
  ...rule
})

/** The members of a header, with their parameters. */
const members = (headers: Headers, name: string) =>
  Object.fromEntries(
    (headers.get(name) ?? "").split(", ").map((member) => {
      const [key = "", ...rest] = member.split(";")
      return [JSON.parse(key), Object.fromEntries(rest.map((one) => [one.slice(0, 1), Number(one.slice(2))]))]
    })
  )

const exhausted = /^The limit "shared" allows 5 calls in 3600 s\. Try again in \d+ s\.$/u

describe("limits over a socket", () => {
  it.live("one limit is shared by all protocols, and each has its own refusal", () =>
    Effect.gen(function*() {
      const url = yield* start([one({ name: "shared", limit: 5 })])
      const first = yield* ask(url, "ann")
      assert.strictEqual(first.status, 200)
      assert.strictEqual(first.headers.get("ratelimit-policy"), "\"shared\";q=5;w=3600")
      assert.strictEqual(first.headers.get("ratelimit"), "\"shared\";r=4;t=3600")
      const stream = yield* send(`${url}/agents/ask/stream`, "ann", { text: "?" })
      assert.include(String(stream.body), "event: done")
      assert.deepInclude(members(stream.headers, "ratelimit")["shared"], { r: 3 })
      const call = yield* mcp(url, "ann")
      assert.strictEqual(call.body.result.content[0].text, "?")
      assert.deepInclude(members(call.headers, "ratelimit")["shared"], { r: 2 })
      const task = yield* a2a(url, "ann")
      assert.strictEqual(task.body.result.task.status.state, "TASK_STATE_COMPLETED")
      assert.deepInclude(members(task.headers, "ratelimit")["shared"], { r: 1 })
      assert.strictEqual((yield* webSocket(url, "ann")).type, "result")

      for (const path of ["/agents/ask", "/agents/ask/stream", "/agents/ask/runs"]) {
        const { body, headers, status } = yield* send(url + path, "ann", { text: "?" })
        assert.strictEqual(status, 429)
        assert.strictEqual(headers.get("content-type"), "application/problem+json")
        assert.deepInclude(body, { type: "urn:fastagentic:error:RateLimited", title: "RateLimited", status: 429 })
        assert.match(body.detail, exhausted)
        assert.deepInclude(body.error, { _tag: "RateLimited", rule: "shared", limit: 5, windowMillis: 3_600_000 })
        assert.strictEqual(Number(headers.get("retry-after")), Math.ceil(body.error.retryAfterMillis / 1_000))
        assert.deepInclude(members(headers, "ratelimit")["shared"], { r: 0 })
        assert.deepInclude(members(headers, "ratelimit-policy")["shared"], { q: 5, w: 3_600 })
      }
      const frame = yield* webSocket(url, "ann")
      assert.deepInclude(frame, { id: "1", type: "error" })
      assert.deepInclude(frame.problem, { title: "RateLimited", status: 429 })
      assert.deepInclude(frame.problem.error, { rule: "shared", limit: 5 })
      assert.isAbove(frame.problem.error.retryAfterMillis, 0)
      const { body: { error }, headers: received } = yield* mcp(url, "ann")
      assert.strictEqual(error.code, 429)
      assert.match(error.message, exhausted)
      assert.deepInclude(error.data, { tag: "RateLimited", rule: "shared", limit: 5, windowMillis: 3_600_000 })
      assert.isAbove(error.data.retryAfterMillis, 0)
      assert.deepInclude(members(received, "ratelimit")["shared"], { r: 0 })
      for (const method of ["SendMessage", "SendStreamingMessage"]) {
        const { body, headers, status } = yield* a2a(url, "ann", method)
        assert.strictEqual(status, 429)
        assert.isAbove(Number(headers.get("retry-after")), 0)
        assert.strictEqual(body.error.code, -32000)
        assert.match(body.error.message, exhausted)
        assert.deepInclude(body.error.data[0], { reason: "RATE_LIMITED" })
        assert.deepInclude(body.error.data[0].metadata, { rule: "shared", limit: "5", windowMillis: "3600000" })
        assert.strictEqual(body.error.data[1]["@type"], "type.googleapis.com/google.rpc.RetryInfo")
        assert.match(body.error.data[1].retryDelay, /^\d+(\.\d{1,3})?s$/u)
        assert.deepInclude(members(headers, "ratelimit")["shared"], { r: 0 })
      }
      assert.strictEqual((yield* ask(url, "ben")).status, 200)
    }).pipe(Effect.scoped))

  it.live("calls are counted by the authenticated caller, never by headers", () =>
    Effect.gen(function*() {
      const url = yield* start([one()])
      const forged = { "x-forwarded-for": "10.0.0.1", "x-tenant-id": "t", "x-user-id": "u", "forwarded": "for=1.2.3.4" }
      assert.deepStrictEqual(yield* statuses([ask(url, "ann"), ask(url, "ann", forged)]), [200, 429])
      // Users of two tenants are two users, even with the same id.
      assert.deepStrictEqual(yield* statuses([ask(url, "ann@other"), ask(url, "ann@other")]), [200, 429])
      const nobody = yield* ask(url, "nobody")
      assert.strictEqual(nobody.status, 401)
      assert.isNull(nobody.headers.get("ratelimit"))
    }).pipe(Effect.scoped))

  it.live("all applicable rules have to allow, and a refusal uses up none of them", () =>
    Effect.gen(function*() {
      const url = yield* start([
        { name: "tenant", by: ["tenant"], limit: 5, window: "1 day" },
        { name: "user", by: ["user"], limit: 2, window: "1 hour", algorithm: "token-bucket" },
        { name: "everybody", by: [], limit: 6, window: "1 day" }
      ])
      const calls = yield* Effect.all(Array.from({ length: 20 }, () => ask(url, "ann")), { concurrency: 20 })
      assert.strictEqual(calls.filter(({ status }) => status === 200).length, 2)
      const refused = yield* ask(url, "ann")
      assert.deepInclude(refused.body.error, { rule: "user", limit: 2 })
      assert.deepStrictEqual(Object.keys(members(refused.headers, "ratelimit")), ["tenant", "user", "everybody"])
      assert.deepInclude(members(refused.headers, "ratelimit"), {
        tenant: { r: 3, t: members(refused.headers, "ratelimit")["tenant"]["t"] }
      })
      assert.deepStrictEqual(yield* statuses([ask(url, "ben"), ask(url, "ben"), ask(url, "ben")]), [200, 200, 429])
      assert.deepStrictEqual(yield* statuses([ask(url, "dan"), ask(url, "dan")]), [200, 200])
      // Six calls in total are used: a refusal by both rules names the longer wait.
      assert.deepInclude((yield* ask(url, "dan")).body.error, { rule: "everybody" })
    }).pipe(Effect.scoped))

  it.live("a rule can be limited to endpoints, protocols or tenants", () =>
    Effect.gen(function*() {
      const url = yield* start([
        one({ name: "ask", endpoints: ["agent/ask", "resource/handbook"], by: ["user", "endpoint"] }),
        one({ name: "mcp", protocols: ["mcp"], by: ["tenant", "protocol"], endpoints: ["agent/tell"] }),
        one({ name: "other", tenants: ["other"], by: ["tenant"], endpoints: ["agent/tell"] })
      ])
      const tell = (who: string) => send(`${url}/agents/tell`, who, { text: "?" })
      const free = yield* tell("ann")
      assert.isNull(free.headers.get("ratelimit"))
      assert.deepStrictEqual(yield* statuses([tell("ann"), tell("dan"), tell("ann@other")]), [200, 200, 429])
      assert.deepStrictEqual(yield* statuses([ask(url, "ann"), ask(url, "ann"), ask(url, "ben")]), [200, 429, 200])
      const read = Effect.promise(() => fetch(`${url}/resources/handbook`, { headers: { "x-api-key": "ann" } }))
      assert.deepStrictEqual(yield* statuses([read, read]), [200, 429])
    }).pipe(Effect.scoped))

  it.live("unreachable counters refuse every call", () =>
    Effect.gen(function*() {
      const url = yield* start([one()], () => Effect.fail(new RunError.StoreUnavailable({ operation: "rate limit" })))
      const { body, headers, status } = yield* ask(url, "ann")
      assert.strictEqual(status, 503)
      assert.strictEqual(body.title, "StoreUnavailable")
      assert.strictEqual(headers.get("retry-after"), "1")
      assert.deepStrictEqual((yield* mcp(url, "ann")).body.error.data.tag, "StoreUnavailable")
      assert.strictEqual((yield* a2a(url, "ann")).status, 503)
      assert.deepInclude((yield* webSocket(url, "ann")).problem, { title: "StoreUnavailable", status: 503 })
    }).pipe(Effect.scoped))

  it.live("the server does not start with an invalid rule, and names it", () =>
    Effect.gen(function*() {
      const problems: ReadonlyArray<readonly [ReadonlyArray<RateLimit.Rule>, RegExp]> = [
        [[one({ endpoints: ["agent/aks"] })], /rate limit "one".*"agent\/aks".*agent\/ask/u],
        [[one(), one()], /rate limit "one": two rules/u],
        [[one({ limit: 0 })], /rate limit "one": a limit/u],
        [[one({ limit: 1.5 })], /a limit/u],
        [[one({ window: 0 })], /a window/u],
        [[one({ window: "Infinity" })], /a window/u],
        [[one({ name: "a \"b\"" })], /a name/u]
      ]
      for (const [rules, problem] of problems) {
        const error = yield* Effect.flip(build(rules))
        assert.match(error.message, problem)
      }
    }).pipe(Effect.scoped))
})
