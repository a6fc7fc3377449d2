import { assert, describe, it } from "@effect/vitest"
import { OutputLimit, PartEvents } from "@fastagentic/adapters/adapter"
import { Models } from "@fastagentic/adapters/models"
import { Effect, Redacted, Schema, Stream } from "effect"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Fake from "./fakeOpenAi.ts"

const answer = Fake.stream([Fake.chunk({ content: "Hi" }), Fake.chunk({}, "stop"), Fake.usageChunk])

/** The request of one model call with these parameters, and its last part. */
const call = (
  given: Fake.Answer,
  limit: number | undefined,
  options: Models.Options = {}
) =>
  Effect.gen(function*() {
    const { baseUrl, received } = yield* Fake.FakeOpenAi
    const layer = Models.layer("m", { apiKey: Redacted.make("k"), baseUrl, ...options })
    const parts = yield* LanguageModel.streamText({ prompt: "Hello" }).pipe(
      Stream.runCollect,
      Effect.provideService(OutputLimit.OutputLimit, limit),
      Effect.provide(layer)
    )
    const [request] = yield* received
    const finish = parts.find((part) => part.type === "finish")
    return {
      body: Schema.decodeUnknownSync(Schema.Record(Schema.String, Schema.Unknown))(request?.body),
      usage: finish === undefined ? undefined : PartEvents.usageOf(finish)
    }
  }).pipe(Effect.provide(Fake.FakeOpenAi.layer([given])))

describe("an output limit", () => {
  it.live("the limit is sent under the server's field name, and never raises a lower one", () =>
    Effect.gen(function*() {
      assert.deepInclude((yield* call(answer, 300)).body, { max_tokens: 300 })
      assert.deepInclude((yield* call(answer, 300, { settings: { maxOutputTokens: 100 } })).body, { max_tokens: 100 })
      assert.deepInclude((yield* call(answer, 300, { settings: { maxOutputTokens: 900 } })).body, { max_tokens: 300 })
      assert.notProperty((yield* call(answer, undefined)).body, "max_tokens")
    }))
})

describe("a cost", () => {
  it.live("the gateway's cost comes before the provider's", () =>
    Effect.gen(function*() {
      assert.notProperty((yield* call(answer, undefined)).usage, "costUsd")
      const saying = (cost: number) => {
        const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2, cost }
        return [Fake.chunk({ content: "Hi" }), Fake.chunk({}, "stop"), { ...Fake.usageChunk, usage }]
      }
      const frames = saying(0.25)
      assert.strictEqual((yield* call(Fake.stream(frames), undefined)).usage?.costUsd, 0.25)
      const gateway = Fake.stream(frames)
      const headers = { ...gateway.headers, "x-litellm-response-cost": "0.5" }
      assert.strictEqual((yield* call({ ...gateway, headers }, undefined)).usage?.costUsd, 0.5)
      for (const odd of ["free", "", " ", "-1", "Infinity"]) {
        const headers = { ...gateway.headers, "x-litellm-response-cost": odd }
        assert.strictEqual((yield* call({ ...gateway, headers }, undefined)).usage?.costUsd, 0.25, odd)
      }
      assert.notProperty((yield* call(Fake.stream(saying(-0.25)), undefined)).usage, "costUsd")
    }))
})

describe("usage", () => {
  it.live("a count that the answer lacks, or that cannot be true, is no count of zero: the call costs what was reserved", () =>
    Effect.gen(function*() {
      const reporting = (usage: string) => {
        const { body, ...answer } = Fake.stream([
          Fake.chunk({ content: "Hi" }),
          Fake.chunk({}, "stop"),
          Fake.usageChunk
        ])
        return { ...answer, body: String(body).replace(JSON.stringify(Fake.usage), usage) }
      }
      const odd = [
        `{}`,
        `{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`,
        `{"prompt_tokens":10}`,
        `{"completion_tokens":5}`,
        `{"total_tokens":1500}`,
        `{"prompt_tokens":0,"completion_tokens":5}`,
        `{"prompt_tokens":10,"completion_tokens":1e400,"total_tokens":1}`,
        `{"prompt_tokens":10,"completion_tokens":-1000000}`
      ]
      for (const usage of odd) assert.isUndefined((yield* call(reporting(usage), undefined)).usage, usage)
      const silent = reporting(`{"prompt_tokens":10,"completion_tokens":0,"total_tokens":10}`)
      assert.deepStrictEqual((yield* call(silent, undefined)).usage, { inputTokens: 10, outputTokens: 0 })
    }))
})
