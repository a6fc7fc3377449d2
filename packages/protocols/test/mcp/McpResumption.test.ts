import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { messagesIn, open, post, serveAsker } from "./asker.ts"
import { by, lasting } from "./asking.ts"

const stream = { "content-type": "application/json", accept: "application/json, text/event-stream" }

const counting = {
  method: "POST",
  body: JSON.stringify({
    jsonrpc: "2.0",
    id: 7,
    method: "tools/call",
    params: { name: "counting", arguments: {}, _meta: { progressToken: "p" } }
  })
}

/** Reads a stream until it has this text, and breaks the connection. */
const readUntil = (url: string, init: RequestInit, text: string) =>
  Effect.promise(async () => {
    const abort = new AbortController()
    const response = await fetch(url, { ...init, signal: abort.signal })
    const decoder = new TextDecoder()
    let read = ""
    for await (const chunk of response.body ?? []) {
      read += decoder.decode(chunk, { stream: true })
      if (read.includes(text)) break
    }
    abort.abort()
    return read
  })

const take = (url: string, headers: Record<string, string>) =>
  Effect.promise(async () => {
    const response = await fetch(url, { headers: { ...headers, accept: "text/event-stream" } })
    return { status: response.status, text: await response.text() }
  })

const lastIdIn = (text: string) => text.split("\n").filter((line) => line.startsWith("id: ")).at(-1)?.slice(4) ?? ""

const spoken = (text: string) =>
  messagesIn(text).flatMap(({ params }) => params?._meta["fastagentic/event"] === "token" ? [params.message] : []).join(
    ""
  )

describe("A stream of 2025-11-25", () => {
  it.live("begins with an event that has an id, and how soon a client may come back", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.flatMap(lasting, serveAsker)
      const session = yield* open(url, {})
      const text = yield* readUntil(url, { ...counting, headers: { ...stream, ...session } }, "retry")
      assert.match(text, /^id: \S+\nretry: 1000\ndata: \n\n/u)
      const older = { ...session, "mcp-protocol-version": "2025-06-18" }
      const before = yield* readUntil(url, { ...counting, headers: { ...stream, ...older } }, "progress")
      assert.notInclude(before, "retry")
      assert.match(before, /^id: \S+\nevent: message\n/u)
    }).pipe(Effect.scoped))

  it.live("is taken up after the last event that the client has, as often as it breaks", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.flatMap(lasting, serveAsker)
      const session = yield* open(url, {})
      const first = yield* readUntil(url, { ...counting, headers: { ...stream, ...session } }, "2 ")
      const again = {
        method: "GET",
        headers: { ...session, accept: "text/event-stream", "last-event-id": lastIdIn(first) }
      }
      const second = yield* readUntil(url, again, "4 ")
      const { text } = yield* take(url, { ...session, "last-event-id": lastIdIn(second) })
      assert.strictEqual(spoken(first) + spoken(second) + spoken(text), "1 2 3 4 5 6 ")
      const answer = messagesIn(text).at(-1)
      assert.strictEqual(answer.id, 7)
      assert.strictEqual(answer.result.content[0].text, "counted")
      // The answer is there as long as the run, also for a client that was away for long.
      const late = yield* take(url, { ...session, "last-event-id": lastIdIn(first) })
      assert.strictEqual(messagesIn(late.text).at(-1).result.content[0].text, "counted")
    }).pipe(Effect.scoped))

  it.live("is taken up at another node once its own has gone", () =>
    Effect.gen(function*() {
      const kept = yield* lasting
      const scope = yield* Scope.make()
      const a = yield* Effect.provideService(serveAsker(kept), Scope.Scope, scope)
      const session = yield* open(a.url, {})
      const first = yield* readUntil(a.url, { ...counting, headers: { ...stream, ...session } }, "2 ")
      yield* Scope.close(scope, Exit.void)
      const b = yield* serveAsker(kept)
      const { text } = yield* take(b.url, { ...session, "last-event-id": lastIdIn(first) })
      assert.strictEqual(messagesIn(text).at(-1).result.content[0].text, "counted")
      assert.strictEqual(spoken(first) + spoken(text), "1 2 3 4 5 6 ")
    }).pipe(Effect.scoped))

  it.live("is its caller's own", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.flatMap(lasting, serveAsker)
      const session = yield* open(url, {})
      const first = yield* readUntil(url, { ...counting, headers: { ...stream, ...session } }, "1 ")
      const stolen = yield* take(url, { ...session, ...by("bob"), "last-event-id": lastIdIn(first) })
      assert.strictEqual(messagesIn(stolen.text).at(-1).error.code, -32602)
      const other = Buffer.from(lastIdIn(first), "base64url").toString().replace("counting", "ask_roots")
      const forged = yield* take(url, { ...session, "last-event-id": Buffer.from(other).toString("base64url") })
      assert.strictEqual(messagesIn(forged.text).at(-1).error.code, -32602)
    }).pipe(Effect.scoped))
})

describe("A session of 2025", () => {
  it.live("stays when an answer comes for a question that is not there, and an id that is none of ours is not found", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.flatMap(lasting, serveAsker)
      const session = yield* open(url, { elicitation: {} })
      for (const [id, status] of [["question:nothing:1:2", 400], ["question::1:topic", 202]] as const) {
        const answer = { jsonrpc: "2.0", id, result: { action: "accept", content: {} } }
        assert.strictEqual((yield* post(url, answer, session)).response.status, status)
      }
      const long = { ...session, "mcp-session-id": "z".repeat(65) }
      const list = { jsonrpc: "2.0", id: 1, method: "tools/list" }
      assert.strictEqual((yield* post(url, list, long)).response.status, 404)
    }).pipe(Effect.scoped))

  it.live("is not found any more once its client has ended it, on any node", () =>
    Effect.gen(function*() {
      const kept = yield* lasting
      const [a, b] = [yield* serveAsker(kept), yield* serveAsker(kept)]
      const session = yield* open(a.url, {})
      const list = { jsonrpc: "2.0", id: 1, method: "tools/list", params: {} }
      const ended = yield* Effect.promise(() => fetch(a.url, { method: "DELETE", headers: session }))
      assert.strictEqual(ended.status, 204)
      for (const { url } of [a, b]) {
        const { messages, response } = yield* post(url, list, session)
        assert.strictEqual(response.status, 404)
        assert.strictEqual(messages[0].error.data.tag, "SessionNotFound")
      }
      assert.strictEqual((yield* post(b.url, list, yield* open(b.url, {}))).response.status, 200)
      const none = yield* Effect.promise(() => fetch(a.url, { method: "DELETE", headers: by("ann") }))
      assert.strictEqual(none.status, 405)
    }).pipe(Effect.scoped))
})
