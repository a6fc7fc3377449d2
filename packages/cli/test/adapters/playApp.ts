// The tools and the model of an app that perform the play of the conformance kit, for agents that a factory makes.
import { Effect, Layer, Schema, Stream } from "effect"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import type * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import type { Play, ToolName, Turn } from "../../src/adapter-contract.ts"

const parameters = Schema.Struct({ order: Schema.Int })
const options = { parameters, success: Schema.String }

export const PlayTools = Toolkit.make(
  Tool.make("look", { description: "Looks.", ...options }),
  Tool.make("refund", { description: "Pays back.", ...options }),
  Tool.make("pay", { description: "Pays.", needsApproval: true, ...options })
)

const partsOf = ({ calls, texts, usage }: Turn): ReadonlyArray<Response.StreamPartEncoded> => [
  { type: "text-start", id: "text" },
  ...texts.map((delta) => ({ type: "text-delta", id: "text", delta }) as const),
  { type: "text-end", id: "text" },
  ...calls.map(({ args, id, name }) => ({ type: "tool-call", id, name, params: args }) as const),
  {
    type: "finish",
    reason: calls.length > 0 ? "tool-calls" : "stop",
    usage: {
      inputTokens: { total: usage.inputTokens, uncached: undefined, cacheRead: undefined, cacheWrite: undefined },
      outputTokens: { total: usage.outputTokens, text: undefined, reasoning: undefined }
    }
  }
]

const failed = (error: unknown) =>
  AiError.make({
    module: "play",
    method: "streamText",
    reason: new AiError.UnknownError({ description: error instanceof Error ? error.message : String(error) })
  })

/** The model under the name of the kit's prices. */
export const playModel = (current: () => Play) =>
  Layer.mergeAll(
    Layer.effect(
      LanguageModel.LanguageModel,
      LanguageModel.make({
        generateText: () => Effect.succeed([]),
        streamText: ({ prompt }) =>
          Stream.unwrap(Effect.map(
            Effect.tryPromise({
              try: (signal) =>
                current().answer(
                  prompt.content.filter(({ role }) => role === "assistant").length,
                  JSON.stringify(prompt.content).replaceAll("\\\"", "\""),
                  signal
                ),
              catch: failed
            }),
            (turn) => Stream.fromIterable(partsOf(turn))
          ))
      })
    ),
    Layer.succeed(Model.ModelName, "play-1"),
    Layer.succeed(Model.ProviderName, "play")
  )

/** The tools with their work. */
export const playTools = (current: () => Play) => {
  const work = (name: ToolName) => (args: { readonly order: number }) =>
    Effect.promise((signal) => {
      current().injected = true
      return current().work(name, args, signal)
    })
  return PlayTools.toLayer({ look: work("look"), refund: work("refund"), pay: work("pay") })
}
