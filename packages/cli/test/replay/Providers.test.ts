import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Layer, Redacted, Result, Schema, Stream } from "effect"
import { LanguageModel, Prompt, type Response, Tool, Toolkit } from "effect/ai"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import { Models } from "fastagentic/models"
import { afterAll, beforeAll } from "vitest"
import { type ProviderApi, providerApis, testKey } from "./providerApis.ts"
import { type Answer, type ReplayServer, replayServer } from "./replayServer.ts"

const Tools = Toolkit.make(Tool.make("get_weather", {
  description: "The weather of a city",
  parameters: Schema.Struct({ city: Schema.String }),
  success: Schema.String
}))

const options = { toolkit: Tools, disableToolCallResolution: true, toolCallValidation: "deferred" } as const

let server: ReplayServer
beforeAll(async () => {
  server = await replayServer()
})
afterAll(() => server.stop())

const stored = Schema.toCodecJson(Prompt.Prompt)

/** The prompt as a journal keeps it. */
const throughJournal = (prompt: Prompt.Prompt) =>
  Effect.flatMap(
    Schema.encodeEffect(stored)(prompt),
    (json) => Schema.decodeUnknownEffect(stored)(JSON.parse(JSON.stringify(json)))
  ).pipe(Effect.orDie)

const turn = (prompt: Prompt.RawInput) => Stream.runCollect(LanguageModel.streamText({ prompt, ...options }))

/** The conversation after the calls of a first answer were made. */
const answered = (said: Prompt.Prompt, first: ReadonlyArray<Response.AnyPart>) => {
  const content = first.flatMap((part) =>
    part.type === "tool-call"
      ? [Prompt.toolResultPart({
        id: part.id,
        name: part.name,
        result: "sunny in Oslo",
        isFailure: false,
        providerExecuted: false
      })]
      : []
  )
  const history = Prompt.make([{ role: "user", content: "Weather?" }])
  return Prompt.fromMessages([...history.content, ...said.content, Prompt.toolMessage({ content })])
}

const joined = (parts: ReadonlyArray<Response.AnyPart>, type: "text-delta" | "reasoning-delta") =>
  parts.map((part) => part.type === type ? part.delta : "").join("")

/** The text of an answer, its calls and the reason for its end. */
const endOf = (parts: ReadonlyArray<Response.AnyPart>) => ({
  text: joined(parts, "text-delta"),
  calls: parts.flatMap((part) => part.type === "tool-call" ? [part.params] : []),
  reason: parts.flatMap((part) => part.type === "finish" ? [part.reason] : [])
})

/** Places of a body where a connection may close: some of each event, its borders, and the last bytes one by one. */
const cuts = (bytes: Buffer) => {
  const text = bytes.toString("latin1")
  const borders = [...text.matchAll(/\n\n/gu)].flatMap(({ index }) => [index, index + 1, index + 2])
  const spread = Array.from({ length: 20 }, (_, at) => Math.floor(bytes.length * at / 20))
  const last = Array.from({ length: 20 }, (_, at) => bytes.length - 1 - at)
  return [...new Set([...borders, ...spread, ...last])].filter((at) => at >= 0 && at < bytes.length).sort((a, b) =>
    a - b
  )
}

/** A client that leads every request to the replay server. */
const Redirected = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(
    HttpClient.HttpClient,
    HttpClient.mapRequest((request) => {
      const { pathname, search } = new URL(request.url)
      return HttpClientRequest.setUrl(request, `${server.url}${pathname}${search}`)
    })
  )
).pipe(Layer.provide(FetchHttpClient.layer))

