import type { LanguageModelV4CallOptions, LanguageModelV4StreamPart } from "@ai-sdk/provider"
import { simulateReadableStream } from "ai"
import { MockLanguageModelV4 } from "ai/test"
import type { Play, Turn } from "../../src/adapter-contract.ts"

type AnyTurn = Pick<Turn, "texts" | "usage"> & {
  readonly calls: ReadonlyArray<{ readonly id: string; readonly name: string; readonly args: object }>
}

const partsOf = ({ calls, texts, usage }: AnyTurn): Array<LanguageModelV4StreamPart> => [
  { type: "text-start", id: "1" },
  ...texts.map((delta) => ({ type: "text-delta" as const, id: "1", delta })),
  { type: "text-end", id: "1" },
  ...calls.flatMap(({ args, id, name }) => [
    { type: "tool-input-start" as const, id, toolName: name },
    { type: "tool-input-delta" as const, id, delta: JSON.stringify(args) },
    { type: "tool-input-end" as const, id },
    { type: "tool-call" as const, toolCallId: id, toolName: name, input: JSON.stringify(args) }
  ]),
  {
    type: "finish",
    finishReason: { unified: calls.length === 0 ? "stop" : "tool-calls", raw: undefined },
    usage: {
      inputTokens: { total: usage.inputTokens, noCache: undefined, cacheRead: undefined, cacheWrite: undefined },
      outputTokens: { total: usage.outputTokens, text: undefined, reasoning: undefined }
    }
  }
]

/** A model of the AI SDK that answers with turns; `answers` counts its own before. */
export const languageModel = (
  answer: (answers: number, options: LanguageModelV4CallOptions) => AnyTurn | PromiseLike<AnyTurn>
) =>
  new MockLanguageModelV4({
    provider: "play",
    modelId: "play-1",
    doStream: async (options) => {
      const answers = options.prompt.filter(({ role }) => role === "assistant").length
      return { stream: simulateReadableStream({ chunks: partsOf(await answer(answers, options)) }) }
    }
  })

export const playLanguageModel = (play: Play) =>
  languageModel((answers, { abortSignal, prompt }) => play.answer(answers, JSON.stringify(prompt), abortSignal))
