/**
 * A language model on any server that speaks the Chat Completions API.
 *
 * @since 0.1.0
 */
import { Config, Context, Effect, Layer, Predicate, Redacted, Schema, Stream } from "effect"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import { toCodecOpenAI } from "effect/ai/OpenAiStructuredOutput"
import type * as Response from "effect/ai/Response"
import * as Telemetry from "effect/ai/Telemetry"
import * as Sse from "effect/encoding/Sse"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import { OutputLimit } from "../adapter/OutputLimit.ts"
import * as PartEvents from "../adapter/PartEvents.ts"
import { toParts } from "./internal/answer.ts"
import * as Chunks from "./internal/chunks.ts"
import * as Failures from "./internal/failure.ts"
import { limitOf, toBody } from "./internal/request.ts"
import * as Wire from "./internal/wire.ts"

/**
 * The base URL that is used when none is given.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultBaseUrl = "https://api.openai.com/v1"

/**
 * The model that `layerConfig` uses when `FASTAGENTIC_MODEL` is not set.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultModel = "gpt-4.1-mini"

/**
 * Fields of the request body besides messages and tools, such as `temperature` or `max_completion_tokens`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Parameters {
  readonly [name: string]: Schema.Json
}

/**
 * The server and its request defaults.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly apiKey: Redacted.Redacted
  readonly model: string
  readonly baseUrl?: string | undefined
  readonly parameters?: Parameters | undefined
}

/**
 * The services a provider layer has.
 *
 * @category models
 * @since 0.1.0
 */
export type Services = LanguageModel.LanguageModel | Model.ProviderName | Model.ModelName

/**
 * Fields that override the request body of all calls in a scope, including `model`.
 *
 * **When to use**
 *
 * Use to limit the output or to choose a smaller model for one run.
 *
 * @category services
 * @since 0.1.0
 */
export const CurrentParameters: Context.Reference<Parameters> = Context.Reference<Parameters>(
  "@fastagentic/adapters/openai/OpenAiCompatible/CurrentParameters",
  { defaultValue: () => ({}) }
)

const provider = "openai"

const decodeCompletion = Schema.decodeUnknownEffect(Schema.fromJsonString(Wire.Completion))
const decodeChunk = Schema.decodeUnknownEffect(Schema.fromJsonString(Wire.Chunk))

/** The cost of the call as a gateway reports it. */
const costIn = ({ headers }: HttpClientResponse.HttpClientResponse) => {
  const reported = headers["x-litellm-response-cost"]?.trim() ?? ""
  return reported === "" ? undefined : PartEvents.knownCost(Number(reported))
}

/** How a stream of events ended: with the server's end marker, or with the connection. */
const done = "[DONE]"
const ended = Symbol.for("@fastagentic/adapters/openai/ended")

const eventsOf = <E>(
  text: Stream.Stream<string, E>,
  onTooLarge: (error: Sse.SseError) => E
): Stream.Stream<string, E> =>
  Stream.suspend(() => {
    let events: Array<string> = []
    const parser = Sse.makeParser((event) => {
      if (event._tag === "Event") events.push(event.data)
    })
    return Stream.flattenIterable(Stream.mapEffect(text, (chunk) => {
      const error = parser.feed(chunk)
      const parsed = events
      events = []
      return error === undefined ? Effect.succeed(parsed) : Effect.fail(onTooLarge(error))
    }))
  })

