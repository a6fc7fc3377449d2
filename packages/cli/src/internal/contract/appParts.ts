// The play as tools and a model of an app; adapter-contract.ts offers them to fixtures whose agent is made of what a run gives.
// A fixture that serves several plays names the one that is performed at the time.
import { Effect, Layer, Schema, Stream } from "effect"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import type * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import type { Play, ToolName, Turn } from "./play.ts"

const parameters = Schema.Struct({ order: Schema.Int })

const toolOf = <Name extends ToolName>(name: Name) =>
  Tool.make(name, { description: name, parameters, success: Schema.String })

export const toolkit = Toolkit.make(
  toolOf("look"),
  toolOf("refund"),
  Tool.make("pay", {
    description: "pay",
    parameters,
    success: Schema.String,
    needsApproval: true
  })
)

const work = (current: () => Play, name: ToolName) => (args: { readonly order: number }) =>
  Effect.promise((signal) => {
    const play = current()
    play.injected = true
    return play.work(name, args, signal)
  })

const failed = (error: unknown) => {
  const description = error instanceof Error ? error.message : String(error)
  return AiError.make({
    module: "play",
    method: "streamText",
    reason: description.startsWith("prompt is too long")
      ? new AiError.InvalidRequestError({ description })
      : new AiError.UnknownError({ description })
  })
}

const partsOf = ({ calls, texts, usage }: Turn): Array<Response.StreamPartEncoded> => [
  { type: "text-start", id: "1" },
  ...texts.map((delta) => ({ type: "text-delta" as const, id: "1", delta })),
  { type: "text-end", id: "1" },
  ...calls.map(({ args, id, name }) => ({ type: "tool-call" as const, id, name, params: args })),
  {
    type: "finish",
    reason: calls.length === 0 ? "stop" : "tool-calls",
    usage: {
      inputTokens: { total: usage.inputTokens, uncached: undefined, cacheRead: undefined, cacheWrite: undefined },
      outputTokens: { total: usage.outputTokens, text: undefined, reasoning: undefined }
    },
    response: undefined
  }
]

const modelOf = (current: () => Play) =>
  LanguageModel.make({
    generateText: () => Effect.die(new Error("the play only streams")),
    streamText: ({ prompt: { content } }) =>
      Stream.unwrap(Effect.map(
        Effect.tryPromise({
          try: (signal) => {
            const answers = content.filter(({ role }) => role === "assistant").length
            // A question that a framework has put into a text of its own has its quotes escaped.
            return current().answer(answers, JSON.stringify(content).replaceAll("\\\"", "\""), signal)
          },
          catch: failed
        }),
        (turn) => Stream.fromIterable(partsOf(turn))
      ))
  })

/** The work of the tools. */
export const layerTools = (current: () => Play) =>
  toolkit.toLayer({ look: work(current, "look"), refund: work(current, "refund"), pay: work(current, "pay") })

/** The model, under the name of the kit's prices. */
export const layerModel = (current: () => Play) =>
  Model.make("play", "play-1", Layer.effect(LanguageModel.LanguageModel, modelOf(current)))

export const layer = (current: () => Play) => Layer.merge(layerTools(current), layerModel(current))
