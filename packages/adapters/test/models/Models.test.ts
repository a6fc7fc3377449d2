import { assert, describe, it } from "@effect/vitest"
import { DefaultModel } from "@fastagentic/adapters/effect-ai"
import { Egress } from "@fastagentic/adapters/egress"
import { Models } from "@fastagentic/adapters/models"
import { ConfigProvider, Effect, Layer, Option, Redacted, Schema, Stream, Tracer } from "effect"
import { LanguageModel, Model, Prompt, Tool, Toolkit } from "effect/ai"
import * as Fake from "./fakeOpenAi.ts"

const answer = Fake.completion({ content: "Hi" })
const hello = LanguageModel.generateText({ prompt: "Hello" })
const body = (received: Fake.Received | undefined) =>
  Schema.decodeUnknownSync(Schema.Record(Schema.String, Schema.Unknown))(received?.body)

const withEnv = (env: Readonly<Record<string, string>>) =>
  Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(env))

/** The model of a fake server, with its options. */
const modelOf = (options: Models.Options = {}, path = "/v1") =>
  Layer.unwrap(
    Effect.map(Fake.FakeOpenAi, ({ baseUrl }) =>
      Models.layer("m", { apiKey: Redacted.make("k"), ...options, baseUrl: baseUrl.replace("/v1", path) }))
  )

const on = (answers: ReadonlyArray<Fake.Answer>) => Effect.provide(Fake.FakeOpenAi.layer(answers))

describe("the name of a model", () => {
  const sent = (name: string, env: (origin: string) => Readonly<Record<string, string>>) =>
    Effect.gen(function*() {
      const { baseUrl, received } = yield* Fake.FakeOpenAi
      const provider = yield* Effect.andThen(hello, Model.ProviderName).pipe(
        Effect.provide(DefaultModel.layer),
        withEnv({ FASTAGENTIC_MODEL: name, ...env(baseUrl.replace("/v1", "")) })
      )
      const [request] = yield* received
      return [provider, request?.path, body(request)["model"]]
    }).pipe(on([answer]))

  const server = (origin: string) => ({ OPENAI_BASE_URL: origin, OPENAI_API_KEY: "k" })

  const names: ReadonlyArray<
    readonly [
      name: string,
      env: (origin: string) => Readonly<Record<string, string>>,
      expected: ReadonlyArray<string>
    ]
  > = [
    ["gpt-oss", server, ["openai", "/v1/chat/completions", "gpt-oss"]],
    ["openai/gpt-oss-120b", server, ["openai", "/v1/chat/completions", "openai/gpt-oss-120b"]],
    ["llama3.2:3b", server, ["openai", "/v1/chat/completions", "llama3.2:3b"]],
    ["ollama:llama3.2:3b", (origin) => ({ OLLAMA_BASE_URL: origin }), [
      "ollama",
      "/v1/chat/completions",
      "llama3.2:3b"
    ]],
    ["portkey:gpt-5", (origin) => ({ PORTKEY_API_KEY: "k", PORTKEY_BASE_URL: `${origin}/v1` }), [
      "portkey",
      "/v1/chat/completions",
      "gpt-5"
    ]],
    ["cloudflare:openai/gpt-5", (origin) => ({ CLOUDFLARE_ACCOUNT_ID: "a", CLOUDFLARE_BASE_URL: `${origin}/v1` }), [
      "cloudflare",
      "/v1/chat/completions",
      "openai/gpt-5"
    ]],
    ["vllm/meta/llama", (origin) => ({ VLLM_BASE_URL: origin }), ["vllm", "/v1/chat/completions", "meta/llama"]],
    [
      "groq:llama",
      (origin) => ({ ...server("http://127.0.0.1:1"), GROQ_API_KEY: "k", GROQ_BASE_URL: `${origin}/openai/v1` }),
      ["groq", "/openai/v1/chat/completions", "llama"]
    ]
  ]

  for (const [name, env, expected] of names) {
    it.effect(`${name} goes to ${expected.join(" ")}`, () =>
      Effect.map(sent(name, env), (found) => assert.deepStrictEqual(found, [...expected])))
  }

  const refusals: ReadonlyArray<readonly [name: string, env: Readonly<Record<string, string>>, message: string]> = [
    ["anthropic:claude", {}, "model anthropic:claude: ANTHROPIC_API_KEY is not set"],
    ["google:gemini", {}, "GOOGLE_GENERATIVE_AI_API_KEY or GEMINI_API_KEY is not set"],
    ["bedrock:claude", { AWS_REGION: "us-east-1" }, "AWS_BEARER_TOKEN_BEDROCK or AWS_ACCESS_KEY_ID is not set"],
    ["azure:gpt", { AZURE_API_KEY: "k" }, "AZURE_RESOURCE_NAME or AZURE_BASE_URL is not set"],
    ["gpt-5", {}, "OPENAI_API_KEY is not set"],
    ["gpt-5", { OPENAI_API_KEY: " " }, "OPENAI_API_KEY is not set"],
    ["acme/model", {}, "no such provider; write provider:model with one of openai, openai-chat, anthropic"],
    ["llama3.2:3b", {}, "no such provider"],
    ["anthropic:", { OPENAI_API_KEY: "k" }, "no model is named; write provider:model with one of openai"],
    [":claude", { OPENAI_API_KEY: "k" }, "no model is named"],
    ["groq", { OPENAI_API_KEY: "k" }, "no model is named"],
    ["gpt-5", { OPENAI_BASE_URL: "127.0.0.1:8000" }, "the base URL has to begin with http:// or https://"],
    ["toString:x", {}, "no such provider"]
  ]

  for (const [name, env, message] of refusals) {
    it.effect(`${name} with ${JSON.stringify(env)} is refused in one line`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Effect.provide(hello, DefaultModel.layer))
        assert.strictEqual(error._tag, "ModelUnavailable")
        assert.include(error.message, message)
        assert.notInclude(error.message, "\n")
      }).pipe(withEnv({ FASTAGENTIC_MODEL: name, ...env })))
  }
})

