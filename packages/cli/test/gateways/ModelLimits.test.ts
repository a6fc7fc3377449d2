import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import type * as Response from "effect/ai/Response"
import * as Toolkit from "effect/ai/Toolkit"
import { Agent, App } from "fastagentic"
import { ModelLoop } from "fastagentic/effect-ai"
import { ModelLimits } from "fastagentic/gateways"
import { join } from "node:path"
import { temporaryFolder } from "../process.ts"
import { onSqlite } from "../serving.ts"

class Asker extends Agent.make("asker", { description: "Asks a model", payload: { text: Schema.String } }) {}
class Desk extends App.make("limited", { version: "1", agents: [Asker] }).hook(ModelLimits.ModelLimits) {}

/** A model that takes a while, uses so many tokens, and knows how many calls are under way. */
const slowModel = (millis: number, tokens: number) => {
  const seen = { now: 0, most: 0, calls: 0 }
  const parts: Array<Response.StreamPartEncoded> = [
    { type: "text-start", id: "1" },
    { type: "text-delta", id: "1", delta: "yes" },
    { type: "text-end", id: "1" },
    {
      type: "finish",
      reason: "stop",
      usage: {
        inputTokens: { total: tokens, uncached: undefined, cacheRead: undefined, cacheWrite: undefined },
        outputTokens: { total: 0, text: undefined, reasoning: undefined }
      },
      response: undefined
    }
  ]
  const call = Effect.acquireUseRelease(
    Effect.sync(() => {
      seen.calls++
      seen.most = Math.max(seen.most, ++seen.now)
    }),
    () => Effect.as(Effect.sleep(millis), parts),
    () => Effect.sync(() => void seen.now--)
  )
  const layer = Layer.effect(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      generateText: () => Effect.die("it streams"),
      streamText: () => Stream.unwrap(Effect.map(call, (parts) => Stream.fromIterable(parts)))
    })
  )
  return { seen, layer: Model.make("lab", "big-1", layer) }
}

const serve = Effect.fnUntraced(function*(limits: Parameters<typeof ModelLimits.layer>[0], millis = 100, tokens = 10) {
  const { layer, seen } = slowModel(millis, tokens)
  const handlers = Asker.toLayer(({ text }) =>
    ModelLoop.run({ prompt: text, toolkit: Toolkit.empty }).pipe(Effect.map(({ text }) => text), Effect.orDie)
  ).pipe(Layer.provide(layer), Layer.merge(ModelLimits.layer(limits)), Layer.orDie)
  const { url } = yield* onSqlite(Desk, handlers, join(temporaryFolder(), "limited.db"))
  const ask = (signal?: AbortSignal) =>
    Effect.promise(async () => {
      const response = await fetch(`${url}/agents/asker`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{\"text\":\"?\"}",
        ...(signal === undefined ? {} : { signal })
      })
      return { status: response.status, runId: response.headers.get("x-run-id"), text: await response.text() }
    })
  const post = (path: string) => Effect.promise(() => fetch(`${url}${path}`, { method: "POST" }))
  const begin = Effect.promise(async () => {
    const response = await fetch(`${url}/agents/asker/runs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{\"text\":\"?\"}"
    })
    const { runId }: { readonly runId: string } = await response.json()
    return runId
  })
  return { ask, begin, post, seen }
})

describe("ModelLimits", () => {
  it.live("no more calls of a model are under way than its limit, and all get their turn", () =>
    Effect.gen(function*() {
      const { ask, seen } = yield* serve({ "big-1": { concurrency: 2 } })
      const answers = yield* Effect.all(Array.from({ length: 7 }, () => ask()), { concurrency: "unbounded" })
      assert.deepStrictEqual(answers.map(({ status }) => status), Array.from({ length: 7 }, () => 200))
      assert.strictEqual(seen.most, 2)
      assert.strictEqual(seen.calls, 7)
    }))

  it.live("a limit for all models holds for one that has none of its own, and another's does not", () =>
    Effect.gen(function*() {
      const star = yield* serve({ "*": { concurrency: 1 }, "big-2": { concurrency: 5 } })
      yield* Effect.all([star.ask(), star.ask(), star.ask()], { concurrency: "unbounded" })
      assert.strictEqual(star.seen.most, 1)
      const other = yield* serve({ "big-2": { concurrency: 1 } }, 500)
      yield* Effect.all([other.ask(), other.ask(), other.ask()], { concurrency: "unbounded" })
      assert.isAbove(other.seen.most, 1)
    }))

  it.live("a call that waits too long is refused, and the next one gets the place again", () =>
    Effect.gen(function*() {
      const { ask, seen } = yield* serve({ "big-1": { concurrency: 1, wait: "200 millis" } }, 1_000)
      const answers = yield* Effect.all([ask(), ask()], { concurrency: "unbounded" })
      assert.deepStrictEqual(answers.map(({ status }) => status).toSorted(), [200, 403])
      assert.include(answers.map(({ text }) => text).join(), "the model big-1 is at its limit")
      assert.strictEqual((yield* ask()).status, 200)
      assert.strictEqual(seen.calls, 2)
    }))

  it.live("a cancelled call gives its place back, whether it waits or works", () =>
    Effect.gen(function*() {
      const { ask, begin, post, seen } = yield* serve({ "big-1": { concurrency: 1, wait: "20 seconds" } }, 1_500)
      const working = yield* begin
      yield* Effect.sleep(200)
      const waiting = yield* begin
      yield* Effect.sleep(200)
      yield* post(`/runs/${waiting}/cancel`)
      yield* post(`/runs/${working}/cancel`)
      assert.strictEqual((yield* ask()).status, 200)
      assert.strictEqual(seen.most, 1)
    }))

  it.live("tokens that a call has used are missing for the next one until the minute gives them back", () =>
    Effect.gen(function*() {
      const { ask } = yield* serve({ "big-1": { tokensPerMinute: 6_000, wait: "300 millis" } }, 10, 6_000)
      assert.strictEqual((yield* ask()).status, 200)
      const refused = yield* ask()
      assert.strictEqual(refused.status, 403, refused.text)
      assert.include(refused.text, "at its limit")
      const small = yield* serve({ "big-1": { tokensPerMinute: 6_000, wait: "300 millis" } }, 10, 10)
      for (let i = 0; i < 8; i++) assert.strictEqual((yield* small.ask()).status, 200)
    }))

  it.effect("a limit that would let nothing pass does not build", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Layer.build(ModelLimits.layer({ "big-1": { concurrency: 0 } })))
      assert.include(error.message, "big-1")
    }))
})
