import { NodeWS } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Agent, App, Run, type Server } from "fastagentic"
import { once } from "node:events"
import { join } from "node:path"
import { command, fastagentic, fixture, listening, temporaryFolder } from "./process.ts"
import { onSqlite } from "./serving.ts"

const payload = { text: Schema.optionalKey(Schema.String) }
class Slow extends Agent.make("slow", { description: "Never ends", payload, timeout: "1 minute" }) {}
class Asks extends Agent.make("asks", { description: "Asks", payload }) {}
class Says extends Agent.make("says", { description: "Says it back", payload }) {}
class Acme extends App.make("acme", { version: "1", agents: [Slow, Asks, Says] }) {}

const handlers = Layer.mergeAll(
  Slow.toLayer(() => Effect.never),
  Asks.toLayer(() => Effect.as(Effect.orDie(Run.interrupt("go", { schema: Schema.Boolean })), "went")),
  Says.toLayer(({ text = "" }) => Effect.succeed(String(text.length)))
)

const serve = (filename: string, options: Server.Options = {}) => onSqlite(Acme, handlers, filename, options)

const file = () => join(temporaryFolder(), "acme.db")

const Body = Schema.Record(Schema.String, Schema.Json)

const send = (method: string, url: string, body?: unknown, headers: Record<string, string> = {}) =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      method,
      headers: { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) })
    })
    const text = await response.text()
    const json: unknown = text.startsWith("{") ? JSON.parse(text) : { text }
    return { status: response.status, headers: response.headers, body: Schema.decodeUnknownSync(Body)(json) }
  })

const ended = Effect.fnUntraced(function*(url: string, runId: unknown) {
  while (true) {
    const { body } = yield* send("GET", `${url}/runs/${String(runId)}`)
    if (body["state"] !== "running" && body["state"] !== "suspended") return body
    yield* Effect.sleep("50 millis")
  }
})

const isExceeded = (body: typeof Body.Type) =>
  assert.deepInclude(body["error"], { tag: "DeadlineExceeded", status: 504, declared: false })

const mcp = (url: string, name: string, timeout: unknown) =>
  send("POST", `${url}/mcp`, {
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: {
      name,
      arguments: {},
      _meta: {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "fastagentic/timeout": timeout
      }
    }
  }, {
    "accept": "application/json",
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": name
  })

const a2a = (url: string, agent: string, timeout: unknown) =>
  send("POST", `${url}/a2a/${agent}`, {
    jsonrpc: "2.0",
    id: 1,
    method: "SendMessage",
    params: {
      message: {
        messageId: globalThis.crypto.randomUUID(),
        role: "ROLE_USER",
        parts: [{ data: {} }],
        metadata: { timeout }
      }
    }
  }, { "a2a-version": "1.0" })

const overSocket = (url: string, frame: unknown) =>
  Effect.promise(async () => {
    const socket = new NodeWS.WebSocket(`${url.replace("http", "ws")}/ws`)
    await once(socket, "open")
    socket.send(JSON.stringify(frame))
    const seen: Array<string> = []
    for await (const [data] of on(socket)) {
      const text = String(data)
      seen.push(text)
      if (/"type":"(end|error)"/u.test(text)) break
    }
    socket.close()
    return seen.join("\n")
  })

async function* on(socket: InstanceType<typeof NodeWS.WebSocket>): AsyncGenerator<ReadonlyArray<unknown>> {
  const waiting: Array<ReadonlyArray<unknown>> = []
  let wake = () => {}
  socket.on("message", (...data: ReadonlyArray<unknown>) => {
    waiting.push(data)
    wake()
  })
  while (true) {
    const next = waiting.shift()
    if (next !== undefined) yield next
    else await new Promise<void>((resolve) => wake = resolve)
  }
}