/**
 * Makes a language model on a server that speaks the Chat Completions API.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(options: Options) {
  const client = yield* HttpClient.HttpClient
  const baseUrl = options.baseUrl ?? defaultBaseUrl
  const failures = Failures.make(options.apiKey, baseUrl)
  const base = HttpClientRequest.post(baseUrl).pipe(
    HttpClientRequest.appendUrl("/chat/completions"),
    HttpClientRequest.bearerToken(options.apiKey)
  )

  const send = Effect.fnUntraced(function*(method: Failures.Method, request: LanguageModel.ProviderOptions) {
    const overrides = yield* CurrentParameters
    const fail = (reason: AiError.AiErrorReason) => failures.fail(method, reason)
    const body = yield* Effect.mapError(toBody(request), fail)
    const streaming = method === "streamText" ? { stream: true, stream_options: { include_usage: true } } : {}
    const defaults = { model: options.model, ...options.parameters, ...overrides }
    const fields = { ...defaults, ...limitOf(defaults, baseUrl, yield* OutputLimit), ...body, ...streaming }
    Telemetry.addGenAIAnnotations(request.span, {
      provider: { name: provider },
      operation: { name: "chat" },
      request: { model: String(fields.model) }
    })
    const encoded = yield* Effect.mapError(
      HttpClientRequest.bodyJson(base, fields),
      () => fail(new AiError.InvalidUserInputError({ description: "the request cannot be written as JSON" }))
    )
    const response = yield* Effect.mapError(client.execute(encoded), (error) => failures.fromTransport(method, error))
    return response.status < 400 ? response : yield* failures.fromResponse(method, response)
  })

  const annotate = (
    request: LanguageModel.ProviderOptions,
    parts: ReadonlyArray<Response.StreamPartEncoded | Response.PartEncoded>
  ) => {
    for (const part of parts) {
      if (part.type === "response-metadata") {
        Telemetry.addGenAIAnnotations(request.span, { response: { id: part.id, model: part.modelId } })
      }
      if (part.type === "finish") {
        const { inputTokens, outputTokens } = part.usage
        Telemetry.addGenAIAnnotations(request.span, {
          response: { finishReasons: [part.reason] },
          usage: { inputTokens: inputTokens.total, outputTokens: outputTokens.total }
        })
      }
    }
  }

  const generateText = Effect.fnUntraced(function*(request: LanguageModel.ProviderOptions) {
    const method = "generateText"
    const response = yield* send(method, request)
    const text = yield* Effect.mapError(response.text, (error) => failures.fromTransport(method, error))
    const completion = yield* Effect.mapError(
      decodeCompletion(text),
      ({ message }) => failures.malformed(method, message)
    )
    const { refusal } = completion.choices[0].message
    if (request.responseFormat.type === "json" && refusal) {
      return yield* failures.fail(method, new AiError.ContentPolicyError({ description: refusal }))
    }
    const parts = yield* Effect.mapError(
      toParts(completion, costIn(response)),
      (reason) => failures.fail(method, reason)
    )
    annotate(request, parts)
    return parts
  })

  const method = "streamText"

  const take = (progress: Chunks.Progress, event: string | typeof ended) => {
    if (progress.finished) return Effect.succeed([progress, []] as const)
    if (event === ended || event === done) {
      return progress.reason === undefined
        ? Effect.fail(failures.connectionLost(method))
        : Effect.succeed(Chunks.finish(progress))
    }
    return decodeChunk(event).pipe(
      Effect.mapError(({ message }) => failures.malformed(method, message)),
      Effect.flatMap((chunk) =>
        Predicate.isNotNullish(chunk.error)
          ? Effect.fail(failures.fromEvent(method, chunk.error))
          : Effect.mapError(Chunks.take(progress, chunk), (reason) => failures.fail(method, reason))
      )
    )
  }

  const read = (response: HttpClientResponse.HttpClientResponse) => {
    const type = response.headers["content-type"] ?? ""
    if (!type.includes("text/event-stream")) {
      return Stream.fail(failures.malformed(method, `expected an event stream, and got ${type || "no content type"}`))
    }
    const text = Stream.decodeText(Stream.mapError(response.stream, (error) => failures.fromTransport(method, error)))
    const events: Stream.Stream<string | typeof ended, AiError.AiError> = eventsOf(
      text,
      ({ message }) => failures.malformed(method, message)
    )
    return Stream.concat(events, Stream.succeed(ended)).pipe(
      Stream.mapAccumEffect(() => ({ ...Chunks.start, costUsd: costIn(response) }), take)
    )
  }

  return yield* LanguageModel.make({
    codecTransformer: toCodecOpenAI,
    generateText,
    streamText: (request) =>
      Stream.unwrap(Effect.map(send(method, request), read)).pipe(
        Stream.tap((part) => Effect.sync(() => annotate(request, [part])))
      )
  })
})

/**
 * Provides a language model on a server that speaks the Chat Completions API.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Services, never, HttpClient.HttpClient> =>
  Model.make(provider, options.model, Layer.effect(LanguageModel.LanguageModel, make(options)))

/** An empty variable counts as not set. */
const textOr = (name: string, fallback: string): Config.Config<string> =>
  Config.map(Config.withDefault(Config.String(name), fallback), (text) => text === "" ? fallback : text)

/**
 * Provides the language model that `OPENAI_API_KEY`, `OPENAI_BASE_URL` and `FASTAGENTIC_MODEL` describe.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig: Layer.Layer<Services, Config.ConfigError, HttpClient.HttpClient> = Layer.unwrap(
  Config.all({
    apiKey: Config.Redacted("OPENAI_API_KEY"),
    baseUrl: textOr("OPENAI_BASE_URL", defaultBaseUrl),
    model: textOr("FASTAGENTIC_MODEL", defaultModel)
  }).pipe(Effect.map(layer))
)