const withModel = <A, E>(api: ProviderApi, use: Effect.Effect<A, E, LanguageModel.LanguageModel>) => {
  const model = api.env?.["OPENAI_BASE_URL"] === undefined ? `${api.provider}:${api.model}` : api.model
  const key = api.env === undefined || api.env["OPENAI_BASE_URL"] !== undefined
    ? { apiKey: Redacted.make(testKey) }
    : {}
  const layer = api.base === undefined
    ? Layer.provide(Models.layerNoDeps(model, key), Redirected)
    : Models.layer(model, { ...key, baseUrl: `${server.url}${api.base}` })
  return use.pipe(
    Effect.provide(layer),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(api.env ?? {}))
  )
}

describe("the package of a provider, on an API of its own kind", () => {
  for (const api of providerApis) {
    const name = api.env?.["OPENAI_BASE_URL"] === undefined ? api.provider : "a server at OPENAI_BASE_URL"

    it.live(`${name}: two turns with a tool work, and the provider gets back what it attached`, () =>
      withModel(
        api,
        Effect.gen(function*() {
          server.prepare([api.first, api.second])
          const first = yield* turn("Weather?")
          assert.strictEqual(joined(first, "reasoning-delta"), api.reasoning)
          const calls = first.flatMap((part) => part.type === "tool-call" ? [part] : [])
          assert.deepStrictEqual(calls.map(({ name, params }) => [name, params]), [["get_weather", { city: "Oslo" }]])
          const finish = first.find((part) => part.type === "finish")
          assert.strictEqual(finish?.reason, "tool-calls")
          assert.deepStrictEqual([finish?.usage.inputTokens.total, finish?.usage.outputTokens.total], [...api.usage])
          const { costUsd } = Object(finish?.metadata["fastagentic"])
          assert.strictEqual(costUsd, api.costUsd)

          const said = yield* throughJournal(Prompt.fromResponseParts(first))
          const second = yield* turn(answered(said, first))
          assert.strictEqual(joined(second, "text-delta"), "It is sunny.")

          const [request, next] = server.received
          assert.strictEqual(request?.path, api.path)
          if (api.auth !== undefined) assert.include(String(request?.headers[api.auth[0]]), api.auth[1])
          const sent = JSON.stringify(next?.body)
          for (const text of api.returns) assert.include(sent, text)
          assert.notProperty(request?.headers ?? {}, "traceparent")
        })
      ))

    it.live(`${name}: a conversation that began with another provider goes on`, () =>
      Effect.gen(function*() {
        const before = providerApis[(providerApis.indexOf(api) + 3) % providerApis.length] ?? api
        const first = yield* withModel(
          before,
          Effect.suspend(() => {
            server.prepare([before.first])
            return turn("Weather?")
          })
        )
        const said = yield* throughJournal(Prompt.fromResponseParts(first))
        const second = yield* withModel(
          api,
          Effect.suspend(() => {
            server.prepare([api.second])
            return turn(answered(said, first))
          })
        )
        assert.strictEqual(joined(second, "text-delta"), "It is sunny.")
        const sent = JSON.stringify(server.received[0]?.body)
        assert.include(sent, "sunny in Oslo")
        if (name === "mistral") assert.match(sent, /"tool_call_id":"[A-Za-z0-9]{9}"/u)
      }))

    it.live(`${name}: a stream that ends before its end is a failure that passes, and never an answer`, () =>
      withModel(
        api,
        Effect.gen(function*() {
          const read = Effect.fnUntraced(function*(answer: Answer) {
            server.prepare([answer])
            return yield* Effect.result(Effect.map(turn("Weather?"), endOf))
          })
          for (const answer of [api.first, api.second]) {
            const bytes = Buffer.from(answer.body)
            const whole = yield* read(answer)
            assert.isTrue(Result.isSuccess(whole))
            for (const at of cuts(bytes)) {
              const cut = yield* read({ ...answer, body: bytes.subarray(0, at) })
              if (Result.isFailure(cut)) assert.isTrue(cut.failure.isRetryable, `${at}: ${cut.failure.message}`)
              else assert.deepStrictEqual(cut, whole, `after ${at} of ${bytes.length} bytes`)
            }
          }
        })
      ), 60_000)

    it.live(`${name}: an error has its class, the time to wait and the provider's words`, () =>
      withModel(
        api,
        Effect.gen(function*() {
          server.prepare([api.failure])
          const error = yield* Effect.flip(turn("Weather?"))
          assert.strictEqual(error.reason._tag, api.fails.tag)
          assert.isTrue(error.isRetryable)
          assert.include(JSON.stringify(error), "slow down")
          assert.notInclude(JSON.stringify(error) + error.message, testKey)
          assert.notInclude(JSON.stringify(error), "Weather?")
          if (api.fails.retryAfter !== undefined) {
            assert.strictEqual(error.retryAfter && Duration.toSeconds(error.retryAfter), api.fails.retryAfter)
          }
          assert.strictEqual(server.received.length, 1, "nothing is retried here")
        })
      ))
  }
})