describe("the base URL of a server", () => {
  const forms = ["", "/", "/v1", "/v1/", "/v1/chat/completions", "/v1?api-version=3"]
  for (const form of forms) {
    it.effect(`works as ${form || "an origin"}`, () =>
      Effect.gen(function*() {
        yield* Effect.provide(hello, modelOf({}, form))
        const [request] = yield* (yield* Fake.FakeOpenAi).received
        const query = form.includes("?") ? "?api-version=3" : ""
        assert.strictEqual(request?.path, `/v1/chat/completions${query}`)
      }).pipe(on([answer])))
  }

  it.effect("keeps another path", () =>
    Effect.gen(function*() {
      yield* Effect.provide(hello, modelOf({}, "/inference/"))
      const [request] = yield* (yield* Fake.FakeOpenAi).received
      assert.strictEqual(request?.path, "/inference/chat/completions")
    }).pipe(on([answer])))

  it.effect("is refused where egress does not allow it, and reached where it does", () =>
    Effect.gen(function*() {
      const { baseUrl } = yield* Fake.FakeOpenAi
      const model = (allow: ReadonlyArray<string>) =>
        Layer.provide(Models.layerNoDeps("m", { baseUrl }), Layer.orDie(Egress.layer({ allow })))
      const error = yield* Effect.flip(Effect.provide(hello, model([])))
      assert.strictEqual("reason" in error && error.reason._tag, "NetworkError")
      assert.include(error.message, "not on the public network")
      assert.strictEqual((yield* Effect.provide(hello, model(["127.0.0.1"]))).text, "Hi")
    }).pipe(on([answer])))
})

