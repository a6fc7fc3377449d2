/**
 * Bounds for the tokens of a call, before a provider has counted them. All but `fewest` are upper bounds.
 *
 * A token of a byte-level tokenizer stands for one byte or more, so a text has no more tokens than UTF-8 bytes. The
 * overhead that providers add around messages and tools is counted with its known maximum.
 *
 * @since 0.1.0
 */
import type { Prompt } from "effect/ai/Prompt"
import type * as PromptModule from "effect/ai/Prompt"
import { toJson } from "./Json.ts"

const encoder = new TextEncoder()

const perMessage = 16
const perPart = 16
const forTools = 1_000
/** The highest known token cost of one image; content behind a URL is counted as an image too. */
const perImage = 50_000

/** Bytes of a text in UTF-8. @category accessors @since 0.1.0 */
export const ofText = (text: string): number => encoder.encode(text).length

/** Bytes of a value as JSON. @category accessors @since 0.1.0 */
export const ofJson = (value: unknown): number => ofText(JSON.stringify(toJson(value)))

const ofPart = (part: PromptModule.Part): number => {
  switch (part.type) {
    case "text":
    case "reasoning":
      return ofText(part.text)
    case "file":
      return part.data instanceof URL || part.mediaType.startsWith("image/") ? perImage : part.data.length
    case "tool-call":
      return ofText(part.name) + ofJson(part.params)
    case "tool-result":
      return ofText(part.name) + ofJson(part.result) + ofJson(part.modelOutput)
    default:
      return ofJson(part)
  }
}

/** English text, code and JSON have no fewer tokens than one for so many bytes. */
const mostBytesPerToken = 5

const bytesOfPart = (part: PromptModule.Part): number => part.type === "file" ? 0 : ofPart(part)

/**
 * The tokens that messages and declarations of tools have at the least: an estimate, which counts no files and no overhead.
 * A prompt that is too long by it is too long for any tokenizer.
 *
 * @category accessors
 * @since 0.1.0
 */
export const fewest = (messages: ReadonlyArray<PromptModule.Message>, tools: ReadonlyArray<unknown> = []): number => {
  let bytes = 0
  for (const tool of tools) bytes += ofJson(tool)
  for (const { content } of messages) {
    if (typeof content === "string") bytes += ofText(content)
    else for (const part of content) bytes += bytesOfPart(part)
  }
  return Math.ceil(bytes / mostBytesPerToken)
}

/** A prompt with the declarations of its tools. @category accessors @since 0.1.0 */
export const ofPrompt = (prompt: Prompt, tools: ReadonlyArray<unknown> = []): number => {
  let count = tools.length === 0 ? 0 : forTools
  for (const tool of tools) count += perMessage + ofJson(tool)
  for (const { content } of prompt.content) {
    count += perMessage
    if (typeof content === "string") count += ofText(content)
    else for (const part of content) count += perPart + ofPart(part)
  }
  return count
}
