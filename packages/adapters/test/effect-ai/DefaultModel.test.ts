import { assert, describe, it } from "@effect/vitest"
import { DefaultModel } from "@fastagentic/adapters/effect-ai"
import { ConfigProvider, Effect } from "effect"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import * as Fake from "../models/fakeOpenAi.ts"

const answer = (env: Record<string, string>) =>
  Effect.gen(function*() {
    const { text } = yield* LanguageModel.generateText({ prompt: "Hello" })
    return [yield* Model.ProviderName, text]
  }).pipe(
    Effect.provide(DefaultModel.layer),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(env))
  )

describe("DefaultModel", () => {
  it.effect("the offline model answers without a key", () =>
    Effect.gen(function*() {
      for (const env of [{}, { OPENAI_API_KEY: "" }]) {
        const [provider, text] = yield* answer(env)
        assert.strictEqual(provider, "offline")
        assert.include(text, "I have no tools here")
      }
    }))

  it.effect("the provider is called with a key", () =>
    Effect.gen(function*() {
      const { baseUrl } = yield* Fake.FakeOpenAi
      assert.deepStrictEqual(yield* answer({ OPENAI_API_KEY: "sk-test", OPENAI_BASE_URL: baseUrl }), ["openai", "Hi"])
    }).pipe(Effect.provide(Fake.FakeOpenAi.layer([Fake.completion({ content: "Hi" })]))))
})
