import { assert, describe, it } from "@effect/vitest"
import { OpenLimits } from "@fastagentic/core"
import { Effect, Layer, Stream } from "effect"
import { listen, modern, open, post, serveAsker } from "./asker.ts"
import { by, lasting } from "./asking.ts"

const limited = Layer.succeed(OpenLimits.OpenLimits, { runs: 10, streams: 2, sockets: 2, notes: 5 })

/** Opens a stream that lives until the function is called, or takes the refusal. */
const streamed = (url: string, init: RequestInit) =>
  Effect.promise(async () => {
    const abort = new AbortController()
    const response = await fetch(url, { ...init, signal: abort.signal })
    const isStream = response.headers.get("content-type") === "text/event-stream"
    return {
      status: response.status,
      text: isStream ? "" : await response.text(),
      close: Effect.andThen(Effect.sync(() => abort.abort()), Effect.sleep("200 millis"))
    }
  })

const listening = (who: string, uri = "pages://tea") => listen({ resourceSubscriptions: [uri] }, who)

const getting = (session: Record<string, string>): RequestInit => ({
  headers: { accept: "text/event-stream", ...session }
})

const message = (method: string, params: object) => ({ jsonrpc: "2.0", id: 1, method, params })

const ended = (url: string, session: Record<string, string>) =>
  Effect.promise(async () => (await fetch(url, { method: "DELETE", headers: session })).status)

describe("The streams of a principal that follow no run", () => {
  it.live("count together against its limit, and those of another principal or after an end do not", () =>
    Effect.gen(function*() {
      const { url } = yield* serveAsker(yield* lasting, limited)
      const [ann, bob] = [yield* open(url, {}), yield* open(url, {}, "bob")]
      const first = yield* streamed(url, getting(ann))
      const second = yield* streamed(url, listening("ann"))
      assert.deepStrictEqual([first.status, second.status], [200, 200])
      for (const third of [yield* streamed(url, getting(ann)), yield* streamed(url, listening("ann"))]) {
        assert.strictEqual(third.status, 429)
        assert.include(third.text, "\"rule\":\"open-streams\"")
      }
      assert.strictEqual((yield* streamed(url, getting(bob))).status, 200)
      assert.strictEqual((yield* streamed(url, listening("bob"))).status, 200)
      yield* second.close
      assert.strictEqual((yield* streamed(url, listening("ann"))).status, 200)
    }).pipe(Effect.scoped))

  it.live("do not begin for a resource that the principal may not read", () =>
    Effect.gen(function*() {
      const { url } = yield* serveAsker(yield* lasting)
      const refused = yield* streamed(url, listening("ann", "books://all"))
      assert.strictEqual(refused.status, 403)
      assert.include(refused.text, "books:read")
    }).pipe(Effect.scoped))
})

describe("A session of 2025", () => {
  it.live("stays as it is for its principal, whatever another one does under its id, on any node", () =>
    Effect.gen(function*() {
      const kept = yield* lasting
      const [a, b] = [yield* serveAsker(kept), yield* serveAsker(kept)]
      const ann = yield* open(a.url, {})
      const asBob = { ...ann, ...by("bob") }
      const level = (session: Record<string, string>, level: string) =>
        post(b.url, message("logging/setLevel", { level }), session)
      const logs = Effect.map(
        post(a.url, message("tools/call", { name: "work", arguments: {} }), ann),
        ({ messages }) => messages.filter(({ method }) => method === "notifications/message").length
      )
      yield* level(ann, "warning")
      yield* level(asBob, "emergency")
      assert.strictEqual(yield* logs, 1)
      assert.strictEqual(yield* ended(b.url, asBob), 204)
      assert.strictEqual((yield* post(b.url, message("tools/list", {}), asBob)).response.status, 404)
      assert.strictEqual((yield* post(b.url, message("tools/list", {}), ann)).response.status, 200)
      assert.strictEqual(yield* logs, 1)
    }).pipe(Effect.scoped))
})

describe("What the requests of a principal leave in the store", () => {
  it.live("is refused over its limit on every node, and that of another principal is not", () =>
    Effect.gen(function*() {
      const kept = yield* lasting
      const [a, b] = [yield* serveAsker(kept, limited), yield* serveAsker(kept, limited)]
      const ann = yield* open(a.url, {})
      const subscribed = (url: string, session: Record<string, string>, page: string) =>
        post(url, message("resources/subscribe", { uri: `pages://${page}` }), session)
      for (const [index, { url }] of [a, b, a, b].entries()) {
        assert.deepStrictEqual((yield* subscribed(url, ann, `page-${index}`)).messages.at(-1).result, {})
      }
      assert.strictEqual(yield* ended(a.url, yield* open(a.url, {})), 204)
      for (const { url } of [a, b]) {
        const { error } = (yield* subscribed(url, ann, "more")).messages.at(-1)
        assert.strictEqual(error.code, 429)
        assert.strictEqual(error.data.rule, "open-notes")
        assert.strictEqual(
          (yield* post(url, message("logging/setLevel", { level: "debug" }), ann)).messages.at(-1).error.code,
          429
        )
        // A session that its client makes up is none that fills the store either.
        assert.strictEqual(yield* ended(url, { ...ann, "mcp-session-id": `made-up-${url.length}` }), 429)
      }
      const bob = yield* open(b.url, {}, "bob")
      assert.deepStrictEqual((yield* subscribed(b.url, bob, "page-0")).messages.at(-1).result, {})
      // A request that needs no note is served.
      assert.isUndefined((yield* modern(a.url, "tools/list", {})).messages.at(-1).error)
    }).pipe(Effect.scoped))

  it.live("has a small key, however long the URI of a subscription is", () =>
    Effect.gen(function*() {
      const { runtime, url } = yield* serveAsker(yield* lasting)
      const ann = yield* open(url, {})
      const keys: Array<string> = []
      yield* Effect.forkScoped(
        Stream.runForEach(runtime.notes.follow, ({ key }) => Effect.sync(() => void keys.push(key)))
      )
      yield* Effect.sleep("1200 millis")
      yield* post(url, message("resources/subscribe", { uri: `pages://${"x".repeat(100_000)}` }), ann)
      const cancelled = message("notifications/cancelled", { requestId: "x".repeat(100_000) })
      yield* post(url, { jsonrpc: "2.0", method: cancelled.method, params: cancelled.params }, ann)
      yield* Effect.sleep("1200 millis")
      assert.isAbove(keys.length, 0)
      for (const key of keys) assert.isBelow(key.length, 300)
    }).pipe(Effect.scoped))
})
