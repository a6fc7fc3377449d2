// Requests that no route sees, each as raw bytes over a socket of its own, to a server of an app on SQLite.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Agent, App, Event, Run } from "fastagentic"
import { connect } from "node:net"
import { join } from "node:path"
import { temporaryFolder } from "./process.ts"
import { onSqlite } from "./serving.ts"

class Echo extends Agent.make("echo", { description: "Repeats", payload: { text: Schema.String } }) {}
class Slow extends Agent.make("slow", { description: "Speaks slowly", payload: { text: Schema.String } }) {}

const serving = Effect.suspend(() =>
  onSqlite(
    App.make("echo", { version: "1", agents: [Echo, Slow] }),
    Layer.merge(
      Echo.toLayer(({ text }) => Effect.succeed(text)),
      Slow.toLayer(({ text }) =>
        Run.emit(Event.token("first")).pipe(Effect.andThen(Effect.sleep("700 millis")), Effect.as(text))
      )
    ),
    join(temporaryFolder(), "echo.db")
  )
)

/** An answer with a length, whole. */
const isWhole = (text: string) => {
  const [head = "", body = ""] = text.slice(text.lastIndexOf("HTTP/1.1")).split("\r\n\r\n")
  return body.length === Number(/content-length: (\d+)/iu.exec(head)?.[1] ?? Infinity)
}

/** All bytes that come back until the connection ends, or everything that was sent is answered. */
const talk = (url: string, ...pieces: ReadonlyArray<string>) =>
  Effect.promise(() =>
    new Promise<string>((resolve) => {
      const socket = connect(Number(new URL(url).port), "127.0.0.1")
      let text = ""
      let unsent = pieces.length - 1
      socket.on("data", (data) => {
        text += data.toString("latin1")
        if (unsent === 0 && isWhole(text)) socket.destroy()
      })
      socket.on("error", () => {})
      socket.on("close", () => resolve(text))
      const [first = "", ...rest] = pieces
      socket.write(first)
      rest.forEach((piece, at) =>
        setTimeout(() => {
          socket.write(piece)
          unsent--
        }, 150 * (at + 1))
      )
    })
  )

const Body = Schema.fromJsonString(Schema.Struct({ title: Schema.String, status: Schema.Int, traceId: Schema.String }))

const checkAnswer = Effect.fnUntraced(function*(text: string, status: number, title: string, label: string) {
  const [head = "", body = ""] = text.split("\r\n\r\n")
  assert.match(head, new RegExp(`^HTTP/1.1 ${status} [A-Z]`, "u"), label)
  const lower = head.toLowerCase()
  assert.include(lower, "\r\nx-content-type-options: nosniff", label)
  assert.include(lower, "\r\ncross-origin-resource-policy: same-origin", label)
  assert.include(lower, "\r\ncontent-security-policy: default-src 'none'; frame-ancestors 'none'", label)
  assert.include(lower, "\r\ncache-control: no-store", label)
  assert.include(lower, "\r\ncontent-type: application/problem+json", label)
  assert.include(lower, `\r\ncontent-length: ${body.length}`, label)
  const problem = yield* Effect.orDie(Schema.decodeUnknownEffect(Body)(body))
  assert.deepInclude(problem, { status, title }, label)
  assert.include(lower, `\r\nx-trace-id: ${problem.traceId}`, label)
})

const get = "GET /health HTTP/1.1\r\n"
const ws = "GET /ws HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
const close = "host: localhost\r\nconnection: close\r\n"
const chunked =
  `POST /agents/echo HTTP/1.1\r\n${close}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`
const valid = `${get}host: localhost\r\n\r\n`

