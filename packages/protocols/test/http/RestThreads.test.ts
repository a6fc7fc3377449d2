import { assert, describe, it } from "@effect/vitest"
import {
  Agent,
  App,
  Auth,
  Budget,
  Content,
  Message,
  Principal,
  RateLimit,
  Run,
  Runtime,
  Thread
} from "@fastagentic/core"
import { Client } from "@fastagentic/protocols/http"
import { Effect, Layer, Redacted, Schema } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { mounted, serve } from "../fixture.ts"
import { modern } from "../mcp/wire.ts"
import { layerStores } from "../stores.ts"
import { as, get, json, post, raw, Run as WireRun } from "./rest.ts"
import { connect } from "./socket.ts"

/** Answers with what was said before. */
class Chat extends Agent.make("chat", {
  description: "Talks",
  payload: { text: Schema.String },
  success: Schema.String,
  threads: "enqueue"
}) {}

class Acme extends App.make("acme", { version: "1.0.0", agents: [Chat] }) {}

const ChatLayer = Chat.toLayer(Effect.fn(function*({ text }) {
  const history = yield* Thread.messages()
  if (text === "wait") yield* Effect.orDie(Run.interrupt("wait", { schema: Schema.String }))
  const answer = `${history.filter(({ role }) => role === "user").map(Message.textOf).join()}|${text}`
  yield* Thread.add(Message.user(text), Message.assistant([Content.text(answer), Content.data({ n: history.length })]))
  return answer
}))

const person = (id: string, tenant: string, scopes: ReadonlyArray<string> = []) => ({
  key: Redacted.make(`key-of-${id}`),
  principal: new Principal.Principal({ id, tenant, scopes, roles: [], claims: {} })
})

const by = (id: string) => ({ "x-api-key": `key-of-${id}` })

const start = serve(
  mounted("rest", "a2a", "mcp").pipe(
    Layer.provide(Runtime.layer(Acme, { grace: "100 millis" })),
    Layer.provide(ChatLayer),
    Layer.provide(Layer.mergeAll(
      layerStores,
      Auth.layerKeys([
        person("ann", "acme", ["audit:read"]),
        person("bob", "acme"),
        person("reader", "acme", ["runs:read:tenant"]),
        person("actor", "acme", ["runs:act:tenant"]),
        person("eve", "other", ["runs:act:tenant"])
      ]),
      RateLimit.layerUnlimited,
      Budget.layerUnlimited
    ))
  )
)

const MessagePage = Schema.Struct({ items: Schema.Array(Message.Stored), next: Schema.NullOr(Schema.String) })
const Item = Schema.Struct({
  threadId: Schema.String,
  owner: Schema.String,
  messages: Schema.Int,
  updatedAt: Schema.Int,
  createdAt: Schema.Int,
  forkedFrom: Schema.optionalKey(Schema.Struct({ threadId: Schema.String, at: Schema.Int }))
})
const Page = Schema.Struct({ items: Schema.Array(Item), next: Schema.NullOr(Schema.String) })

const Document = Schema.Struct({ paths: Schema.Record(Schema.String, Schema.Record(Schema.String, Schema.Json)) })

const Entries = Schema.Struct({
  items: Schema.Array(Schema.Struct({
    action: Schema.String,
    target: Schema.String,
    principal: Schema.String,
    onBehalfOf: Schema.optionalKey(Schema.String)
  }))
})

const say = (url: string, text: string, threadId = "t", who = "ann") =>
  Effect.flatMap(
    post(`${url}/agents/chat`, { text }, { "x-thread-id": threadId, ...by(who) }),
    (response) => Effect.promise(() => response.json())
  )

const erase = (url: string, path: string, who: string) => raw(url, path, { method: "DELETE", headers: by(who) })

const textsIn = (url: string, threadId: string, who = "ann") =>
  Effect.map(
    Effect.flatMap(get(`${url}/threads/${encodeURIComponent(threadId)}/messages`, by(who)), as(MessagePage)),
    ({ items }) => items.map(Message.textOf)
  )