describe("a request field that a server refuses", () => {
  const refused = (message: string) => Fake.failure(400, { message, type: "invalid_request_error" })
  const streamed = Fake.stream([Fake.chunk({ content: "Hi" }), Fake.chunk({}, "stop")])
  const history = Prompt.make([
    { role: "user", content: "?" },
    { role: "assistant", content: [{ type: "reasoning", text: "hm" }, { type: "text", text: "!" }] },
    { role: "user", content: "Go on" }
  ])
  const ask = Stream.runDrain(LanguageModel.streamText({ prompt: history }))

  it.effect("is left out of this request and of later ones", () =>
    Effect.gen(function*() {
      yield* Effect.andThen(ask, ask).pipe(Effect.provide(modelOf()))
      const bodies = (yield* (yield* Fake.FakeOpenAi).received).map(body)
      assert.strictEqual(bodies.length, 4)
      assert.deepStrictEqual(bodies.map((body) => "stream_options" in body), [true, false, false, false])
      assert.deepStrictEqual(bodies.map((body) => JSON.stringify(body).includes("reasoning_content")), [
        true,
        true,
        false,
        false
      ])
    }).pipe(on([
      refused("Unknown parameter: stream_options"),
      refused("property 'reasoning_content' is unsupported"),
      streamed,
      streamed
    ])))

  it.effect("is kept where the server asks for it, and the error is the server's", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(ask).pipe(Effect.provide(modelOf()))
      assert.include(error.message, "must be passed back")
      assert.strictEqual((yield* (yield* Fake.FakeOpenAi).received).length, 1)
    }).pipe(on([refused("The reasoning_content must be passed back")])))

  it.effect("is renamed when it is the output limit, which is never dropped", () =>
    Effect.gen(function*() {
      yield* Effect.provide(hello, modelOf({ settings: { maxOutputTokens: 50 } }))
      const bodies = (yield* (yield* Fake.FakeOpenAi).received).map(body)
      assert.deepStrictEqual(
        bodies.map(({ max_completion_tokens, max_tokens }) => [max_tokens, max_completion_tokens]),
        [
          [50, undefined],
          [undefined, 50]
        ]
      )
    }).pipe(on([refused("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."), answer])))
})

describe("the time of a request", () => {
  const slow = Fake.stream([Fake.chunk({ content: "so far" })], { end: "", hangs: true })
  const limited = (limits: Models.Limits) =>
    Effect.gen(function*() {
      const started = performance.now()
      const error = yield* Effect.flip(Stream.runDrain(LanguageModel.streamText({ prompt: "Hello" })))
      yield* (yield* Fake.FakeOpenAi).hungUp
      assert.isBelow(performance.now() - started, 5_000)
      assert.isTrue(error.isRetryable)
      return error
    }).pipe(Effect.provide(modelOf({ limits })))

  it.live("is limited until the headers arrive", () =>
    Effect.gen(function*() {
      const error = yield* limited({ firstByte: "100 millis" })
      assert.include(error.message, "the provider sent nothing within 100ms")
    }).pipe(on([{ body: "", silent: true }])))

  it.live("is limited between two pieces", () =>
    Effect.gen(function*() {
      const error = yield* limited({ idle: "100 millis" })
      assert.include(error.message, "the answer stopped for 100ms")
    }).pipe(on([slow])))

  it.live("is limited for the whole answer", () =>
    Effect.gen(function*() {
      const error = yield* limited({ total: "100 millis" })
      assert.include(error.message, "the answer was not complete within 100ms")
    }).pipe(on([slow])))

  it.live("ends with the fiber that waits for the headers", () =>
    Effect.gen(function*() {
      yield* Effect.timeoutOption(hello, "100 millis")
      yield* (yield* Fake.FakeOpenAi).hungUp
    }).pipe(Effect.provide(modelOf()), on([{ body: "", silent: true }])))
})

