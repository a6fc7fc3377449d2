/**
 * A language model of effect/ai on any provider model of the AI SDK.
 *
 * @since 0.1.0
 */
import type { LanguageModelV4, LanguageModelV4CallOptions } from "@ai-sdk/provider"
import { Array as Arr, Cause, Context, Effect, Layer, type Pull, type Redacted, Stream, Tracer } from "effect"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import { toCodecOpenAI } from "effect/ai/OpenAiStructuredOutput"
import type * as Response from "effect/ai/Response"
import * as Telemetry from "effect/ai/Telemetry"
import type * as HttpClient from "effect/http/HttpClient"
import { OutputLimit } from "../adapter/OutputLimit.ts"
import { type Mode, OutputMode } from "../adapter/OutputMode.ts"
import { accepted } from "./internal/callIds.ts"
import * as Failures from "./internal/failure.ts"
import { guarded } from "./internal/files.ts"
import { Answer, type Ending, metadataPart, StreamedError } from "./internal/parts.ts"
import { toRequest } from "./internal/request.ts"
import { withCaller } from "./internal/transport.ts"
import { costOf, hasNoEnd, reasonOf, statedReason, toFinish } from "./internal/usage.ts"

/**
 * A model of a provider package, such as `openai("gpt-5")`; version 4 of the interface.
 *
 * @category models
 * @since 0.1.0
 */
export type ProviderModel = LanguageModelV4

/**
 * Settings of a call besides its prompt and its tools.
 *
 * @category models
 * @since 0.1.0
 */
export type Settings = Pick<
  LanguageModelV4CallOptions,
  | "maxOutputTokens"
  | "temperature"
  | "topP"
  | "topK"
  | "presencePenalty"
  | "frequencyPenalty"
  | "stopSequences"
  | "seed"
  | "reasoning"
  | "headers"
  | "providerOptions"
>

/**
 * How a provider model is used.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The provider's name for prices and telemetry; the model's own by default. */
  readonly provider?: string | undefined
  readonly settings?: Settings | undefined
  /** Secrets that errors must not contain. */
  readonly secrets?: ReadonlyArray<Redacted.Redacted> | undefined
  /** Whether a cost in the answer's headers or usage counts; only an operator's own gateway deserves that. */
  readonly gatewayCost?: boolean | undefined
  /** The ids of calls that the provider accepts; others are replaced in what it is sent. */
  readonly callIds?: RegExp | undefined
  /** How a loop asks for an answer of a schema; by a tool, unless the provider enforces JSON schemas. */
  readonly outputMode?: Mode | undefined
  /**
   * The client that fetches files behind URLs which the provider does not fetch itself; by default one that reaches the
   * public network only, as `Egress.layer` does.
   */
  readonly files?: HttpClient.HttpClient | undefined
  /** How schemas of answers are written for the provider; OpenAI's form by default. */
  readonly codecTransformer?: LanguageModel.CodecTransformer | undefined
}

/**
 * The services a model layer has.
 *
 * @category models
 * @since 0.1.0
 */
export type Services = LanguageModel.LanguageModel | Model.ProviderName | Model.ModelName

/**
 * Settings that override those of the model for all calls in a scope.
 *
 * @category services
 * @since 0.1.0
 */
export const CurrentSettings: Context.Reference<Settings> = Context.Reference<Settings>(
  "@fastagentic/adapters/models/ProviderModel/CurrentSettings",
  { defaultValue: () => ({}) }
)

/** A setting that is not given overrides nothing, and headers come to those of the model. */
const merged = (own: Settings, current: Settings): Settings => {
  const given = Object.fromEntries(Object.entries(current).filter(([, value]) => value !== undefined))
  const headers = own.headers === undefined ? {} : { headers: { ...own.headers, ...current.headers } }
  return { ...own, ...given, ...headers }
}

/** The reason that a provider package sees when its call is interrupted. */
class Cancelled extends Error {
  override readonly name = "AbortError"
}

const providerOf = (model: ProviderModel, options: Options): string =>
  options.provider ?? model.provider.split(".")[0] ?? model.provider

