import { assert, describe, it } from "@effect/vitest"
import { AgUi } from "@fastagentic/adapters/ag-ui"
import { Agent, App, Auth, Budget, Event, Principal, RateLimit, Run } from "@fastagentic/core"
import { Sqlite } from "@fastagentic/stores/sqlite"
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import * as HttpServer from "effect/http/HttpServer"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import * as Server from "../../src/Server.ts"

class Clerk extends Agent.make("clerk", { description: "Asks for a name", payload: { text: Schema.String } }) {}
class Desk extends App.make("desk", { version: "1.0.0", agents: [Clerk] }) {}

class Front extends Agent.make("front", {
  description: "Passes on",
  payload: { text: Schema.String },
  durable: false
}) {}
class House extends App.make("house", { version: "1.0.0", agents: [Front] }) {}

const clerk = Clerk.toLayer(({ text }) =>
  Effect.gen(function*() {
    yield* Run.emit(Event.token(`${text}? `, "m"))
    const name = yield* Effect.orDie(Run.interrupt("name", { schema: Schema.String, message: "Who?" }))
    yield* Run.emit(Event.token(`Hello, ${name}.`, "m"))
    return `${text}? Hello, ${name}.`
  })
)

const urlOf = (context: Context.Context<HttpServer.HttpServer>) => {
  const { address } = Context.get(context, HttpServer.HttpServer)
  return `http://127.0.0.1:${"port" in address ? address.port : 0}`
}

const services = [Budget.layerUnlimited, RateLimit.layerUnlimited, Sqlite.layer({ filename: ":memory:" })] as const

const keys = Auth.layerKeys([{
  key: Redacted.make("key-of-house"),
  principal: new Principal.Principal({ id: "house", tenant: "t", scopes: [], roles: [], claims: {} })
}])

/** The desk behind a key, and a house that passes its questions on to an endpoint. */
const serveHouse = Effect.fnUntraced(function*(options: Omit<AgUi.Remote, "egress"> & { readonly allow?: string }) {
  const { allow = "127.0.0.1", ...remote } = options
  const front = AgUi.layer(Front, { ...remote, prompt: ({ text }) => text, egress: { allow: [allow] } })
  const house = yield* Layer.build(
    Layer.fresh(Server.layer(House, { port: 0, grace: "50 millis" })).pipe(
      Layer.provide([front, Auth.layerNone, ...services])
    )
  )
  return urlOf(house)
})

const serveDesk = Effect.map(
  Layer.build(
    Layer.fresh(Server.layer(Desk, { port: 0, grace: "50 millis" })).pipe(Layer.provide([clerk, keys, ...services]))
  ),
  urlOf
)

const request = (url: string, body: object) =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body)
    })
    const json: Record<string, unknown> = Object(await response.json())
    return { status: response.status, json }
  })

/** An endpoint that answers as it likes. */
const serveEndpoint = (answer: (response: ServerResponse, url: string, request: IncomingMessage) => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
        const server = createServer((request, response) => {
          answer(response, request.url ?? "", request)
          request.resume()
        })
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          resume(Effect.succeed({
            url: `http://127.0.0.1:${port}`,
            close: () => {
              server.close()
              server.closeAllConnections()
            }
          }))
        })
      }),
      ({ close }) => Effect.sync(close)
    ),
    ({ url }) => url
  )

const sse = (response: ServerResponse, ...events: ReadonlyArray<object | string>) => {
  response.writeHead(200, { "content-type": "text/event-stream" })
  for (const event of events) response.write(typeof event === "string" ? event : `data: ${JSON.stringify(event)}\n\n`)
}