describe("what an answer holds besides text and calls", () => {
  const event = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`
  const candidate = (parts: ReadonlyArray<unknown>, more: object = {}) =>
    event({
      candidates: [{ content: { role: "model", parts }, index: 0, ...more }],
      usageMetadata: { promptTokenCount: 20, candidatesTokenCount: 9, totalTokenCount: 29 }
    })
  const sse = (...events: ReadonlyArray<string>) => ({
    headers: { "content-type": "text/event-stream" },
    body: events.join("")
  })
  const apiOf = (provider: string) => providerApis.find((api) => api.provider === provider) ?? assert.fail(provider)

  it.live("a picture and a source arrive as parts, from Gemini and from OpenAI", () =>
    Effect.gen(function*() {
      server.prepare([sse(
        candidate([{ inlineData: { mimeType: "image/png", data: "aGk=" } }]),
        candidate([{ text: "Here." }], {
          finishReason: "STOP",
          groundingMetadata: { groundingChunks: [{ web: { uri: "https://example.com/a", title: "A" } }] }
        })
      )])
      const drawn = yield* withModel(apiOf("google"), turn("Draw"))
      const [file] = drawn.flatMap((part) => part.type === "file" ? [part] : [])
      assert.strictEqual(file?.mediaType, "image/png")
      assert.deepStrictEqual(file?.data, new Uint8Array([104, 105]))
      const sources = (parts: ReadonlyArray<Response.AnyPart>) =>
        parts.flatMap((part) =>
          part.type === "source" && part.sourceType === "url" ? [[part.url.href, part.title]] : []
        )
      assert.deepStrictEqual(sources(drawn), [["https://example.com/a", "A"]])

      const { body, ...more } = apiOf("openai").second
      const annotation = {
        type: "url_citation",
        url: "https://example.com/b",
        title: "B",
        start_index: 0,
        end_index: 2
      }
      const cited = event({
        type: "response.output_text.annotation.added",
        item_id: "msg_1",
        output_index: 0,
        content_index: 0,
        annotation_index: 0,
        annotation
      })
      const [head = "", ...tail] = String(body).split("event: response.output_item.done")
      server.prepare([{ ...more, body: `${head}${cited}event: response.output_item.done${tail.join("")}` }])
      const said = yield* withModel(apiOf("openai"), turn("Cite"))
      assert.deepStrictEqual(sources(said), [["https://example.com/b", "B"]])
    }))

  it.live("a signature that stands alone goes back with the next turn", () =>
    withModel(
      apiOf("google"),
      Effect.gen(function*() {
        server.prepare([
          sse(
            candidate([{ functionCall: { name: "get_weather", args: { city: "Oslo" } } }]),
            candidate([{ text: "", thoughtSignature: "signature-alone" }], { finishReason: "STOP" })
          ),
          apiOf("google").second
        ])
        const first = yield* turn("Weather?")
        const said = yield* throughJournal(Prompt.fromResponseParts(first))
        yield* turn(answered(said, first))
        assert.include(JSON.stringify(server.received[1]?.body), "signature-alone")
      })
    ))
})
