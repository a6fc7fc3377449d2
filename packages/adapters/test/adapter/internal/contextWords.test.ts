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
      ["Input is too long for requested model.", [undefined, undefined]],
      ["invalid params, context window exceeds limit (2013)", [undefined, undefined]],
      ["Invalid request: Your request exceeded model token limit: 262144 (requested: 291351)", [291_351, 262_144]],
      ["InternalError.Algo.InvalidParameter: Range of input length should be [1, 202745]", [undefined, undefined]],
      ["Input validation error: `inputs` must have less than 4095 tokens. Given: 5000", [5000, undefined]],
      [
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 100",
        [5000, undefined]
      ],
      ["too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4234", [4234, undefined]],
      ["too many tokens: size limit exceeded by 11326 tokens. Try using shorter or fewer inputs", [
        undefined,
        undefined
      ]],
      ["Unable to submit request because the input token count is 32825 but model only supports up to 32768", [
        32_825,
        32_768
      ]],
      ["prompt token count of 9000 exceeds the limit of 8000", [9000, undefined]],
      ["Input length 9000 exceeds maximum input length 8000", [9000, undefined]],
      ["Request body too large for gpt-4o model. Max size: 8000 tokens.", [undefined, undefined]]
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
      "the model is overloaded",
      "too many tokens: the limit of your organization is 30000 tokens per minute",
      "Request body too large: Max size: 20 MB",
      "Invalid input: string exceeds maximum length 100",
      "the number of input tokens per minute exceeds your limit",
      "Range of max_tokens should be [1, 8192]"
    ]
  ) {
    it(`"${words}" is about something else`, () => assert.isUndefined(excessIn(words)))
  }
})