describe("An agent behind an AG-UI endpoint", () => {
  it.live("of ours passes text, questions and answers through both apps", () =>
    Effect.gen(function*() {
      const desk = yield* serveDesk
      const headers = { authorization: Redacted.make("Bearer key-of-house") }
      const house = yield* serveHouse({ url: `${desk}/agents/clerk/ag-ui`, headers })
      const asked = yield* request(`${house}/agents/front`, { text: "Well" })
      assert.strictEqual(asked.status, 202, JSON.stringify(asked.json))
      const [interrupt] = Object(asked.json["interrupts"])
      assert.deepInclude(interrupt, { kind: "input", message: "Who?" })
      const wrong = yield* request(`${house}/runs/${asked.json["runId"]}/interrupts/${interrupt.id}`, {
        decision: "approve",
        value: 7
      })
      assert.strictEqual(wrong.status, 400)
      yield* request(`${house}/runs/${asked.json["runId"]}/interrupts/${interrupt.id}`, {
        decision: "approve",
        value: "Ann"
      })
      const done = yield* Effect.promise(async () => {
        for (;;) {
          const run = Object(await (await fetch(`${house}/runs/${asked.json["runId"]}`)).json())
          if (run.state !== "running" && run.state !== "suspended") return run
          await new Promise((go) => setTimeout(go, 20))
        }
      })
      assert.deepInclude(done, { state: "completed", output: "Well? Hello, Ann." })
    }).pipe(Effect.scoped))

  it.live("fails without a word of it where the endpoint cannot be used", () =>
    Effect.gen(function*() {
      const endpoint = yield* serveEndpoint((response, path) => {
        switch (path) {
          case "/secret":
            response.writeHead(500).end("hunter2")
            break
          case "/page":
            response.writeHead(200, { "content-type": "text/html" }).end("data: <html>hunter2</html>\n\n")
            break
          case "/short":
            sse(response, { type: "RUN_STARTED" }, { type: "TEXT_MESSAGE_CONTENT", messageId: "m", delta: "We" })
            response.end()
            break
          case "/elsewhere":
            response.writeHead(307, { location: "http://169.254.169.254/latest" }).end()
            break
          default:
            sse(response, { type: "RUN_ERROR", message: "hunter2" })
            response.end()
        }
      })
      for (const path of ["/secret", "/page", "/short", "/elsewhere", "/error"]) {
        const house = yield* serveHouse({ url: endpoint + path })
        const { json, status } = yield* request(`${house}/agents/front`, { text: "Well" })
        assert.deepInclude(json, { title: "InternalError", status: 500 }, path)
        assert.strictEqual(status, 500)
        assert.notInclude(JSON.stringify(json), "hunter2")
      }
      const inside = yield* serveHouse({ url: endpoint, allow: "10.0.0.1" })
      assert.strictEqual((yield* request(`${inside}/agents/front`, { text: "Well" })).status, 500)
    }).pipe(Effect.scoped))

  it.live("of an earlier version, with chunks and without an outcome, is understood", () =>
    Effect.gen(function*() {
      const endpoint = yield* serveEndpoint((response) => {
        sse(
          response,
          ": hello\n\n",
          { type: "RUN_STARTED" },
          { type: "SOMETHING_NEW", at: 1 },
          { type: "THINKING_TEXT_MESSAGE_CONTENT", delta: "hm" },
          { type: "TOOL_CALL_CHUNK", toolCallId: "c", toolCallName: "look", delta: "{\"a\":" },
          { type: "TOOL_CALL_CHUNK", delta: "1}" },
          { type: "TOOL_CALL_RESULT", messageId: "r", toolCallId: "c", content: "seen" },
          { type: "TEXT_MESSAGE_CHUNK", messageId: "m", delta: "It is " },
          { type: "TEXT_MESSAGE_CHUNK", delta: "done." },
          { type: "STATE_SNAPSHOT", snapshot: { a: 1 } },
          { type: "RUN_FINISHED", usage: [{ inputTokens: 3, outputTokens: 2 }] }
        )
        response.end()
      })
      const house = yield* serveHouse({ url: endpoint })
      const stream = yield* Effect.promise(async () => {
        const response = await fetch(`${house}/agents/front/stream`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ text: "Well" })
        })
        return response.text()
      })
      const events = stream.split("\n").filter((line) => line.startsWith("data: ")).map((line) =>
        JSON.parse(line.slice(6))
      )
      const of = (type: string) => events.filter((event) => event.type === type).map(({ data }) => data)
      assert.deepStrictEqual(of("tool_call"), [{ toolCallId: "c", name: "look", arguments: { a: 1 } }])
      assert.deepInclude(of("tool_result")[0], { result: "seen" })
      assert.deepInclude(of("usage")[0], { inputTokens: 3, outputTokens: 2 })
      assert.deepStrictEqual(of("state_snapshot"), [{ state: { a: 1 } }])
      assert.strictEqual(of("done")[0]?.output, "It is done.")
    }).pipe(Effect.scoped))

  it.live("gets its state back with each decision, with the changes that it has sent since its snapshot", () =>
    Effect.gen(function*() {
      const inputs: Array<{ readonly state?: unknown; readonly resume?: unknown }> = []
      const server = yield* serveEndpoint((response, _path, request) => {
        let text = ""
        request.on("data", (piece) => text += String(piece))
        request.on("end", () => {
          inputs.push(JSON.parse(text))
          sse(
            response,
            { type: "STATE_SNAPSHOT", snapshot: { done: [], left: 2 } },
            {
              type: "STATE_DELTA",
              delta: [{ op: "add", path: "/done/-", value: "a" }, { op: "remove", path: "/left" }]
            },
            { type: "STATE_DELTA", delta: [{ op: "replace", path: "/nothing", value: 1 }] },
            inputs.length === 1
              ? {
                type: "RUN_FINISHED",
                outcome: { type: "interrupt", interrupts: [{ id: "i", reason: "input_required" }] }
              }
              : { type: "RUN_FINISHED", result: "done" }
          )
          response.end()
        })
      })
      const house = yield* serveHouse({ url: server })
      const { json } = yield* request(`${house}/agents/front`, { text: "Well" })
      const [{ id }] = Object(json["interrupts"])
      yield* request(`${house}/runs/${json["runId"]}/interrupts/${id}`, { decision: "approve", value: "yes" })
      yield* Effect.promise(async () => {
        while (inputs.length < 2) await new Promise((resolve) => setTimeout(resolve, 20))
      })
      assert.deepStrictEqual(inputs.map(({ state }) => state), [undefined, { done: ["a"] }])
    }).pipe(Effect.scoped))
})
