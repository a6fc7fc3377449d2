/**
 * A deterministic language model that needs neither key nor network.
 *
 * It plans tool calls from the tools' names, descriptions and JSON schemas and the words of the question, and answers in
 * prose rendered from the tool results, so that a whole tool loop runs on any machine.
 *
 * @since 0.1.0
 */
import { type Duration, Effect, Layer, Stream } from "effect"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import * as Telemetry from "effect/ai/Telemetry"
import { OutputMode } from "../adapter/OutputMode.ts"
import * as Conversation from "./internal/conversation.ts"
import { instanceOf } from "./internal/instance.ts"
import { plan } from "./internal/planner.ts"
import { render } from "./internal/renderer.ts"
import { countTokens, type Reply, toParts, toStreamParts, wordsOf } from "./internal/reply.ts"
import { shapeOf } from "./internal/toolShape.ts"

/**
 * The services an offline model provides.
 *
 * @category models
 * @since 0.1.0
 */
export type Services = LanguageModel.LanguageModel | Model.ProviderName | Model.ModelName

/**
 * How an offline model behaves.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The pause before each streamed part, to watch streaming or to have time to cancel. */
  readonly pause?: Duration.Input | undefined
}

const provider = "offline"
const modelId = "offline-planner"

const answer = (options: LanguageModel.ProviderOptions): Reply => {
  const conversation = Conversation.read(options.prompt)
  const position = conversation.exchanges.length
  const reply = {
    id: `offline_${options.prompt.content.length}`,
    modelId,
    inputTokens: countTokens(conversation.size)
  }
  const say = (text: string): Reply => ({
    ...reply,
    texts: wordsOf(text),
    calls: [],
    reason: "stop",
    outputTokens: countTokens(text.length)
  })
  if (options.responseFormat.type === "json") {
    const { jsonSchema } = LanguageModel.defaultCodecTransformer(options.responseFormat.schema)
    return say(JSON.stringify(instanceOf(jsonSchema, conversation)))
  }
  const { toolChoice } = options
  const shapes = options.tools
    .filter((tool) =>
      toolChoice !== "none" &&
      (typeof toolChoice === "string" || !("tool" in toolChoice) || tool.name === toolChoice.tool)
    )
    .map(shapeOf)
  const next = plan(conversation, shapes)
  if (next._tag !== "Call") return say(render(next, conversation, shapes))
  return {
    ...reply,
    texts: [],
    calls: [{ id: `call_${position + 1}`, name: next.tool, params: next.params }],
    reason: "tool-calls",
    outputTokens: countTokens(next.tool.length + JSON.stringify(next.params).length)
  }
}

const answerTo = (options: LanguageModel.ProviderOptions): Effect.Effect<Reply> =>
  Effect.sync(() => {
    const reply = answer(options)
    Telemetry.addGenAIAnnotations(options.span, {
      provider: { name: provider },
      operation: { name: "chat" },
      request: { model: modelId },
      response: { id: reply.id, model: modelId, finishReasons: [reply.reason] },
      usage: { inputTokens: reply.inputTokens, outputTokens: reply.outputTokens }
    })
    return reply
  })

/**
 * Makes an offline model.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Effect.Effect<LanguageModel.LanguageModel> =>
  LanguageModel.make({
    generateText: (request) => Effect.map(answerTo(request), toParts),
    streamText: (request) => {
      const parts = Stream.fromIterableEffect(Effect.map(answerTo(request), toStreamParts)).pipe(Stream.rechunk(1))
      const { pause } = options
      return pause === undefined ? parts : Stream.tap(parts, () => Effect.sleep(pause))
    }
  })

/**
 * Provides an offline model with options.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (options: Options): Layer.Layer<Services> =>
  Model.make(
    provider,
    modelId,
    Layer.merge(Layer.effect(LanguageModel.LanguageModel, make(options)), Layer.succeed(OutputMode, "json"))
  )

/**
 * Provides an offline model.
 *
 * **When to use**
 *
 * Use for examples, tests and machines without a provider key. It understands short English requests only.
 *
 * **Gotchas**
 *
 * It repeats no successful call: it makes a lookup again only after a change, and never makes a change with the same
 * arguments a second time.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Services> = layerWith({})