describe("Threads over REST", () => {
  it.live("list a conversation with its messages in pages, in both directions", () =>
    Effect.gen(function*() {
      const url = yield* start
      for (const text of ["one", "two", "three"]) yield* say(url, text)
      const thread = yield* Effect.flatMap(get(`${url}/threads/t`, by("ann")), as(Item))
      assert.deepInclude(thread, { threadId: "t", owner: "ann", messages: 6 })
      assert.deepStrictEqual(yield* textsIn(url, "t"), ["one", "|one", "two", "one|two", "three", "one,two|three"])
      for (const order of ["oldest", "newest"]) {
        const found: Array<number> = []
        let after = ""
        do {
          const page: typeof MessagePage.Type = yield* Effect.flatMap(
            get(`${url}/threads/t/messages?limit=4&order=${order}${after}`, by("ann")),
            as(MessagePage)
          )
          found.push(...page.items.map(({ position }) => position))
          after = page.next === null ? "" : `&after=${page.next}`
        } while (after !== "")
        assert.deepStrictEqual(found, order === "oldest" ? [1, 2, 3, 4, 5, 6] : [6, 5, 4, 3, 2, 1])
      }
      const [first] = (yield* Effect.flatMap(get(`${url}/threads/t/messages?limit=2`, by("ann")), as(MessagePage)))
        .items
        .slice(1)
      assert.deepInclude(first, {
        role: "assistant",
        content: [Content.text("|one"), Content.data({ n: 0 })]
      })
      for (const query of ["after=x", "limit=0", "order=up", "at=1"].slice(0, 3)) {
        assert.strictEqual((yield* get(`${url}/threads/t/messages?${query}`, by("ann"))).status, 400)
      }
      assert.strictEqual((yield* get(`${url}/threads?after=x`, by("ann"))).status, 400)
    }))

  it.live("list the threads that changed last first, in pages", () =>
    Effect.gen(function*() {
      const url = yield* start
      const odd = "a/b?c#d %ż 🐢"
      for (const [text, threadId] of [["x", "one"], ["x", "two"], ["x", odd], ["y", "one"]] as const) {
        yield* Effect.flatMap(
          post(`${url}/agents/chat`, { text }, { "x-thread-id": threadId === odd ? "odd" : threadId, ...by("ann") }),
          json
        ).pipe(Effect.orElseSucceed(() => ({})), Effect.ignore)
        yield* Effect.sleep("5 millis")
      }
      const found: Array<string> = []
      let after: string | null = ""
      while (after !== null) {
        const page: typeof Page.Type = yield* Effect.flatMap(
          get(`${url}/threads?limit=2${after === "" ? "" : `&after=${after}`}`, by("ann")),
          as(Page)
        )
        found.push(...page.items.map(({ threadId }) => threadId))
        after = page.next
      }
      assert.deepStrictEqual(found, ["one", "odd", "two"])
    }))

  it.live("belong to one owner: another caller finds none, of the same tenant or of another", () =>
    Effect.gen(function*() {
      const url = yield* start
      yield* say(url, "secret", "zzz")
      const { paths } = yield* Effect.flatMap(get(`${url}/openapi.json`), as(Document))
      const routes = Object.entries(paths).filter(([path]) => path.includes("{threadId}")).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => ({ path, method: method.toUpperCase() }))
      )
      assert.isAtLeast(routes.length, 4)
      for (const who of ["bob", "eve"]) {
        for (const { method, path } of routes) {
          for (const owner of ["", "?owner=ann"]) {
            const [theirs, none] = yield* Effect.forEach(["zzz", "never"], (id) =>
              Effect.map(
                raw(url, path.replace("{threadId}", id) + owner, { method, headers: by(who) }),
                ({ body, status }) => ({
                  status,
                  body: body.replaceAll(/[0-9a-f]{32}/gu, "TRACE").replaceAll(id, "ID")
                })
              ))
            assert.strictEqual(theirs?.status, 404, `${who} ${method} ${path}`)
            assert.strictEqual(theirs?.body, none?.body)
            assert.include(none?.body, "ThreadNotFound")
          }
        }
        const list = yield* Effect.flatMap(get(`${url}/threads?owner=ann`, by(who)), as(Page))
        assert.deepStrictEqual(list.items, [])
      }
      // The same id is another thread of another owner.
      assert.strictEqual(yield* say(url, "mine", "zzz", "bob"), "|mine")
      assert.strictEqual(yield* say(url, "mine", "zzz", "eve"), "|mine")
      assert.strictEqual(yield* say(url, "more", "zzz"), "secret|more")
      assert.strictEqual((yield* get(`${url}/threads`)).status, 401)
    }))

  it.live("are read with the scope to read the tenant's runs, and erased with the scope to act on them", () =>
    Effect.gen(function*() {
      const url = yield* start
      yield* say(url, "one")
      yield* say(url, "two", "u", "bob")
      const list = yield* Effect.flatMap(get(`${url}/threads`, by("reader")), as(Page))
      assert.sameMembers(list.items.map(({ owner, threadId }) => `${owner} ${threadId}`), ["ann t", "bob u"])
      assert.strictEqual((yield* get(`${url}/threads/t?owner=ann`, by("reader"))).status, 200)
      assert.strictEqual((yield* get(`${url}/threads/t`, by("reader"))).status, 404)
      assert.strictEqual((yield* erase(url, "/threads/t?owner=ann", "reader")).status, 403)
      assert.strictEqual((yield* post(`${url}/threads/t/fork?owner=ann`, {}, by("reader"))).status, 403)
      assert.strictEqual((yield* erase(url, "/threads/t?owner=ann", "actor")).status, 204)
      assert.strictEqual((yield* get(`${url}/threads/t`, by("ann"))).status, 404)
      const { items } = yield* Effect.flatMap(get(`${url}/audit?limit=100`, by("ann")), as(Entries))
      assert.deepInclude(items.find(({ action }) => action === "erase"), {
        target: "thread/t",
        principal: "actor",
        onBehalfOf: "ann"
      })
    }))

  it.live("are erased with everything that their runs keep, also while a run waits", () =>
    Effect.gen(function*() {
      const url = yield* start
      yield* say(url, "secret")
      const waiting = yield* Effect.flatMap(
        post(`${url}/agents/chat/runs`, { text: "wait" }, { "x-thread-id": "t", ...by("ann") }),
        as(WireRun)
      )
      yield* Effect.sleep("100 millis")
      const answers = yield* Effect.forEach([1, 2, 3], () => erase(url, "/threads/t", "ann"), {
        concurrency: "unbounded"
      })
      assert.includeMembers([204, 404], answers.map(({ status }) => status))
      assert.strictEqual((yield* get(`${url}/runs/${waiting.runId}`, by("ann"))).status, 404)
      const runs = yield* Effect.flatMap(get(`${url}/runs?threadId=t&fields=payload,output`, by("ann")), json)
      assert.deepStrictEqual(runs["items"], [])
      assert.strictEqual((yield* get(`${url}/threads/t/messages`, by("ann"))).status, 404)
      assert.strictEqual((yield* erase(url, "/threads/t", "ann")).status, 404)
    }))

  it.live("are the same thread over A2A, WebSocket, MCP and the typed client", () =>
    Effect.gen(function*() {
      const url = yield* start
      assert.strictEqual(yield* say(url, "rest"), "|rest")
      const a2a = yield* Effect.flatMap(
        post(`${url}/a2a`, {
          jsonrpc: "2.0",
          id: 1,
          method: "SendMessage",
          params: {
            message: { messageId: "m", role: "ROLE_USER", contextId: "t", parts: [{ data: { text: "a2a" } }] }
          }
        }, { "a2a-version": "1.0", ...by("ann") }),
        json
      )
      assert.include(JSON.stringify(a2a), "rest|a2a")
      const socket = yield* connect(url, by("ann"))
      socket.send({ op: "start", id: "s", agent: "chat", payload: { text: "socket" }, threadId: "t" })
      yield* socket.frame("end", "s")
      assert.include(JSON.stringify(socket.frames), "rest,a2a|socket")
      socket.send({ op: "messages", id: "m", threadId: "t", order: "newest", limit: 1 })
      assert.deepInclude(yield* socket.frame("messages", "m"), { threadId: "t", next: 6 })
      socket.send({ op: "messages", id: "n", threadId: "never" })
      assert.include(JSON.stringify(yield* socket.frame("error", "n")), "ThreadNotFound")
      const { body, headers } = modern("tools/call", { name: "chat", arguments: { text: "mcp" } })
      const called = yield* post(
        `${url}/mcp`,
        body.replace("\"_meta\":{", "\"_meta\":{\"fastagentic/threadId\":\"t\","),
        { ...headers, ...by("ann") }
      )
      assert.include(JSON.stringify(yield* json(called)), "rest,a2a,socket|mcp")
      const client = yield* Client.make(Acme, {
        url,
        credentials: { apiKey: Redacted.make("key-of-ann") }
      }).pipe(Effect.provide(FetchHttpClient.layer))
      assert.strictEqual(yield* client.agents.chat({ text: "client" }, { threadId: "t" }), "rest,a2a,socket,mcp|client")
      const { items } = yield* client.threads.messages("t", { order: "newest", limit: 2 })
      assert.deepStrictEqual(items.map(Message.textOf), ["rest,a2a,socket,mcp|client", "client"])
      const fork = yield* client.threads.fork("t", { at: 2 })
      assert.deepInclude(fork, { messages: 2, forkedFrom: { threadId: "t", at: 2 } })
      assert.strictEqual(
        yield* client.agents.chat({ text: "else" }, { threadId: fork.threadId }),
        "rest|else"
      )
      assert.strictEqual((yield* client.threads.list()).items.length, 2)
      assert.strictEqual((yield* client.threads.get("t")).messages, 10)
      yield* client.threads.erase("t")
      const gone = yield* Effect.flip(client.threads.get("t"))
      assert.strictEqual(gone.reason._tag, "ThreadNotFound")
    }))
})
