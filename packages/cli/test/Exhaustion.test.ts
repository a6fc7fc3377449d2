import { NodeWS } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { type Duration, Effect, Layer, Redacted, Schema } from "effect"
import { Agent, App, Audit, Auth, Budget, OpenLimits, Principal, RateLimit, Run, Server, Sqlite } from "fastagentic"
import { once } from "node:events"
import { connect } from "node:net"
import { join } from "node:path"
import { temporaryFolder } from "./process.ts"
import { urlOf } from "./serving.ts"

class Echo extends Agent.make("echo", {
  description: "Says what you say",
  payload: { text: Schema.String },
  success: Schema.Struct({ text: Schema.String })
}) {}

class Waits extends Agent.make("waits", { description: "Never ends", payload: {} }) {}

class Naps extends Agent.make("naps", { description: "Sleeps for long", payload: {} }) {}

class Lab extends App.make("lab", { version: "1", agents: [Echo, Waits, Naps] }) {}

const handlers = Layer.mergeAll(
  Echo.toLayer(({ text }) => Effect.succeed({ text })),
  Waits.toLayer(() => Effect.never),
  Naps.toLayer(() => Effect.as(Run.sleep("1 hour"), "woke"))
)

const principal = (id: string) => new Principal.Principal({ id, tenant: "acme", scopes: ["*"], roles: [], claims: {} })

const people = Auth.layerKeys(
  ["ann", "bob"].map((id) => ({ key: Redacted.make(`key-of-${id}`), principal: principal(id) }))
)

const start = Effect.suspend(() => serve(Auth.layerNone))

const serve = (auth: Layer.Layer<Auth.Auth>, limits: Layer.Layer<never> = Layer.empty, bodyTimeout?: Duration.Input) =>
  Effect.map(
    Layer.build(
      Server.layer(Lab, { port: 0, grace: "200 millis", bodyTimeout }).pipe(Layer.provide([
        handlers,
        auth,
        Sqlite.layer({ filename: join(temporaryFolder(), "lab.db") }),
        Audit.layerMemory,
        Budget.layerUnlimited,
        RateLimit.layerUnlimited,
        limits
      ]))
    ),
    urlOf
  )

/** An object with fields that nobody declares. */
const excess = (count: number) =>
  Object.fromEntries([["text", "x"], ...Array.from({ length: count }, (_, index) => [`field${index}`, index] as const)])

const json = { "content-type": "application/json" }

const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  Effect.promise(async () => {
    const response = await fetch(url, { method: "POST", headers: { ...json, ...headers }, body: JSON.stringify(body) })
    return { status: response.status, text: await response.text() }
  })

const places = (text: string) => text.match(/field\d+/gu)?.length ?? 0

/** The answers of every protocol to a payload that does not fit. */
const refusals = {
  REST: (url: string, payload: unknown) => Effect.map(post(`${url}/agents/echo`, payload), ({ text }) => text),
  "REST, a schedule": (url: string, payload: unknown) =>
    Effect.map(post(`${url}/schedules/x`, payload), ({ text }) => text),
  MCP: (url: string, payload: unknown) =>
    Effect.map(
      post(
        `${url}/mcp`,
        { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "echo", arguments: payload } },
        {
          accept: "application/json, text/event-stream"
        }
      ),
      ({ text }) => text
    ),
  A2A: (url: string, payload: unknown) =>
    Effect.map(
      post(`${url}/a2a`, {
        jsonrpc: "2.0",
        id: 1,
        method: "SendMessage",
        params: { message: { messageId: "m1", role: "ROLE_USER", parts: [{ data: payload }] } }
      }, { "a2a-version": "1.0" }),
      ({ text }) => text
    ),
  WebSocket: (url: string, payload: unknown) =>
    Effect.promise(async () => {
      const ws = new NodeWS.WebSocket(`${url.replace("http", "ws")}/ws`)
      await once(ws, "open")
      ws.send(JSON.stringify({ id: "1", op: "start", agent: "echo", payload }))
      const [data] = await once(ws, "message")
      ws.terminate()
      return String(data)
    })
} as const

describe("a value with very many faults", () => {
  for (const [protocol, refused] of Object.entries(refusals)) {
    it.live(`${protocol} lists at most 100 places of it, and an answer stays small`, () =>
      Effect.gen(function*() {
        const url = yield* start
        const text = yield* refused(url, excess(5_000))
        assert.include(text, "field0", text.slice(0, 300))
        // A place is named in the list and, for the first ones, in the message.
        assert.isAtMost(places(text), 300)
        assert.isBelow(text.length, 40_000)
      }).pipe(Effect.scoped))
  }

  it.live("60,000 undeclared fields are refused at the first one, within half a second of processor time", () =>
    Effect.gen(function*() {
      const url = yield* start
      yield* post(`${url}/agents/echo`, { text: "warm" })
      const before = process.cpuUsage()
      const { status, text } = yield* post(
        `${url}/agents/echo`,
        Object.fromEntries(Array.from({ length: 60_000 }, (_, n) => [`f${n}`, 1]))
      )
      assert.strictEqual(status, 400)
      assert.isBelow(text.length, 2_000)
      assert.isBelow(process.cpuUsage(before).user / 1_000, 500)
    }).pipe(Effect.scoped))
})

const as = (id: string) => ({ "x-api-key": `key-of-${id}` })

