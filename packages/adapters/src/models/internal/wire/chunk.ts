// Rewrites a chunk or a whole completion of any server into the form that the package's schema accepts; the stream and
// the body use it. Fields that the form does not have are dropped, so that no odd field can spoil the rest of a chunk.
import { type Fields, fieldsOf, isFields, listOf, numberOf, textOf } from "../fields.ts"

export interface Call {
  readonly index?: number | undefined
  readonly id?: string | undefined
  readonly type: "function"
  readonly function: { readonly name?: string | undefined; readonly arguments: string }
  readonly extra_content?: unknown
}

export interface Message {
  readonly role: "assistant"
  readonly content?: string | ReadonlyArray<Fields> | undefined
  readonly refusal?: string | undefined
  readonly reasoning_content?: string | undefined
  readonly tool_calls?: ReadonlyArray<Call> | undefined
}

export interface Mended {
  readonly id: string | undefined
  readonly created: number | undefined
  readonly model: string | undefined
  readonly message: Message | undefined
  readonly reason: string | undefined
  readonly usage: Fields | undefined
}

const contentPart = (part: unknown): ReadonlyArray<Fields> => {
  if (typeof part === "string") return [{ type: "text", text: part }]
  const { text, thinking, type } = fieldsOf(part)
  if (type === "thinking" || type === "reasoning") {
    const thought = reasoningText(thinking ?? text)
    return thought === undefined ? [] : [{ type: "thinking", thinking: [{ type: "text", text: thought }] }]
  }
  return typeof text === "string" ? [{ type: "text", text }] : []
}

const contentOf = (content: unknown): Message["content"] =>
  typeof content === "string" ? content : Array.isArray(content) || isFields(content)
    ? listOf(content).flatMap(contentPart)
    : textOf(content)

const reasoningText = (value: unknown): string | undefined => {
  if (Array.isArray(value)) return value.map((part) => reasoningText(part) ?? "").join("") || undefined
  if (!isFields(value)) return textOf(value)
  return reasoningText(value.text ?? value.content ?? value.summary)
}

const reasoningOf = (message: Fields): string | undefined =>
  reasoningText(message.reasoning_content) ?? reasoningText(message.reasoning) ?? reasoningText(message.thinking) ??
    reasoningText(message.reasoning_details)

/** Arguments are the text of an object; servers send the object itself, `null`, or nothing. */
const argumentsOf = (value: unknown): string =>
  typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value)

const callOf = (call: unknown): Call => {
  const { extra_content, function: called, id, index } = fieldsOf(call)
  const { arguments: given, name } = fieldsOf(called)
  const signature = textOf(fieldsOf(fieldsOf(extra_content).google).thought_signature)
  return {
    index: numberOf(index),
    id: textOf(id),
    type: "function",
    function: { name: textOf(name), arguments: argumentsOf(given) },
    ...(signature === undefined ? {} : { extra_content: { google: { thought_signature: signature } } })
  }
}

const callsOf = (message: Fields): Message["tool_calls"] => {
  const calls = listOf(message.tool_calls).map(callOf)
  const legacy = callOf({ function: message.function_call, index: 0 })
  const isEmpty = legacy.function.name === undefined && legacy.function.arguments === ""
  const all = isEmpty ? calls : [...calls, legacy]
  return all.length === 0 ? undefined : all
}

const messageOf = (choice: Fields): Message | undefined => {
  const message = isFields(choice.delta) ? choice.delta : isFields(choice.message) ? choice.message : undefined
  if (message === undefined) {
    return typeof choice.text === "string" ? { role: "assistant", content: choice.text } : undefined
  }
  return {
    role: "assistant",
    content: contentOf(message.content),
    refusal: textOf(message.refusal),
    reasoning_content: reasoningOf(message),
    tool_calls: callsOf(message)
  }
}

const reasons: { readonly [reason: string]: string } = {
  1: "stop",
  2: "length",
  3: "content_filter",
  end_turn: "stop",
  eos: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  model_length: "length",
  tool_use: "tool_calls",
  safety: "content_filter"
}

const reasonOf = (reason: unknown): string | undefined => {
  const text = textOf(reason)?.toLowerCase()
  return text === undefined ? undefined : reasons[text] ?? text
}

/** Counts written as text become numbers, also one level down; anything else that is no number is left out. */
const counts = (usage: Fields, isWhole = true): Fields =>
  Object.fromEntries(
    Object.entries(usage).flatMap(([name, value]): ReadonlyArray<readonly [string, unknown]> => {
      if (isWhole && isFields(value)) return [[name, counts(value, false)]]
      const count = numberOf(value)
      return count === undefined ? [] : [[name, count]]
    })
  )

const usageOf = (usage: unknown): Fields | undefined => {
  if (!isFields(usage)) return undefined
  const all = counts(usage)
  const details = fieldsOf(all.prompt_tokens_details)
  return {
    ...all,
    prompt_tokens: numberOf(all.prompt_tokens) ?? numberOf(all.input_tokens),
    completion_tokens: numberOf(all.completion_tokens) ?? numberOf(all.output_tokens),
    total_tokens: numberOf(all.total_tokens),
    prompt_tokens_details: {
      ...details,
      cached_tokens: details.cached_tokens ?? all.prompt_cache_hit_tokens ?? all.cache_read_input_tokens
    }
  }
}

/** The known fields of a chunk or a completion, with the types that they should have. */
export const mend = (value: Fields): Mended => {
  const choice = fieldsOf(listOf(value.choices)[0])
  return {
    id: textOf(value.id),
    created: numberOf(value.created),
    model: textOf(value.model),
    message: messageOf(choice),
    reason: reasonOf(choice.finish_reason),
    usage: usageOf(value.usage ?? fieldsOf(value.x_groq).usage)
  }
}

/** Choices are a list, an object, or not there; a chunk of another kind is no part of an answer. */
export const isChunk = (value: unknown): boolean =>
  !isFields(value) || value.choices === undefined || value.choices === null || typeof value.choices === "object"

/** The error that a chunk or a completion holds in place of an answer. */
export const errorIn = (value: unknown, event = "message"): unknown => {
  if (!isFields(value)) {
    return Array.isArray(value) || typeof value === "string" || event === "error"
      ? value
      : undefined
  }
  if (value.error !== undefined && value.error !== null && value.error !== false) return value
  const choice = fieldsOf(listOf(value.choices)[0])
  if (choice.error !== undefined && choice.error !== null) return { error: choice.error }
  const isError = event === "error" || value.type === "error" || value.object === "error"
  const isRefusal = value.choices === undefined && (value.detail !== undefined || textOf(value.message) !== undefined)
  return isError || isRefusal ? value : undefined
}
