import { assert, describe, it } from "@effect/vitest"
import { DefaultModel } from "@fastagentic/adapters/effect-ai"
import { Models, ProviderModel } from "@fastagentic/adapters/models"
import { ConfigProvider, Duration, Effect, Inspectable, Layer, Option, Redacted, Schema, Stream } from "effect"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import type OpenAI from "openai"
import * as Fake from "./fakeOpenAi.ts"

const key = "sk-test-very-secret-0123456789"

const Weather = Toolkit.make(Tool.make("get_weather", {
  description: "The weather of a city",
  parameters: Schema.Struct({ city: Schema.String, days: Schema.optionalKey(Schema.Int) }),
  success: Schema.Struct({ summary: Schema.String })
}))

const WeatherLayer = Weather.toLayer({ get_weather: ({ city }) => Effect.succeed({ summary: `sunny in ${city}` }) })

const TestLayer = (answers: ReadonlyArray<Fake.Answer>, options: Models.Options = {}) =>
  Layer.unwrap(
    Effect.map(
      Fake.FakeOpenAi,
      ({ baseUrl }) => Models.layer("test-model", { apiKey: Redacted.make(key), baseUrl, ...options })
    )
  ).pipe(
    Layer.merge(WeatherLayer),
    Layer.provideMerge(Fake.FakeOpenAi.layer(answers))
  )

const requests = Effect.flatMap(Fake.FakeOpenAi, ({ received }) => received)

const stream = (prompt: Prompt.RawInput) =>
  LanguageModel.streamText({ prompt, toolkit: Weather, disableToolCallResolution: true })

const shape = (part: Response.AnyPart) => {
  switch (part.type) {
    case "text-delta":
    case "reasoning-delta":
    case "tool-params-delta":
      return `${part.type} ${part.delta}`
    case "tool-call":
      return `tool-call ${part.id} ${part.name} ${JSON.stringify(part.params)}`
    case "finish":
      return `finish ${part.reason}`
    default:
      return part.type
  }
}

const call = (
  index: number,
  fields: Omit<OpenAI.Chat.ChatCompletionChunk.Choice.Delta.ToolCall, "index">
): Fake.Delta => ({
  tool_calls: [{ index, ...fields }]
})