describe("A request that Node itself refuses", () => {
  it.live("gets problem details and the security headers", () =>
    Effect.gen(function*() {
      const { url } = yield* serving
      const cases = [
        [400, "BadRequest", "hello\r\n\r\n"],
        [400, "BadRequest", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
        [400, "BadRequest", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003"],
        [400, "BadRequest", `${get}${close}a b: c\r\n\r\n`],
        [400, "BadRequest", `${get}${close}content-length: 1\r\ncontent-length: 2\r\n\r\n`],
        [400, "BadRequest", `POST / HTTP/1.1\r\n${close}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`],
        [400, "BadRequest", `${chunked}zz\r\n`],
        [413, "ChunkExtensionsTooLarge", `${chunked}1;${"e".repeat(20_000)}\r\n`],
        [400, "NoHost", `${get}\r\n`],
        [400, "NoHost", `POST /agents/echo HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n`],
        [417, "ExpectationFailed", `${get}${close}expect: a miracle\r\n\r\n`],
        [431, "HeadersTooLarge", `${get}${close}x-a: ${"a".repeat(40_000)}\r\n\r\n`]
      ] as const
      for (const [status, title, request] of cases) {
        yield* checkAnswer(yield* talk(url, request), status, title, JSON.stringify(request.slice(0, 80)))
      }
    }).pipe(Effect.scoped))

  it.live("gets them after a request that was answered on the same connection, and the server lives", () =>
    Effect.gen(function*() {
      const { url } = yield* serving
      const text = yield* talk(url, valid, "nonsense\r\n\r\n")
      assert.match(text, /^HTTP\/1\.1 200 OK/u)
      yield* checkAnswer(text.slice(text.lastIndexOf("HTTP/1.1")), 400, "BadRequest", "second")
      assert.strictEqual((yield* Effect.promise(() => fetch(`${url}/health`))).status, 200)
    }).pipe(Effect.scoped))

  it.live("never gets them in the middle of an answer that is under way", () =>
    Effect.gen(function*() {
      const { url } = yield* serving
      const body = JSON.stringify({ text: "hi" })
      const stream = "POST /agents/slow/stream HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n" +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
      for (const before of [stream, stream + valid]) {
        const text = yield* talk(url, before, "nonsense\r\n\r\n")
        assert.lengthOf(text.match(/HTTP\/1\.1/gu) ?? [], 1)
        assert.notInclude(text, "BadRequest")
      }
    }).pipe(Effect.scoped))

  it.live("is not served when its head has no host, and an HTTP/1.0 request without one is", () =>
    Effect.gen(function*() {
      const { url } = yield* serving
      const body = JSON.stringify({ text: "hi" })
      const post = `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
      yield* checkAnswer(yield* talk(url, `POST /agents/echo HTTP/1.1\r\n${post}`), 400, "NoHost", "post")
      const { items } = yield* Effect.promise(async () => Object(await (await fetch(`${url}/runs`)).json()))
      assert.lengthOf(items, 0)
      assert.match(yield* talk(url, "GET /health HTTP/1.0\r\n\r\n"), /^HTTP\/1\.[01] (200|403)/u)
    }).pipe(Effect.scoped))

  it.live("has them too when it is a handshake that opens no WebSocket", () =>
    Effect.gen(function*() {
      const { url } = yield* serving
      const key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
      const version = "sec-websocket-version: 13\r\n"
      const cases = [
        [400, "BadHandshake", `${ws}\r\n`],
        [400, "BadHandshake", `${ws}sec-websocket-key: x\r\n${version}\r\n`],
        [400, "BadHandshake", `${ws}${key}sec-websocket-version: 5\r\n\r\n`],
        [400, "BadHandshake", `${ws}${key}${version}sec-websocket-protocol: a, a\r\n\r\n`],
        [426, "UpgradeRequired", `${ws.replace("websocket", "h2c")}\r\n`],
        [426, "UpgradeRequired", `${ws.replace("connection: upgrade", "connection: close")}${key}${version}\r\n`],
        [404, "NoSuchRoute", `${ws.replace("/ws", "/nothing")}${key}${version}\r\n`]
      ] as const
      for (const [status, title, request] of cases) {
        yield* checkAnswer(yield* talk(url, request), status, title, request)
      }
      const opened = yield* talk(url, `${ws}${key}${version}\r\n`, "\u0088\u0080\u0000\u0000\u0000\u0000")
      assert.match(opened, /^HTTP\/1\.1 101 /u)
    }).pipe(Effect.scoped))
})
