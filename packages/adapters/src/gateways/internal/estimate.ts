// Estimates the tokens of a call before it is made; the usage of its answer corrects it.
import type * as Prompt from "effect/ai/Prompt"

/** An answer is taken to be so long. */
const answer = 500

/** Four characters are taken as one token. */
export const estimateOf = ({ content }: Prompt.Prompt): number => {
  let characters = 0
  for (const message of content) {
    if (typeof message.content === "string") characters += message.content.length
    else {
      for (const part of message.content) {
        characters += part.type === "text" || part.type === "reasoning"
          ? part.text.length
          : part.type === "tool-result"
          ? (JSON.stringify(part.result) ?? "").length
          : 0
      }
    }
  }
  return Math.ceil(characters / 4) + answer
}