/**
 * Makes a language model on a provider model.
 *
 * **Details**
 *
 * Each call fails with an `AiError` that has the class, the time to wait and the provider's own words. Nothing is
 * retried. Interrupting a call cancels its request.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (model: ProviderModel, options: Options = {}): Effect.Effect<LanguageModel.LanguageModel> => {
  const provider = providerOf(model, options)
  const failures = Failures.make(provider, options.secrets ?? [])
  const callIds = options.callIds ?? accepted.others
  const codec = options.codecTransformer ?? toCodecOpenAI
  const files = options.files === undefined ? guarded : Effect.succeed(options.files)

  const prepare = Effect.fnUntraced(function*(method: Failures.Method, request: LanguageModel.ProviderOptions) {
    const settings = merged(options.settings ?? {}, yield* CurrentSettings)
    const limit = yield* OutputLimit
    const context = Context.add(yield* Effect.context<never>(), Tracer.ParentSpan, request.span)
    const call = yield* Effect.mapError(
      toRequest(request, settings, limit, callIds, codec, { model, files }),
      (reason) => failures.reason(method, reason)
    )
    Telemetry.addGenAIAnnotations(request.span, {
      provider: { name: provider },
      operation: { name: "chat" },
      request: { model: model.modelId }
    })
    return { ...call, context }
  })

  const annotate = (request: LanguageModel.ProviderOptions, part: Response.AnyPartEncoded) => {
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

  const finishOf = (ending: Ending, headers: Readonly<Record<string, string>>) =>
    toFinish(
      reasonOf(ending.reason, ending.calls),
      ending.usage,
      options.gatewayCost === true ? costOf(headers, ending.usage.raw) : undefined
    )

  const failIfCut = (method: Failures.Method, ending: Ending | undefined) => {
    const unified = ending?.reason.unified
    if (ending === undefined || unified === "interrupted" || (method === "streamText" && hasNoEnd(ending))) {
      return Effect.fail(failures.network(method, "the connection was closed before the answer was complete"))
    }
    const words = ending.reason.raw ?? "the provider reported an error"
    return unified === "error" ? Effect.fail(failures.of(method, { message: words })) : Effect.succeed(ending)
  }

  const generateText = Effect.fnUntraced(function*(request: LanguageModel.ProviderOptions) {
    const method = "generateText"
    const { answer, call, context } = yield* prepare(method, request)
    const result = yield* Effect.tryPromise({
      try: (signal) => withCaller(context, async () => await model.doGenerate({ ...call, abortSignal: signal })),
      catch: (error) => failures.of(method, error)
    })
    const parts: Array<Response.PartEncoded> = [metadataPart(result.response ?? {})]
    for (const part of result.content) parts.push(...answer.content(part))
    const reason = statedReason(result.finishReason, result.response?.body)
    const ending = yield* failIfCut(method, answer.end(reason, result.usage))
    if (request.responseFormat.type === "json" && ending.reason.unified === "content-filter") {
      const description = parts.map((part) => part.type === "text" ? part.text : "").join("") || "no answer"
      return yield* failures.reason(method, new AiError.ContentPolicyError({ description }))
    }
    parts.push(finishOf(ending, result.response?.headers ?? {}))
    for (const part of parts) annotate(request, part)
    return parts
  })

  const streamText = (request: LanguageModel.ProviderOptions) =>
    Stream.unwrap(Effect.gen(function*() {
      const method = "streamText"
      const { answer, call, context } = yield* prepare(method, request)
      const cancelled = yield* Effect.acquireRelease(
        Effect.sync(() => new AbortController()),
        // An exception of the platform is expensive to make, and an answer that has ended needs none.
        (controller) => Effect.sync(() => answer.ending ?? controller.abort(new Cancelled()))
      )
      const result = yield* Effect.tryPromise({
        try: () => withCaller(context, async () => await model.doStream({ ...call, abortSignal: cancelled.signal })),
        catch: (error) => failures.of(method, error)
      })
      const finish = (ending: Ending) => finishOf(ending, result.response?.headers ?? {})
      return streamOf(request, result, answer, finish)
    }))

  /** The parts of a stream; its finish part is made once the stream has ended. */
  const streamOf = (
    request: LanguageModel.ProviderOptions,
    { stream }: Awaited<ReturnType<ProviderModel["doStream"]>>,
    answer: Answer,
    finish: (ending: Ending) => Response.FinishPartEncoded
  ): Stream.Stream<Response.StreamPartEncoded, AiError.AiError> => {
    const method = "streamText"
    const reader = stream.getReader()
    let finished = false
    const read = async (): Promise<ReadonlyArray<Response.StreamPartEncoded>> => {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        const parts = answer.take(next.value)
        for (const part of parts) annotate(request, part)
        if (parts.length > 0) return parts
      }
      return []
    }
    const fail = (error: unknown) => failures.of(method, error instanceof StreamedError ? error.error : error)
    const end = Effect.suspend(
      (): Pull.Pull<Arr.NonEmptyReadonlyArray<Response.StreamPartEncoded>, AiError.AiError> => {
        if (finished) return Cause.done()
        finished = true
        return Effect.map(failIfCut(method, answer.ending), (ending) => {
          const part = finish(ending)
          annotate(request, part)
          return Arr.of(part)
        })
      }
    )
    return Stream.fromPull(Effect.succeed(
      Effect.flatMap(
        Effect.tryPromise({ try: read, catch: fail }),
        (parts): Pull.Pull<Arr.NonEmptyReadonlyArray<Response.StreamPartEncoded>, AiError.AiError> =>
          Arr.isReadonlyArrayNonEmpty(parts) ? Effect.succeed(parts) : end
      )
    ))
  }

  return LanguageModel.make({
    codecTransformer: codec,
    generateText,
    streamText
  })
}

/**
 * Provides a language model on a provider model.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (model: ProviderModel, options: Options = {}): Layer.Layer<Services> =>
  Model.make(
    providerOf(model, options),
    model.modelId,
    Layer.merge(
      Layer.effect(LanguageModel.LanguageModel, make(model, options)),
      Layer.succeed(OutputMode, options.outputMode ?? "tool")
    )
  )
