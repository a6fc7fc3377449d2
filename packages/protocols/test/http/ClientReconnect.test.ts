import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, Event, RateLimit, Run, Runtime } from "@fastagentic/core"
import { Client } from "@fastagentic/protocols/http"
import { Effect, Fiber, Layer, Schema, Stream } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { mounted, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"
import { cuttingProxy } from "./proxy.ts"

const Count = Agent.make("count", {
  description: "Counts, one event at a time",
  payload: { to: Schema.Int, pauseMillis: Schema.Int },
  success: Schema.Int
})
const Counting = App.make("counting", { version: "1.0.0", agents: [Count] })

const makeApp = Effect.gen(function*() {
  let started = 0
  const layer = Count.toLayer(Effect.fn(function*({ pauseMillis, to }) {
    started++
    for (let n = 1; n <= to; n++) {
      yield* Run.emit(Event.token(`${n} `))
      yield* Effect.sleep(pauseMillis)
    }
    return to
  }))
  const context = yield* Layer.build(
    Runtime.layer(Counting, { grace: "100 millis" }).pipe(
      Layer.provide(layer),
      Layer.provideMerge(Layer.mergeAll(
        layerStores,
        Auth.layerNone,
        RateLimit.layerUnlimited,
        Budget.layerUnlimited
      ))
    )
  )
  const runtime = yield* Effect.provideContext(Runtime.Runtime, context)
  const url = yield* serve(mounted("rest").pipe(Layer.provide(Layer.succeedContext(context))))
  return { runtime, url, started: () => started }
})

const clientOf = (url: string, retries = 6) =>
  Effect.provide(Client.make(Counting, { url, retries }), FetchHttpClient.layer)

const numbers = (to: number) => Array.from({ length: to }, (_, index) => index + 1)

describe("A client behind a connection that breaks", () => {
  it.live("streams every event once and in order", () =>
    Effect.gen(function*() {
      const app = yield* makeApp
      // Breaks in the headers, within an event, between events, and never while the run continues.
      const proxy = yield* cuttingProxy(app.url, [20, 700, 3_000, 150, 5_000, 901])
      const client = yield* clientOf(proxy.url)
      const events = yield* Stream.runCollect(client.agents.count.stream({ to: 100, pauseMillis: 5 }))
      assert.deepStrictEqual(events.map(({ seq }) => seq), numbers(102))
      assert.strictEqual(new Set(events.map(({ runId }) => runId)).size, 1)
      assert.deepStrictEqual(
        events.flatMap((event) => event.type === "token" ? [event.data.delta] : []),
        numbers(100).map((n) => `${n} `)
      )
      assert.strictEqual(app.started(), 1)
      assert.strictEqual(proxy.connections(), 7)
    }).pipe(Effect.scoped))

  it.live("follows a run that another client started, each time the stream is run", () =>
    Effect.gen(function*() {
      const app = yield* makeApp
      const proxy = yield* cuttingProxy(app.url, [5_000, 800, 2_000])
      const client = yield* clientOf(proxy.url)
      const { runId } = yield* client.agents.count.start({ to: 60, pauseMillis: 5 })
      const events = client.runs.events(runId, { after: 2 })
      const [first, second] = yield* Effect.all([Stream.runCollect(events), Stream.runCollect(events)], {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(first.map(({ seq }) => seq), numbers(62).slice(2))
      assert.deepStrictEqual(second, first)
    }).pipe(Effect.scoped))

  it.live("waits again for the same run", () =>
    Effect.gen(function*() {
      const app = yield* makeApp
      const proxy = yield* cuttingProxy(app.url, [])
      const client = yield* clientOf(proxy.url)
      const answer = yield* Effect.forkChild(client.agents.count({ to: 1, pauseMillis: 400 }))
      yield* Effect.sleep("150 millis")
      proxy.cut()
      assert.strictEqual(yield* Fiber.join(answer), 1)
      assert.strictEqual(app.started(), 1)
    }).pipe(Effect.scoped))

  it.live("fails after its last retry", () =>
    Effect.gen(function*() {
      const app = yield* makeApp
      const proxy = yield* cuttingProxy(app.url, [2_000, 0, 0, 0, 0])
      const client = yield* clientOf(proxy.url, 2)
      const seen: Array<number> = []
      const error = yield* client.agents.count.stream({ to: 50, pauseMillis: 1 }).pipe(
        Stream.runForEach(({ seq }) => Effect.sync(() => seen.push(seq))),
        Effect.flip
      )
      assert.strictEqual(error.reason._tag, "Disconnected")
      assert.isAbove(seen.length, 0)
      assert.deepStrictEqual(seen, numbers(seen.length))
      assert.strictEqual(proxy.connections(), 3)
      const nobody = yield* clientOf("http://127.0.0.1:9", 1)
      const gone = yield* Effect.flip(nobody.runs.get("x"))
      assert.deepInclude(gone.reason, { _tag: "Disconnected", request: "GET /runs/x" })
    }).pipe(Effect.scoped))

  it.live("continues on another node when its server shuts down", () =>
    Effect.gen(function*() {
      const app = yield* makeApp
      const client = yield* clientOf(app.url)
      const events = yield* Effect.forkChild(Stream.runCollect(client.agents.count.stream({ to: 40, pauseMillis: 5 })))
      const answer = yield* Effect.forkChild(client.agents.count({ to: 41, pauseMillis: 5 }))
      while (app.started() < 2) yield* Effect.sleep("5 millis")
      yield* app.runtime.drain
      const seen = yield* Fiber.join(events)
      assert.deepStrictEqual(seen.map(({ seq }) => seq), numbers(42))
      assert.strictEqual(yield* Fiber.join(answer), 41)
      const refused = yield* Effect.flip((yield* clientOf(app.url, 0)).agents.count.start({ to: 1, pauseMillis: 1 }))
      assert.strictEqual(refused.reason._tag, "ShuttingDown")
    }).pipe(Effect.scoped))
})
