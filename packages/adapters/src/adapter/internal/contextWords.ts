// Reads from a provider's words that a prompt is longer than its model reads: providers have no code for it in common, and
// most answer 400. The model loop, the bridge and the adapters of frameworks ask it; other limits of tokens are no match.

/** The words and codes of providers and servers. */
const words: ReadonlyArray<RegExp> = [
  // OpenAI, Azure, Groq, DeepSeek and their like; LiteLLM's class; llama.cpp's type.
  /context[_ ]?(?:length|window|size)[_ ]?exceeded|exceed_context_size/iu,
  // OpenAI's Responses API, llama.cpp, Anthropic with its output limit, Ollama.
  /exceeds? (?:the |this model's |available )*(?:model's )?context (?:window|length|size|limit)/iu,
  // OpenAI, DeepSeek, OpenRouter, vLLM, Mistral; xAI.
  /maximum (?:context|prompt|model) length/iu,
  // Anthropic; Bedrock.
  /(?:prompt|input) is too long/iu,
  // Gemini.
  /input token count.{0,60}exceeds the maximum/iu,
  // Groq, vLLM.
  /reduce the length of (?:the|your) (?:messages|input|prompt)/iu,
  // LM Studio, Ollama.
  /context length of only \d+|(?:greater|longer) than the (?:model's )?context (?:length|window)/iu,
  // MiniMax, z.ai; Kimi; DashScope.
  /context[_ ]window[_ ]exceed(?:s limit|ed)|exceeded model token limit|range of input length should be/iu,
  // TGI, with its output limit; Cohere.
  /`inputs` (?:tokens \+ `max_new_tokens` must be|must have less than)|too many tokens: (?:size limit|total number)/iu,
  // Vertex, GitHub Copilot, TensorRT-LLM; the length of a text is no match.
  /(?:prompt|input) (?:tokens?|token count|length)(?: (?:of|is))?(?: \(?[\d,_]+\)?)? (?:exceeds?|but model only supports)\b/iu,
  // GitHub Models.
  /tokens_limit_reached|request body too large for .{1,60} max size: [\d,]+ tokens/iu
]

const number = "([\\d,_]+)"

/** How many tokens a prompt has. */
const counts = new RegExp(
  `(?:resulted in|requested(?: about|:)?|too long:|contains|request \\(|token count (?:of |is |\\()|context limit:|given:|` +
    `received|input length|request is ~) ?${number}`,
  "iu"
)

/** How many tokens the model reads. */
const limits = new RegExp(
  `(?:length (?:is|of only|of)|allowed \\(|context size \\(|token limit:|tokens \\(limit|supports up to|>) ?${number}|` +
    `model with ${number} maximum`,
  "iu"
)

const read = (pattern: RegExp, text: string): number | undefined => {
  const [, first, second] = pattern.exec(text) ?? []
  const digits = (first ?? second ?? "").replaceAll(/[,_]/gu, "")
  return digits === "" || digits.length > 12 ? undefined : Number(digits)
}

/** The counts as far as the words have them; nothing when they are about something else. */
export interface Excess {
  readonly inputTokens?: number
  readonly contextWindow?: number
}

/** The counts in a provider's words about a prompt that is too long; nothing when they are about something else. */
export const excessIn = (text: string): Excess | undefined => {
  if (!words.some((pattern) => pattern.test(text))) return undefined
  const [inputTokens, contextWindow] = [read(counts, text), read(limits, text)]
  return {
    ...(inputTokens === undefined ? {} : { inputTokens }),
    ...(contextWindow === undefined ? {} : { contextWindow })
  }
}
