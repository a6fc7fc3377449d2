// The words of providers about a prompt that is too long, and words that are about something else.
import { assert, describe, it } from "@effect/vitest"
import { excessIn } from "../../../src/adapter/internal/contextWords.ts"

describe("words of providers", () => {
  for (
    const [words, excess] of [
      ["This model's maximum context length is 8,192 tokens. However, you requested 9_000 tokens", [9000, 8192]],
      ["input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length", [
        190_000,
        200_000
      ]],
      ["the request (5000 tokens) exceeds the available context size (4096 tokens)", [5000, 4096]],
      ["The input token count of the request exceeds the maximum number of tokens allowed (1048576).", [
        undefined,
        1_048_576
      ]],
      ["litellm.ContextWindowExceededError: BedrockException", [undefined, undefined]],
      ["Input is too long for requested model.", [undefined, undefined]]
    ] as const
  ) {
    it(`"${words}" is about a prompt that is too long`, () => {
      const { contextWindow, inputTokens } = excessIn(words) ?? assert.fail("no match")
      assert.deepStrictEqual([inputTokens, contextWindow], [...excess])
    })
  }

  for (
    const words of [
      "max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens",
      "Request too large for gpt-5 on tokens per min (TPM): Limit 30000, Requested 60000.",
      "Rate limit reached: too many tokens per minute",
      "Invalid 'messages[1].content': string too long. Expected a string with maximum length 10485760",
      "tools.0.name: string is too long",
      "context deadline exceeded",
      "the model is overloaded"
    ]
  ) {
    it(`"${words}" is about something else`, () => assert.isUndefined(excessIn(words)))
  }
})