describe("tools as a provider gets them", () => {
  const long = `${"shop.orders/".repeat(8)}find`
  const Odd = Toolkit.make(
    Tool.make(long, { parameters: Schema.Struct({ id: Schema.Int }), success: Schema.String }),
    Tool.make("shop.orders", { success: Schema.String }),
    Tool.make("shop_orders", {
      parameters: Schema.Struct({
        tags: Schema.Array(Schema.Unknown),
        pair: Schema.Tuple([Schema.String, Schema.Int])
      }),
      success: Schema.String
    }),
    Tool.make("either", {
      parameters: Schema.Union([Schema.Struct({ a: Schema.String }), Schema.Struct({ b: Schema.Int })]),
      success: Schema.String
    }),
    Tool.make("strict", {
      parameters: Schema.Struct({ city: Schema.String, days: Schema.optionalKey(Schema.Int) }),
      success: Schema.String
    }).annotate(Tool.Strict, true)
  )
  const options = { prompt: "?", toolkit: Odd, disableToolCallResolution: true } as const
  const Sent = Schema.Struct({
    tools: Schema.Array(Schema.Struct({
      function: Schema.Struct({
        name: Schema.String,
        parameters: Schema.Record(Schema.String, Schema.Unknown),
        strict: Schema.optionalKey(Schema.Boolean)
      })
    })),
    tool_choice: Schema.Unknown
  })
  const requested = Effect.gen(function*() {
    const [request] = yield* (yield* Fake.FakeOpenAi).received
    return Schema.decodeUnknownSync(Sent)(request?.body)
  })

  it.effect("names are mapped to what providers allow, and back", () =>
    Effect.gen(function*() {
      yield* LanguageModel.generateText({ ...options, toolChoice: { tool: long } })
      const { tool_choice, tools } = yield* requested
      const names = tools.map(({ function: { name } }) => name)
      assert.strictEqual(new Set(names).size, 5)
      for (const name of names) assert.match(name, /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/u)
      assert.deepStrictEqual(tool_choice, { type: "function", function: { name: names[0] } })
      const called = yield* LanguageModel.generateText(options)
      assert.deepStrictEqual(called.toolCalls.map(({ name, params }) => [name, params]), [
        ["shop.orders", {}],
        [long, { id: 1 }]
      ])
    }).pipe(
      Effect.provide(modelOf()),
      on([
        answer,
        Fake.completion({
          tool_calls: [
            { id: "1", type: "function", function: { name: "shop_orders_2", arguments: "{}" } },
            {
              id: "2",
              type: "function",
              function: { name: long.replaceAll(/[./]/gu, "_").slice(0, 64), arguments: "{\"id\":1}" }
            }
          ]
        }, "tool_calls")
      ])
    ))

  it.effect("their schemas have an object at the root and items in every array", () =>
    Effect.gen(function*() {
      yield* LanguageModel.generateText(options)
      const [, none, arrays, either] = (yield* requested).tools.map(({ function: { parameters } }) => parameters)
      assert.deepInclude(none, { type: "object", properties: {} })
      const { pair, tags } = Object(arrays?.["properties"])
      assert.deepStrictEqual(tags.items, {})
      assert.isDefined(pair.items.anyOf)
      assert.deepInclude(either, { type: "object", required: [] })
      assert.hasAllKeys(Object(either?.["properties"]), ["a", "b"])
    }).pipe(Effect.provide(modelOf()), on([answer])))

  it.effect("a strict tool is sent with nullable fields, whose null does not reach it", () =>
    Effect.gen(function*() {
      const called = yield* LanguageModel.generateText(options)
      const strict = (yield* requested).tools.at(-1)?.function
      assert.isTrue(strict?.strict)
      assert.deepInclude(strict?.parameters, { required: ["city", "days"], additionalProperties: false })
      assert.deepStrictEqual(called.toolCalls.map(({ params }): unknown => params), [{ city: "Oslo" }])
    }).pipe(
      Effect.provide(modelOf()),
      on([
        Fake.completion({
          tool_calls: [{
            id: "1",
            type: "function",
            function: { name: "strict", arguments: "{\"city\":\"Oslo\",\"days\":null}" }
          }]
        }, "tool_calls")
      ])
    ))

  it.effect("a choice among several sends these alone", () =>
    Effect.gen(function*() {
      yield* LanguageModel.generateText({ ...options, toolChoice: { mode: "required", oneOf: ["either", "strict"] } })
      const { tool_choice, tools } = yield* requested
      assert.deepStrictEqual(tools.map(({ function: { name } }) => name), ["either", "strict"])
      assert.strictEqual(tool_choice, "required")
    }).pipe(Effect.provide(modelOf()), on([answer])))
})

