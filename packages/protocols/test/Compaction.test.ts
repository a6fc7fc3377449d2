import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Audit, Auth, Budget, Event, RateLimit, Retention, Run, RunStore, Runtime } from "@fastagentic/core"
import { Client } from "@fastagentic/protocols/http"
import { Context, Effect, Layer, Schema, Stream } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { post } from "./a2a/support.ts"
import { mounted, serve } from "./fixture.ts"
import { as, get, json, text } from "./http/rest.ts"
import { connect } from "./http/socket.ts"
import { layerStores } from "./stores.ts"

class Teller extends Agent.make("teller", {
  description: "Tells",
  payload: { text: Schema.String },
  success: Schema.Struct({ words: Schema.Int })
}) {}
class Tales extends App.make("tales", { version: "1.0.0", agents: [Teller] }) {}

const words = 1_200
const tokens = Array.from({ length: words }, (_, index) => `word ${index} `)

/** Events that are said at once are written in one row, of which nothing is left to compact. */
const say = Effect.fnUntraced(function*(words: ReadonlyArray<string>) {
  for (const [index, word] of words.entries()) {
    yield* Run.emit(Event.token(word, "m"))
    if (index % 100 === 0) yield* Effect.sleep("10 millis")
  }
})

const tell = Effect.gen(function*() {
  yield* say(tokens.slice(0, 700))
  yield* Run.step("half", Effect.succeed("half"))
  yield* say(tokens.slice(700))
  return { words }
})

/** The tales, with a way to compact their journals just after a reader has read a first page. */
const start = Effect.gen(function*() {
  const inner = Context.get(yield* Layer.build(layerStores), RunStore.RunStore)
  const compact = Effect.gen(function*() {
    let rows = 0
    yield* Retention.compactAll({ finishedBefore: Infinity }, (found) => {
      rows += found.reduce((sum, { after, before }) => sum + before - after, 0)
    })
    return rows
  }).pipe(Effect.provideService(RunStore.RunStore, inner))
  let armed = false
  const store: RunStore.RunStore["Service"] = {
    ...inner,
    events: (runId, after, limit) =>
      Effect.tap(inner.events(runId, after, limit), () => {
        if (!armed) return Effect.succeed(0)
        armed = false
        return compact
      })
  }
  const runtime = yield* Layer.build(
    Runtime.layer(Tales, { grace: "100 millis" }).pipe(
      Layer.provide(Teller.toLayer(() => tell)),
      Layer.provideMerge(Layer.mergeAll(
        Layer.succeed(RunStore.RunStore, store),
        Auth.layerNone,
        RateLimit.layerUnlimited,
        Budget.layerUnlimited,
        Audit.layerMemory
      ))
    )
  )
  const url = yield* serve(
    mounted("rest", "a2a").pipe(Layer.provide(Layer.succeedContext(runtime)))
  )
  const client = yield* Effect.provide(Client.make(Tales, { url }), FetchHttpClient.layer)
  const { runId } = yield* client.agents.teller.start({ text: "go" })
  const journal = yield* follow(url, runId)
  return { url, client, runId, journal, compact, arm: () => void (armed = true) }
})

/** Events with all their fields. */
const AnyEvent = Schema.StructWithRest(Schema.Struct({ seq: Schema.Int, ts: Schema.Int, type: Schema.String }), [
  Schema.Record(Schema.String, Schema.Json)
])
const decodeEvent = Schema.decodeUnknownSync(Schema.fromJsonString(AnyEvent))
const Page = Schema.Struct({ items: Schema.Array(AnyEvent), next: Schema.NullOr(Schema.String) })

const follow = (url: string, runId: string, after = 0) =>
  Effect.map(
    Effect.flatMap(get(`${url}/runs/${runId}/events`, { "last-event-id": String(after) }), text),
    (body) => [...body.matchAll(/^data: (.+)$/gmu)].map(([, line = ""]) => decodeEvent(line))
  )

const pages = Effect.fnUntraced(function*(url: string, runId: string, from: number) {
  const items: Array<typeof AnyEvent.Type> = []
  for (let after: string | null = String(from); after !== null;) {
    const page: typeof Page.Type = yield* Effect.flatMap(
      get(`${url}/runs/${runId}/events?after=${after}`, { accept: "application/json" }),
      as(Page)
    )
    items.push(...page.items)
    after = page.next
  }
  return items
})

describe("A compacted journal", () => {
  it.live("gives the same events to a reader that started before", () =>
    Effect.gen(function*() {
      const { arm, compact, journal, runId, url } = yield* start
      assert.isAbove(journal.length, words)
      arm()
      assert.deepStrictEqual(yield* follow(url, runId), journal)
      // That is what happened meanwhile.
      assert.strictEqual(yield* compact, 0)
    }).pipe(Effect.scoped))

  it.live("can be read after any event that is now part of one text", () =>
    Effect.gen(function*() {
      const { client, compact, journal, runId, url } = yield* start
      // Tokens that wait together share a row of SQLite when they are written; memory has a row for each.
      assert.isAbove(yield* compact, process.env["TEST_STORE"] === "sqlite" ? 0 : words - 100)
      for (const after of [0, 1, 137, 255, 256, 257, 700, 1_000, journal.length - 1]) {
        assert.deepStrictEqual(yield* follow(url, runId, after), journal.slice(after))
        assert.deepStrictEqual(yield* pages(url, runId, after), journal.slice(after))
      }
      const socket = yield* connect(url)
      socket.send({ op: "follow", id: "f", runId, after: 300 })
      yield* socket.frame("end", "f")
      assert.deepStrictEqual(
        socket.frames.flatMap(({ event, type }) => type === "event" ? [event] : []),
        journal.slice(300)
      )
      const events = yield* Stream.runCollect(client.runs.events(runId, { after: 301 }))
      assert.deepStrictEqual(JSON.parse(JSON.stringify(events)), journal.slice(301))
    }).pipe(Effect.scoped))

  it.live("is the same task over A2A, and forks at the same events", () =>
    Effect.gen(function*() {
      const { compact, journal, runId, url } = yield* start
      const rpc = { jsonrpc: "2.0", id: 1, method: "GetTask", params: { id: runId } }
      const task = Effect.flatMap(post(`${url}/a2a`, rpc), json)
      const before = yield* task
      assert.include(JSON.stringify(before), tokens.slice(0, 20).join(""))
      const half = journal.find(({ type }) => type === "checkpoint")?.seq ?? 0
      yield* compact
      assert.deepStrictEqual(yield* task, before)
      const checkpoints = yield* Effect.flatMap(get(`${url}/runs/${runId}/checkpoints`), json)
      assert.deepStrictEqual(checkpoints, { items: [{ name: "half", seq: half }], next: null })
      for (const after of [half - 10, half]) {
        const forked = yield* Effect.flatMap(
          Effect.promise(() => fetch(`${url}/runs/${runId}/fork`, { method: "POST", body: JSON.stringify({ after }) })),
          json
        )
        const copy = yield* follow(url, String(forked["runId"]))
        assert.strictEqual(copy.filter(({ type }) => type === "checkpoint").length, after < half ? 1 : 0)
      }
    }).pipe(Effect.scoped))
})