describe("deadlines over a socket on SQLite", () => {
  it.live("end a run as the query or the header of a call says, with 504", () =>
    Effect.gen(function*() {
      const { url } = yield* serve(file())
      const answers = yield* Effect.all([
        send("POST", `${url}/agents/slow?timeout=300ms`, {}),
        send("POST", `${url}/agents/slow`, {}, { "x-timeout": "1s" }),
        send("POST", `${url}/agents/slow/stream?timeout=300`, {}),
        send("POST", `${url}/agents/slow/runs?timeout=300`, {})
      ], { concurrency: "unbounded" })
      assert.deepStrictEqual(answers.map(({ status }) => status), [504, 504, 200, 202])
      for (const { body } of answers.slice(0, 2)) assert.strictEqual(body["title"], "DeadlineExceeded")
      assert.include(JSON.stringify(answers[2]?.body), "DeadlineExceeded")
      isExceeded(yield* ended(url, answers[3]?.body["runId"]))
      for (const wrong of ["0", "-1", "soon", "1w", "366d", "1.5s"]) {
        const query = yield* send("POST", `${url}/agents/says?timeout=${wrong}`, {})
        const header = yield* send("POST", `${url}/agents/says`, {}, { "x-timeout": wrong })
        assert.deepStrictEqual([query.status, header.status], [400, 400], wrong)
      }
    }).pipe(Effect.scoped))

  it.live("come over WebSocket, MCP and A2A", () =>
    Effect.gen(function*() {
      const { url } = yield* serve(file())
      const frame = { id: "1", op: "start", agent: "slow", payload: {}, timeout: "300ms" }
      assert.include(yield* overSocket(url, frame), "DeadlineExceeded")
      assert.include(yield* overSocket(url, { ...frame, timeout: "soon" }), "BadBody")
      assert.include(JSON.stringify((yield* mcp(url, "slow", "300ms")).body), "DeadlineExceeded")
      assert.include(JSON.stringify((yield* mcp(url, "slow", "soon")).body), "InvalidPayload")
      assert.include(JSON.stringify((yield* a2a(url, "slow", 300)).body), "DeadlineExceeded")
      assert.include(JSON.stringify((yield* a2a(url, "slow", "soon")).body), "timeout")
    }).pipe(Effect.scoped))

  it.live("end a run that waits for a decision, also when the server was down then", () =>
    Effect.gen(function*() {
      const filename = file()
      const first = yield* serve(filename)
      const start = (timeout: string) => send("POST", `${first.url}/agents/asks/runs?timeout=${timeout}`, {})
      const soon = yield* start("500ms")
      isExceeded(yield* ended(first.url, soon.body["runId"]))
      const later = yield* start("2s")
      assert.isNumber(later.body["deadline"])
      yield* first.stop
      yield* Effect.sleep("2 seconds")
      const second = yield* serve(filename)
      isExceeded(yield* ended(second.url, later.body["runId"]))
      const late = yield* send("POST", `${second.url}/runs/${String(later.body["runId"])}/interrupts/x`, {
        decision: "approve"
      })
      assert.include([404, 409], late.status)
    }).pipe(Effect.scoped), 20_000)
})

describe("the options of a server", () => {
  it.live("bound how long a POST waits, and a caller may ask for less", () =>
    Effect.gen(function*() {
      const { url } = yield* serve(file(), { wait: "400 millis" })
      const bounded = yield* send("POST", `${url}/agents/slow`, {})
      assert.strictEqual(bounded.status, 202)
      assert.strictEqual(bounded.body["state"], "running")
      assert.strictEqual(bounded.headers.get("location"), `/runs/${String(bounded.body["runId"])}`)
      const preferred = yield* send("POST", `${url}/agents/slow`, {}, { prefer: "respond-async, wait=0" })
      assert.strictEqual(preferred.status, 202)
      assert.strictEqual(preferred.headers.get("preference-applied"), "wait=0")
      const quick = yield* send("POST", `${url}/agents/says`, { text: "four" }, { prefer: "wait=10" })
      assert.deepStrictEqual([quick.status, quick.headers.get("preference-applied")], [200, "wait=10"])
      const asked = yield* send("POST", `${url}/agents/asks`, {}, { prefer: "wait=10" })
      assert.deepStrictEqual([asked.status, asked.body["state"]], [202, "suspended"])
    }).pipe(Effect.scoped))

  it.live("bound the body of a request on every protocol", () =>
    Effect.gen(function*() {
      const { url } = yield* serve(file(), { bodyLimit: 3_000_000 })
      const large = { text: "x".repeat(2_000_000) }
      const tooLarge = { text: "x".repeat(3_000_000) }
      assert.deepStrictEqual((yield* send("POST", `${url}/agents/says`, large)).body, { text: "\"2000000\"" })
      const refused = yield* send("POST", `${url}/agents/says`, tooLarge)
      assert.strictEqual(refused.status, 413)
      assert.deepInclude(refused.body["error"], { limitBytes: 3_000_000 })
      const frame = { id: "1", op: "start", agent: "says", payload: large }
      assert.include(yield* overSocket(url, frame), "2000000")
      for (const path of ["/mcp", "/a2a"]) {
        const { body, status } = yield* send("POST", url + path, JSON.stringify(tooLarge), { "a2a-version": "1.0" })
        assert.include([200, 413], status)
        assert.match(JSON.stringify(body), /3000000/u)
      }
    }).pipe(Effect.scoped))

  it("are flags of the command, which are refused when they are no time or size", async () => {
    const run = ["run", fixture("app.ts"), "--mode", "http", "--port", "0", "--store", "memory"]
    for (
      const [flag, value] of [["grace", "soon"], ["lease", "0"], ["body-limit", "much"], ["wait", "long"]] as const
    ) {
      const { code, stderr } = await command([...run, `--${flag}`, value])
      assert.strictEqual(code, 2)
      assert.include(stderr, `--${flag} ${value}`)
    }
    const running = fastagentic([...run, "--grace", "1s", "--lease", "10s", "--body-limit", "2KiB", "--wait", "1s"])
    const url = await listening(running)
    const refused = await fetch(`${url}/agents/greeter`, { method: "POST", body: "x".repeat(3_000) })
    assert.strictEqual(refused.status, 413)
    const waited = await fetch(`${url}/agents/greeter`, { method: "POST", body: JSON.stringify({ name: "slow" }) })
    assert.strictEqual(waited.status, 202)
    running.child.kill("SIGTERM")
    assert.strictEqual(await running.exited, 0)
  }, 60_000)
})