/** A WebSocket of a caller, or the refusal. */
const socket = (url: string, id: string) =>
  Effect.promise(async () => {
    const ws = new NodeWS.WebSocket(`${url.replace("http", "ws")}/ws`, { headers: as(id) })
    return new Promise<{ readonly ws: NodeWS.WebSocket; readonly refusal: string | undefined }>((resolve) => {
      ws.on("error", () => {})
      ws.on("open", () => resolve({ ws, refusal: undefined }))
      ws.on("unexpected-response", (_, response) => {
        let text = ""
        response.setEncoding("utf8").on("data", (chunk: string) => text += chunk)
        response.on("end", () => resolve({ ws, refusal: `${response.statusCode} ${text}` }))
      })
    })
  })

const limited = Layer.succeed(OpenLimits.OpenLimits, { runs: 3, streams: 2, sockets: 2, notes: 100 })

describe("what one caller holds open", () => {
  it.live("a third WebSocket of a caller is refused by its rule, and one of another caller or after an end is not", () =>
    Effect.gen(function*() {
      const url = yield* serve(people, limited)
      const first = yield* socket(url, "ann")
      yield* socket(url, "ann")
      const third = yield* socket(url, "ann")
      assert.match(third.refusal ?? "", /^429 .*"_tag":"TooManyOpen","rule":"open-sockets","limit":2/u)
      assert.isUndefined((yield* socket(url, "bob")).refusal)
      first.ws.close()
      yield* Effect.promise(() => once(first.ws, "close"))
      yield* Effect.sleep("100 millis")
      assert.isUndefined((yield* socket(url, "ann")).refusal)
    }).pipe(Effect.scoped))

  it.live("runs that rest or have ended do not count, however many a caller starts in a short time", () =>
    Effect.gen(function*() {
      const url = yield* serve(people, limited)
      for (let count = 0; count < 8; count++) {
        assert.strictEqual((yield* post(`${url}/agents/echo`, { text: "x" }, as("ann"))).status, 200)
        // Its answer comes once the run rests.
        const nap = yield* post(`${url}/agents/naps`, {}, as("ann"))
        assert.strictEqual(nap.status, 202, nap.text)
      }
      yield* Effect.forEach([1, 2, 3], () => post(`${url}/agents/waits/runs`, {}, as("ann")))
      assert.strictEqual((yield* post(`${url}/agents/naps`, {}, as("ann"))).status, 429)
    }).pipe(Effect.scoped))

  it.live("a third stream and a fourth run of a caller are refused by their rules on every protocol", () =>
    Effect.gen(function*() {
      const url = yield* serve(people, limited)
      const controller = new AbortController()
      const headers = { ...json, ...as("ann") }
      const stream = () =>
        fetch(`${url}/agents/waits/stream`, { method: "POST", headers, body: "{}", signal: controller.signal })
      yield* Effect.promise(stream)
      const second = yield* Effect.promise(stream)
      const runId = second.headers.get("x-run-id")
      const third = yield* Effect.promise(() =>
        fetch(`${url}/runs/${runId}/events`, { headers: { ...as("ann"), accept: "text/event-stream" } })
      )
      assert.strictEqual(third.status, 429)
      assert.include(yield* Effect.promise(() => third.text()), "\"rule\":\"open-streams\",\"limit\":2")
      yield* post(`${url}/agents/waits/runs`, {}, as("ann"))
      const fourth = yield* post(`${url}/agents/waits/runs`, {}, as("ann"))
      assert.strictEqual(fourth.status, 429)
      assert.include(fourth.text, "\"rule\":\"open-runs\",\"limit\":3")
      assert.strictEqual((yield* post(`${url}/agents/echo`, { text: "x" }, as("bob"))).status, 200)
      const message = { messageId: "m1", role: "ROLE_USER", parts: [{ text: "x" }] }
      const rpc = { jsonrpc: "2.0", id: 1 }
      const a2a = yield* post(`${url}/a2a`, { ...rpc, method: "SendMessage", params: { message } }, {
        ...as("ann"),
        "a2a-version": "1.0"
      })
      assert.strictEqual(a2a.status, 429, a2a.text)
      assert.include(a2a.text, "open-runs")
      const call = { name: "echo", arguments: { text: "x" } }
      const accept = "application/json, text/event-stream"
      const mcp = yield* post(`${url}/mcp`, { ...rpc, method: "tools/call", params: call }, { ...as("ann"), accept })
      assert.include(mcp.text, "open-runs")
      controller.abort()
    }).pipe(Effect.scoped))
})

/** The head of a POST and a piece of its body, and the answer until the server closes the connection. */
const trickle = (url: string, path: string, headers: Record<string, string>) =>
  Effect.promise(async () => {
    const { hostname, port } = new URL(url)
    const connection = connect(Number(port), hostname)
    const head = Object.entries({ host: `${hostname}:${port}`, "content-length": "100", ...json, ...headers })
      .map(([name, value]) => `${name}: ${value}\r\n`).join("")
    connection.write(`POST ${path} HTTP/1.1\r\n${head}\r\n{`)
    const timer = setInterval(() => connection.write(" "), 50)
    let text = ""
    connection.setEncoding("utf8").on("data", (chunk: string) => text += chunk)
    connection.on("error", () => {})
    await once(connection, "close")
    clearInterval(timer)
    return text
  })

describe("a body that trickles", () => {
  const routes = [["/agents/echo", {}], ["/mcp", { accept: "application/json, text/event-stream" }], ["/a2a", {
    "a2a-version": "1.0"
  }]] as const
  for (const [path, headers] of routes) {
    it.live(`it is refused with 408 at ${path} when its time is up, and its connection is closed`, () =>
      Effect.gen(function*() {
        const url = yield* serve(Auth.layerNone, Layer.empty, "300 millis")
        const answer = yield* trickle(url, path, headers)
        assert.match(answer, /^HTTP\/1\.1 408 /u)
      }).pipe(Effect.scoped))
  }
})