describe("files in a prompt", () => {
  it.effect("bytes, base64 and data URLs arrive as the server takes them", () =>
    Effect.gen(function*() {
      yield* LanguageModel.generateText({
        prompt: [{
          role: "user",
          content: [
            { type: "file", mediaType: "image/png", data: new Uint8Array([104, 105]) },
            { type: "file", mediaType: "image/png", data: "data:image/png;base64,aGk=" },
            { type: "file", mediaType: "image/png", data: new URL("data:image/png;base64,aGk=") },
            { type: "file", mediaType: "audio/wav", data: "aGk=" },
            { type: "file", mediaType: "application/pdf", data: "aGk=", fileName: "a.pdf" }
          ]
        }]
      })
      const [request] = yield* (yield* Fake.FakeOpenAi).received
      const image = (url: string) => ({ type: "image_url", image_url: { url } })
      assert.deepStrictEqual(body(request)["messages"], [{
        role: "user",
        content: [
          image("data:image/png;base64,aGk="),
          image("data:image/png;base64,aGk="),
          image("data:image/png;base64,aGk="),
          { type: "input_audio", input_audio: { data: "aGk=", format: "wav" } },
          { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,aGk=" } }
        ]
      }])
    }).pipe(Effect.provide(modelOf()), on([answer])))
})

describe("an answer that is too long", () => {
  const huge = { body: `{"choices":"${"x".repeat(70 * 1_048_576)}"}`, whole: true }
  const endless = {
    headers: { "content-type": "text/event-stream" },
    body: Fake.frame(Fake.chunk({ content: "x".repeat(1_048_576) })).repeat(130),
    whole: true,
    hangs: true
  }

  it.live("fails, whole or in place of a stream, and is not read to its end", () =>
    Effect.gen(function*() {
      const whole = yield* Effect.flip(hello)
      assert.include(whole.message, "more than 64 MiB")
      const streamed = yield* Effect.flip(Stream.runDrain(LanguageModel.streamText({ prompt: "Hello" })))
      assert.include(streamed.message, "more than 64 MiB")
    }).pipe(Effect.provide(modelOf()), on([huge, huge])))

  it.live("fails as a stream without an end and as an error, and is not asked for again", () =>
    Effect.gen(function*() {
      const streamed = yield* Effect.flip(Stream.runDrain(LanguageModel.streamText({ prompt: "Hello" })))
      assert.include(streamed.message, "more than 128 MiB")
      assert.isFalse(streamed.isRetryable)
      const failed = yield* Effect.flip(Stream.runDrain(LanguageModel.streamText({ prompt: "Hello" })))
      assert.include(failed.message, "more than 64 MiB")
      assert.isFalse(failed.isRetryable)
    }).pipe(Effect.provide(modelOf()), on([endless, { ...huge, status: 500 }])))
})

describe("a traced call", () => {
  it.effect("has its request below the call, without the key and without trace headers for the provider", () =>
    Effect.gen(function*() {
      const spans: Array<Tracer.NativeSpan> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const streamed = Stream.runDrain(LanguageModel.streamText({ prompt: "Hello" }))
      yield* Effect.andThen(hello, streamed).pipe(
        Effect.withSpan("run"),
        Effect.withTracer(tracer),
        Effect.provide(modelOf({ apiKey: Redacted.make("a-secret-key") }))
      )
      const requests = spans.filter(({ attributes }) => attributes.get("http.request.method") === "POST")
      assert.strictEqual(requests.length, 2)
      for (const span of requests) {
        const parent = Option.getOrUndefined(span.parent)
        assert.match(parent?._tag === "Span" ? parent.name : "", /^LanguageModel\./u)
        assert.strictEqual(span.traceId, spans[0]?.traceId)
        assert.notInclude(JSON.stringify([...span.attributes]), "a-secret-key")
      }
      const [sent] = yield* (yield* Fake.FakeOpenAi).received
      assert.notProperty(sent?.headers, "traceparent")
    }).pipe(on([answer, Fake.stream([Fake.chunk({ content: "Hi" }), Fake.chunk({}, "stop")])])))
})

describe("several models", () => {
  it.effect("calls of two models side by side go to their own servers, with their own keys", () =>
    Effect.gen(function*() {
      const { baseUrl, received } = yield* Fake.FakeOpenAi
      const model = (name: string) => Models.layer(name, { baseUrl, apiKey: Redacted.make(`key-${name}`) })
      yield* Effect.all(["a", "b", "c"].map((name) => Effect.provide(hello, model(name))), { concurrency: "unbounded" })
      const found = (yield* received).map((request) => [body(request)["model"], request.authorization])
      assert.sameDeepMembers(found, [["a", "Bearer key-a"], ["b", "Bearer key-b"], ["c", "Bearer key-c"]])
    }).pipe(on([answer, answer, answer])))
})
