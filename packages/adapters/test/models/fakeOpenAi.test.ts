import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import OpenAI from "openai"
import * as Fake from "./fakeOpenAi.ts"

const client = Effect.map(
  Fake.FakeOpenAi,
  ({ baseUrl }) => new OpenAI({ apiKey: "sk-test", baseURL: baseUrl, maxRetries: 0 })
)

const messages = [{ role: "user", content: "Hi" }] as const

describe("the fake server, read by the vendor's client", () => {
  it.effect("it answers with a completion", () =>
    Effect.gen(function*() {
      const openai = yield* client
      const answer = yield* Effect.promise(() =>
        openai.chat.completions.create({ model: "test-model", messages: [...messages] })
      )
      assert.strictEqual(answer.choices[0]?.message.content, "Grüße 👋")
      assert.deepStrictEqual(answer.usage, Fake.usage)
    }).pipe(Effect.provide(Fake.FakeOpenAi.layer([Fake.completion({ content: "Grüße 👋" })]))))

  it.effect("it streams text and tool calls that the client assembles", () =>
    Effect.gen(function*() {
      const openai = yield* client
      const answer = yield* Effect.promise(() =>
        openai.chat.completions.stream({
          model: "test-model",
          messages: [...messages],
          stream_options: { include_usage: true }
        }).finalChatCompletion()
      )
      const [choice] = answer.choices
      assert.strictEqual(choice?.finish_reason, "tool_calls")
      assert.strictEqual(choice?.message.content, "Grüße 👋🏽")
      assert.deepStrictEqual(
        choice?.message.tool_calls?.map((call) => call.type === "function" ? call.function.arguments : ""),
        ["{\"city\":\"Oslo\"}"]
      )
      assert.deepStrictEqual(answer.usage, Fake.usage)
    }).pipe(Effect.provide(Fake.FakeOpenAi.layer([
      Fake.stream([
        Fake.chunk({ role: "assistant", content: "Grüße " }),
        Fake.chunk({ content: "👋🏽" }),
        Fake.chunk({
          tool_calls: [{
            index: 0,
            id: "call_a",
            type: "function",
            function: { name: "get_weather", arguments: "{\"city" }
          }]
        }),
        Fake.chunk({ tool_calls: [{ index: 0, function: { arguments: "\":\"Oslo\"}" } }] }),
        Fake.chunk({}, "tool_calls"),
        Fake.usageChunk
      ])
    ]))))

  it.effect("it fails like the vendor's API", () =>
    Effect.gen(function*() {
      const openai = yield* client
      const error = yield* Effect.promise(() =>
        openai.chat.completions.create({ model: "test-model", messages: [...messages] }).then(
          () => undefined,
          (error: unknown) => error
        )
      )
      assert.instanceOf(error, OpenAI.RateLimitError)
      assert.strictEqual(error.code, "rate_limit_exceeded")
      assert.strictEqual(error.requestID, "req_1")
    }).pipe(Effect.provide(Fake.FakeOpenAi.layer([
      Fake.failure(429, { message: "slow down", code: "rate_limit_exceeded" }, { "retry-after": "7" })
    ]))))
})