describe("a server with the chat completions API", () => {
  it.effect("text is generated with usage and metadata", () =>
    Effect.gen(function*() {
      const response = yield* LanguageModel.generateText({ prompt: "Hi" })
      assert.strictEqual(response.text, "Grüße 👋")
      assert.strictEqual(response.finishReason, "stop")
      const { inputTokens, outputTokens } = response.usage
      assert.deepStrictEqual({ ...inputTokens }, { uncached: 12, total: 20, cacheRead: 8, cacheWrite: undefined })
      assert.deepStrictEqual({ ...outputTokens }, { total: 9, text: 5, reasoning: 4 })
      const metadata = response.content.find((part) => part.type === "response-metadata")
      assert.strictEqual(metadata?.id, "chatcmpl-1")
      assert.strictEqual(metadata?.modelId, "test-model-2026")
      assert.strictEqual(yield* Model.ModelName, "test-model")
      const [request] = yield* requests
      const expected: OpenAI.Chat.ChatCompletionCreateParams = {
        model: "test-model",
        temperature: 0,
        messages: [{ role: "user", content: "Hi" }]
      }
      const { authorization, body, path } = request ?? {}
      assert.deepStrictEqual([path, authorization, body], ["/v1/chat/completions", `Bearer ${key}`, expected])
    }).pipe(Effect.provide(TestLayer([Fake.completion({ content: "Grüße 👋" })], { settings: { temperature: 0 } }))))

  it.effect("every kind of message, tools and tool choice are encoded", () =>
    Effect.gen(function*() {
      const prompt = Prompt.make([
        { role: "system", content: "Be brief." },
        {
          role: "user",
          content: [
            { type: "text", text: "What is this?" },
            { type: "file", mediaType: "image/png", data: "aGk=" },
            { type: "file", mediaType: "application/pdf", fileName: "a.pdf", data: "aGk=" }
          ]
        },
        {
          role: "assistant",
          content: [
            { type: "reasoning", text: "hm" },
            { type: "text", text: "Let me see." },
            { type: "tool-call", id: "call_9", name: "get_weather", params: { city: "Oslo" } }
          ]
        },
        {
          role: "tool",
          content: [
            { type: "tool-result", id: "call_9", name: "get_weather", isFailure: false, result: { summary: "rain" } }
          ]
        }
      ])
      const options = { prompt, toolkit: Weather, disableToolCallResolution: true } as const
      yield* LanguageModel.generateText({ ...options, toolChoice: { tool: "get_weather" } })
      yield* LanguageModel.generateText({ ...options, toolChoice: { mode: "required", oneOf: ["get_weather"] } }).pipe(
        Effect.provideService(ProviderModel.CurrentSettings, { maxOutputTokens: 5, topP: 0.5 })
      )
      const [first, second] = yield* requests
      const expected: OpenAI.Chat.ChatCompletionCreateParams = {
        model: "test-model",
        messages: [
          { role: "system", content: "Be brief." },
          {
            role: "user",
            content: [
              { type: "text", text: "What is this?" },
              { type: "image_url", image_url: { url: "data:image/png;base64,aGk=" } },
              { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,aGk=" } }
            ]
          },
          {
            role: "assistant",
            content: "Let me see.",
            tool_calls: [{
              id: "call_9",
              type: "function",
              function: { name: "get_weather", arguments: "{\"city\":\"Oslo\"}" }
            }]
          },
          { role: "tool", tool_call_id: "call_9", content: "{\"summary\":\"rain\"}" }
        ],
        tools: [{
          type: "function",
          function: {
            name: "get_weather",
            description: "The weather of a city",
            parameters: { ...Tool.getJsonSchema(Weather.tools.get_weather), additionalProperties: false }
          }
        }],
        tool_choice: { type: "function", function: { name: "get_weather" } }
      }
      // The vendor's types do not have the reasoning that compatible servers take back.
      const messages = expected.messages.map((message) =>
        message.role === "assistant" ? { ...message, reasoning_content: "hm" } : message
      )
      assert.deepStrictEqual(first?.body, { ...expected, messages })
      assert.deepStrictEqual(second?.body, {
        ...expected,
        messages,
        max_tokens: 5,
        top_p: 0.5,
        tool_choice: "required"
      })
      const error = yield* LanguageModel.generateText({
        prompt: [{ role: "user", content: [{ type: "file", mediaType: "application/zip", data: "aGk=" }] }]
      }).pipe(Effect.flip)
      assert.strictEqual(error.reason._tag, "InvalidUserInputError")
    }).pipe(Effect.provide(TestLayer([Fake.completion({ content: "1" }), Fake.completion({ content: "2" })]))))

  it.effect("text is streamed across odd chunk boundaries", () =>
    Effect.gen(function*() {
      const parts = yield* Stream.runCollect(stream("Hi"))
      assert.deepStrictEqual(parts.map(shape), [
        "response-metadata",
        "reasoning-start",
        "reasoning-delta hm",
        "reasoning-end",
        "text-start",
        "text-delta Grüße ",
        "text-delta 👋🏽 ok",
        "text-end",
        "finish stop"
      ])
      const finish = parts.find((part) => part.type === "finish")
      assert.strictEqual(finish?.usage.inputTokens.total, 20)
      assert.strictEqual(finish?.usage.outputTokens.reasoning, 4)
      const [request] = yield* requests
      assert.deepInclude(request?.body, { stream: true, stream_options: { include_usage: true } })
    }).pipe(Effect.provide(TestLayer([
      Fake.stream([
        Fake.chunk({ role: "assistant", content: "" }),
        Fake.chunk({ reasoning_content: "hm" }),
        Fake.chunk({ content: "Grüße " }),
        Fake.chunk({ content: "👋🏽 ok" }),
        Fake.chunk({}, "stop"),
        Fake.usageChunk
      ])
    ]))))

  it.effect("streamed tool calls are assembled and run by effect/ai", () =>
    Effect.gen(function*() {
      const parts = yield* LanguageModel.streamText({ prompt: "Weather?", toolkit: Weather }).pipe(Stream.runCollect)
      assert.deepStrictEqual(parts.filter((part) => part.type !== "tool-result").map(shape), [
        "response-metadata",
        "text-start",
        "text-delta Looking.",
        "tool-params-start",
        "tool-params-delta {\"ci",
        "tool-params-start",
        "tool-params-delta ty\":\"Os",
        "tool-params-delta {\"city\":\"Rome\"}",
        "tool-params-delta lo\"}",
        "text-end",
        "tool-params-end",
        "tool-call call_a get_weather {\"city\":\"Oslo\"}",
        "tool-params-end",
        "tool-call call_b get_weather {\"city\":\"Rome\"}",
        "finish tool-calls"
      ])
      const results = parts.filter((part) => part.type === "tool-result").map((part) => part.encodedResult)
      assert.deepStrictEqual(results, [{ summary: "sunny in Oslo" }, { summary: "sunny in Rome" }])
    }).pipe(Effect.provide(TestLayer([
      Fake.stream([
        Fake.chunk({ role: "assistant", content: "Looking." }),
        Fake.chunk(call(0, { id: "call_a", type: "function", function: { name: "get_weather", arguments: "" } })),
        Fake.chunk(call(0, { function: { arguments: "{\"ci" } })),
        Fake.chunk(call(1, { id: "call_b", type: "function", function: { name: "get_weather", arguments: "" } })),
        Fake.chunk(call(0, { function: { arguments: "ty\":\"Os" } })),
        Fake.chunk(call(1, { function: { arguments: "{\"city\":\"Rome\"}" } })),
        Fake.chunk(call(0, { function: { arguments: "lo\"}" } })),
        Fake.chunk({}, "tool_calls"),
        Fake.usageChunk
      ])
    ]))))

  it.effect("tool calls of a complete answer are returned, and arguments that are not JSON are refused", () =>
    Effect.gen(function*() {
      const options = { prompt: "Weather?", toolkit: Weather, disableToolCallResolution: true } as const
      const response = yield* LanguageModel.generateText(options)
      assert.deepStrictEqual(response.toolCalls.map(({ id, params }) => [id, params]), [["call_a", { city: "Oslo" }]])
      assert.strictEqual(response.finishReason, "tool-calls")
      const whole = yield* Effect.flip(LanguageModel.generateText(options))
      assert.strictEqual(whole.reason._tag, "InvalidOutputError")
      const streamed = yield* Effect.flip(Stream.runDrain(stream("Weather?")))
      assert.strictEqual(streamed.reason._tag, "InvalidOutputError")
    }).pipe(Effect.provide(TestLayer([
      Fake.completion({
        tool_calls: [{
          id: "call_a",
          type: "function",
          function: { name: "get_weather", arguments: "{\"city\":\"Oslo\"}" }
        }]
      }, "tool_calls"),
      Fake.completion({
        tool_calls: [{ id: "call_a", type: "function", function: { name: "get_weather", arguments: "{\"city" } }]
      }, "tool_calls"),
      Fake.stream([
        Fake.chunk(call(0, { id: "call_a", type: "function", function: { name: "get_weather", arguments: "{\"ci" } })),
        Fake.chunk({}, "tool_calls")
      ])
    ]))))

  it.effect("objects use a strict schema, and a refusal is reported", () =>
    Effect.gen(function*() {
      const options = {
        prompt: "Who?",
        objectName: "a person!",
        schema: Schema.Struct({ name: Schema.String, age: Schema.optionalKey(Schema.Finite) })
      }
      const { value } = yield* LanguageModel.generateObject(options)
      assert.deepStrictEqual(value, { name: "Ada" })
      const [request] = yield* requests
      const expected: OpenAI.ResponseFormatJSONSchema = {
        type: "json_schema",
        json_schema: {
          name: "a_person_",
          strict: true,
          schema: {
            type: "object",
            properties: { name: { type: "string" }, age: { anyOf: [{ type: "number" }, { type: "null" }] } },
            required: ["name", "age"],
            additionalProperties: false
          }
        }
      }
      assert.deepInclude(request?.body, { response_format: expected })
      const refusal = yield* Effect.flip(LanguageModel.generateObject(options))
      assert.strictEqual(refusal.reason._tag, "ContentPolicyError")
      const broken = yield* Effect.flip(LanguageModel.generateObject(options))
      assert.strictEqual(broken.reason._tag, "StructuredOutputError")
      const list = yield* Effect.flip(LanguageModel.generateObject({
        prompt: "?",
        schema: Schema.Union([Schema.Struct({ a: Schema.String }), Schema.Struct({ b: Schema.String })])
      }))
      assert.strictEqual(list.reason._tag, "UnsupportedSchemaError")
    }).pipe(Effect.provide(TestLayer([
      Fake.completion({ content: "{\"name\":\"Ada\",\"age\":null}" }),
      Fake.completion({ refusal: "I will not." }),
      Fake.completion({ content: "{\"name\":1}" })
    ]))))

  it.effect("finish reasons are mapped", () =>
    Effect.gen(function*() {
      for (const expected of ["stop", "length", "tool-calls", "content-filter", "content-filter"]) {
        const response = yield* LanguageModel.generateText({ prompt: "Hi" })
        assert.strictEqual(response.finishReason, expected)
      }
    }).pipe(Effect.provide(TestLayer([
      Fake.completion({ content: "a" }, "stop"),
      Fake.completion({ content: "a" }, "length"),
      Fake.completion({ content: "a" }, "function_call"),
      Fake.completion({ content: "a" }, "content_filter"),
      Fake.completion({ refusal: "no" }, "stop")
    ]))))

  const failures: ReadonlyArray<readonly [tag: string, retryable: boolean, answer: Fake.Answer]> = [
    [
      "RateLimitError",
      true,
      Fake.failure(429, { message: "slow down", code: "rate_limit_exceeded" }, { "retry-after": "7" })
    ],
    ["QuotaExhaustedError", false, Fake.failure(429, { message: "no money", code: "insufficient_quota" })],
    [
      "AuthenticationError",
      false,
      Fake.failure(401, { message: `Incorrect API key provided: ${key}.`, code: "invalid_api_key" })
    ],
    ["AuthenticationError", false, Fake.failure(403, { message: `${key} may not` })],
    [
      "InvalidRequestError",
      false,
      Fake.failure(400, { message: `bad ${key}`, param: "messages[0]", type: "invalid_request_error" })
    ],
    ["InvalidRequestError", false, Fake.failure(404, { message: "no such model", code: "model_not_found" })],
    ["ContentPolicyError", false, Fake.failure(400, { message: "filtered", code: "content_filter" })],
    ["InternalProviderError", true, Fake.failure(500, { message: "oops" })],
    ["InternalProviderError", true, { status: 503, body: `<html>${key}</html>` }],
    ["InternalProviderError", true, Fake.failure(409, { message: "conflict" })]
  ]

  for (const [tag, retryable, answer] of failures) {
    it.effect(`maps HTTP ${answer.status} to ${tag}, without the key`, () =>
      Effect.gen(function*() {
        const whole = yield* Effect.flip(LanguageModel.generateText({ prompt: "Hi" }))
        const streamed = yield* Effect.flip(Stream.runDrain(LanguageModel.streamText({ prompt: "Hi" })))
        for (const error of [whole, streamed]) {
          assert.strictEqual(error.reason._tag, tag)
          assert.strictEqual(error.isRetryable, retryable)
          const shown = [error.message, String(error.stack), JSON.stringify(error), Inspectable.toStringUnknown(error)]
          assert.notInclude(shown.join(), key)
        }
        if (tag === "RateLimitError") {
          assert.strictEqual(whole.retryAfter === undefined ? 0 : Duration.toSeconds(whole.retryAfter), 7)
        }
        if (answer.status === 400 && tag === "InvalidRequestError") {
          assert.include(whole.message, "parameter 'messages[0]'. bad <redacted>")
        }
      }).pipe(Effect.provide(TestLayer([answer, answer]))))
  }

  const broken: ReadonlyArray<readonly [name: string, tag: string, answer: Fake.Answer]> = [
    [
      "a stream cut inside an event",
      "NetworkError",
      Fake.stream([Fake.chunk({ content: "so far" })], { end: "data: {\"id\":", breaks: true })
    ],
    [
      "a stream that its server ends inside an event",
      "NetworkError",
      Fake.stream([Fake.chunk({ content: "so far" })], { end: "data: {\"choices\":[{\"delta\":{\"content\":\"lo" })
    ],
    ["a stream that ends too early", "NetworkError", Fake.stream([Fake.chunk({ content: "so far" })], { end: "" })],
    [
      "an event that is not JSON",
      "InvalidResponseError",
      Fake.stream([Fake.chunk({ content: "so far" })], { end: "data: {oops}\n\n" })
    ],
    [
      "an event of another shape",
      "InvalidResponseError",
      Fake.stream([Fake.chunk({ content: "so far" })], { end: Fake.frame({ choices: 1 }) })
    ],
    [
      "an error event",
      "InternalProviderError",
      Fake.stream([Fake.chunk({ content: "so far" })], {
        end: Fake.frame({ error: { message: `oops ${key}`, type: "server_error" } })
      })
    ],
    [
      "a rate limit event",
      "RateLimitError",
      Fake.stream([Fake.chunk({ content: "so far" })], {
        end: Fake.frame({ error: { message: "slow", code: "rate_limit_exceeded" } })
      })
    ]
  ]

  for (const [name, tag, answer] of broken) {
    it.effect(`fails after the text on ${name}`, () =>
      Effect.gen(function*() {
        const seen: Array<string> = []
        const error = yield* stream("Hi").pipe(
          Stream.runForEach((part) => Effect.sync(() => void (part.type === "text-delta" && seen.push(part.delta)))),
          Effect.flip
        )
        assert.deepStrictEqual(seen, ["so far"])
        assert.strictEqual(error.reason._tag, tag)
        assert.notInclude(error.message, key)
      }).pipe(Effect.provide(TestLayer([answer]))))
  }

  it.effect("the connection closes when the stream is abandoned", () =>
    Effect.gen(function*() {
      const first = yield* stream("Hi").pipe(Stream.filter((part) => part.type === "text-delta"), Stream.runHead)
      assert.isTrue(Option.isSome(first))
      const { hungUp } = yield* Fake.FakeOpenAi
      yield* hungUp
    }).pipe(Effect.provide(TestLayer([
      Fake.stream([Fake.chunk({ content: "so far" })], { end: "", hangs: true })
    ]))))

  it.effect("a finished answer without the end marker is accepted", () =>
    Effect.gen(function*() {
      const parts = yield* Stream.runCollect(stream("Hi"))
      assert.strictEqual(parts.at(-1)?.type, "finish")
    }).pipe(Effect.provide(TestLayer([
      Fake.stream([Fake.chunk({ content: "whole" }), Fake.chunk({}, "stop")], { end: "" })
    ]))))

  it.effect("a finished answer whose end marker is cut is accepted", () =>
    Effect.gen(function*() {
      const parts = yield* Stream.runCollect(stream("Hi"))
      assert.strictEqual(parts.at(-1)?.type, "finish")
    }).pipe(Effect.provide(TestLayer([
      Fake.stream([Fake.chunk({ content: "whole" }), Fake.chunk({}, "stop")], { end: "data: [DO" })
    ]))))

  it.effect("an answer that is neither a completion nor a stream fails with a clear error", () =>
    Effect.gen(function*() {
      const whole = yield* Effect.flip(LanguageModel.generateText({ prompt: "Hi" }))
      assert.strictEqual(whole.reason._tag, "InvalidResponseError")
      const streamed = yield* Effect.flip(Stream.runDrain(stream("Hi")))
      assert.include(streamed.message, "neither an event stream nor a completion")
    }).pipe(Effect.provide(TestLayer([{ body: "{\"hello\":1}" }, { body: "{}" }]))))

  it.effect("an unreachable server is reported without the key", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(LanguageModel.generateText({ prompt: "Hi" }))
      assert.strictEqual(error.reason._tag, "NetworkError")
      assert.isTrue(error.isRetryable)
      assert.notInclude(Inspectable.toStringUnknown(error) + error.message + JSON.stringify(error), key)
      assert.include(error.message, "http://127.0.0.1:1/v1")
    }).pipe(
      Effect.provide(Models.layer("m", { apiKey: Redacted.make(key), baseUrl: `http://127.0.0.1:1/v1?key=${key}` }))
    ))

  it.effect("the configuration is read from variables", () =>
    Effect.gen(function*() {
      const { baseUrl } = yield* Fake.FakeOpenAi
      const env = { OPENAI_API_KEY: key, OPENAI_BASE_URL: baseUrl, FASTAGENTIC_MODEL: "from-env" }
      const response = yield* LanguageModel.generateText({ prompt: "Hi" }).pipe(
        Effect.provide(DefaultModel.layer),
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(env))
      )
      assert.strictEqual(response.text, "configured")
      const [request] = yield* requests
      assert.deepInclude(request?.body, { model: "from-env" })
    }).pipe(
      Effect.provide(Fake.FakeOpenAi.layer([Fake.completion({ content: "configured" })]))
    ))
})
