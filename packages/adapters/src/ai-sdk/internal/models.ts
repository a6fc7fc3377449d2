// Wraps the models of an AI SDK agent: each call is a step of the run. settings.ts wraps every model that an agent may choose.
import type { LanguageModelV4, LanguageModelV4CallOptions, LanguageModelV4StreamPart } from "@ai-sdk/provider"
import type { LanguageModel } from "ai"
import { Effect, Stream } from "effect"
import { Thrown } from "../../adapter/AdapterError.ts"
import { flattened } from "../../adapter/internal/flattened.ts"
import type { TurnLoop } from "../../adapter/internal/turnLoop.ts"
import type * as RuntimeModel from "../../adapter/RuntimeModel.ts"
import { makeNames } from "../../models/internal/names.ts"
import { toPrompt } from "../../models/internal/prompt.ts"
import { Answer, rebuilt, type Stored, streamOf } from "./answer.ts"
import type { Library } from "./library.ts"
import { promptOf } from "./prompt.ts"

type Resolved = Exclude<LanguageModel, string>

export class Models {
  private readonly used = new Set<string>()
  private readonly wrapped = new Map<LanguageModel, LanguageModel>()
  /** The marks of the models of the app: whatever wraps one of them keeps its mark. */
  private readonly own = new WeakSet<object>()
  readonly library: Library
  private readonly loop: TurnLoop

  constructor(library: Library, loop: TurnLoop) {
    this.library = library
    this.loop = loop
  }

  /** The model whose calls are steps; one that is wrapped already stays as it is. */
  readonly wrap = (model: LanguageModel): LanguageModel => {
    const known = this.wrapped.get(model)
    if (known !== undefined) return known
    if (typeof model !== "string" && this.own.has(model.supportedUrls)) return model
    const resolved: Resolved = typeof model === "string" ? this.library.gateway(model) : model
    const wrapped = this.library.wrapLanguageModel({
      model: resolved,
      middleware: {
        specificationVersion: "v4",
        wrapStream: async ({ model, params }) => ({ stream: streamOf(await this.call(model, params, "stream")) }),
        wrapGenerate: async ({ model, params }) => ({ ...await this.call(model, params, "generate"), warnings: [] })
      }
    })
    this.wrapped.set(model, wrapped)
    this.wrapped.set(wrapped, wrapped)
    return wrapped
  }

  /** A model of the app, whose calls are steps already. */
  readonly ofApp = (name?: string): LanguageModelV4 => {
    const own = this.loop.model(name)
    const call = async (params: LanguageModelV4CallOptions) => rebuilt(await this.loop.ask(own, askedOf(params)))
    // The model of the app fetches files that its provider does not.
    const supportedUrls = { "*/*": [/^/u] }
    this.own.add(supportedUrls)
    return {
      specificationVersion: "v4",
      provider: own.provider,
      modelId: own.model,
      supportedUrls,
      doGenerate: async (params) => ({ ...await call(params), warnings: [] }),
      doStream: async (params) => ({ stream: streamOf(await call(params)) })
    }
  }

  private async call(model: LanguageModelV4, params: LanguageModelV4CallOptions, how: "stream" | "generate") {
    const reply = await this.loop.callModel({
      model: model.modelId,
      provider: model.provider.split(".")[0],
      prompt: promptOf(params.prompt),
      tools: params.tools,
      maxOutputTokens: params.maxOutputTokens,
      send: ({ maxOutputTokens, prompt }) => {
        const answer = new Answer(this.used)
        const options = {
          ...params,
          ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
          ...(prompt === undefined ? {} : { prompt: toPrompt(prompt, { names: makeNames([]), idOf: (id) => id }) })
        }
        const parts = how === "stream" ? streamed(model, options, answer) : generated(model, options, answer)
        return { parts, native: () => answer.stored }
      }
    })
    for (const part of reply.parts) if (part.type === "tool-call") this.used.add(part.id)
    // cast: what is stored as native is what `Answer` made.
    return reply.native === undefined ? rebuilt(reply) : reply.native as unknown as Stored
  }
}

const askedOf = (
  { maxOutputTokens, prompt, responseFormat, toolChoice, tools = [], ...params }: LanguageModelV4CallOptions
): RuntimeModel.Asked => {
  const { abortSignal: _abortSignal, includeRawChunks: _includeRawChunks, ...settings } = params
  return {
    prompt: promptOf(prompt),
    tools: tools.flatMap((tool) =>
      tool.type === "function"
        ? [{ name: tool.name, description: tool.description, parameters: tool.inputSchema }]
        : []
    ),
    toolChoice: toolChoice?.type === "tool" ? { tool: toolChoice.toolName } : toolChoice?.type,
    answer: responseFormat?.type === "json" ? responseFormat.schema : undefined,
    maxOutputTokens,
    settings
  }
}

const thrown = (cause: unknown) => new Thrown({ cause })

const streamed = (model: LanguageModelV4, options: LanguageModelV4CallOptions, answer: Answer) =>
  Stream.unwrap(
    Effect.map(
      Effect.tryPromise({
        try: async (signal) => (await model.doStream(withSignal(options, signal))).stream,
        catch: thrown
      }),
      (stream) => Stream.fromReadableStream({ evaluate: () => stream, onError: thrown })
    )
  ).pipe(
    Stream.mapEffect((part: LanguageModelV4StreamPart) =>
      part.type === "error" ? Effect.fail(thrown(part.error)) : Effect.succeed(answer.take(part))
    ),
    flattened
  )

const generated = (model: LanguageModelV4, options: LanguageModelV4CallOptions, answer: Answer) =>
  Stream.unwrap(
    Effect.map(
      Effect.tryPromise({
        try: async (signal) => model.doGenerate(withSignal(options, signal)),
        catch: thrown
      }),
      ({ content, finishReason, providerMetadata, usage }) =>
        Stream.fromIterable([
          ...content.flatMap((part) => answer.add(part)),
          ...answer.take({
            type: "finish",
            finishReason,
            usage,
            ...(providerMetadata === undefined ? {} : { providerMetadata })
          })
        ])
    )
  )

const withSignal = (options: LanguageModelV4CallOptions, signal: AbortSignal): LanguageModelV4CallOptions => ({
  ...options,
  abortSignal: options.abortSignal === undefined ? signal : AbortSignal.any([options.abortSignal, signal])
})
