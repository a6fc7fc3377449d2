// Finds a provider's own words in an error of any shape: bodies of responses, events in a stream, plain text, HTML.
import { type Fields, fieldsOf, isFields, listOf, numberOf, parse, textOf } from "./fields.ts"

export interface Words {
  readonly message: string | undefined
  readonly code: string | undefined
  readonly type: string | undefined
  readonly parameter: string | undefined
  /** The time that the body asks a client to wait, in milliseconds. */
  readonly delay: number | undefined
}

const nothing: Words = { message: undefined, code: undefined, type: undefined, parameter: undefined, delay: undefined }

const messageFields = ["message", "Message", "msg", "detail", "error", "error_description", "title", "reason"]

/** The text inside a message that may be a list or an object itself. */
const sentence = (value: unknown, depth = 0): string | undefined => {
  if (depth > 5) return undefined
  if (Array.isArray(value)) {
    const texts = value.flatMap((entry) => sentence(entry, depth + 1) ?? [])
    return texts.length === 0 ? undefined : texts.join("; ")
  }
  if (!isFields(value)) return textOf(value)
  for (const name of messageFields) {
    const found = sentence(value[name], depth + 1)
    if (found !== undefined) return found
  }
  return undefined
}

const seconds = /^(\d+(?:\.\d+)?)s$/u

/** Google's `RetryInfo`. */
const delayIn = (error: Fields): number | undefined => {
  for (const detail of listOf(error.details)) {
    const [, text] = seconds.exec(textOf(fieldsOf(detail).retryDelay) ?? "") ?? []
    if (text !== undefined) return Number(text) * 1000
  }
  return undefined
}

/** A router reports the error of the provider behind it as text or as an object. */
const behind = (error: Fields): string | undefined => {
  const { raw } = fieldsOf(error.metadata)
  return raw === undefined ? undefined : wordsOf(raw).message
}

const fromFields = (body: Fields): Words => {
  const inner = isFields(body.error) ? body.error : isFields(body.detail) ? body.detail : body
  const direct = sentence(inner.message) ?? sentence(body) ?? sentence(inner)
  const origin = behind(inner)
  const type = textOf(inner.type) ?? textOf(inner.status)
  return {
    message: origin === undefined ? direct : direct === undefined ? origin : `${direct}: ${origin}`,
    code: textOf(inner.code) ?? textOf(body.code) ?? textOf(body.status_code),
    type: type === "error" || type === undefined ? textOf(inner.__type) : type,
    parameter: textOf(inner.param),
    delay: delayIn(inner)
  }
}

const oneLine = (text: string): string => text.replaceAll(/\s+/gu, " ").trim()

const fromText = (text: string): Words => {
  const trimmed = text.trim()
  if (/^[[{"]/u.test(trimmed)) {
    const parsed = parse(trimmed)
    if (parsed !== undefined) return wordsOf(parsed)
  }
  if (!trimmed.startsWith("<")) return { ...nothing, message: trimmed === "" ? undefined : oneLine(trimmed) }
  const title = /<title[^>]*>(.*?)<\/title>/isu.exec(trimmed)?.[1] ?? trimmed.replaceAll(/<[^>]*>/gu, " ")
  return { ...nothing, message: oneLine(title).slice(0, 200) || undefined }
}

/** The provider's words in an error: a body as text or parsed, or a value of a stream. */
export const wordsOf = (error: unknown): Words => {
  if (typeof error === "string") return fromText(error)
  if (Array.isArray(error)) return wordsOf(error.find(isFields) ?? error[0])
  if (error instanceof Error) return { ...nothing, message: error.message === "" ? undefined : error.message }
  return isFields(error) ? fromFields(error) : nothing
}

/** An HTTP status that an error states as its code. */
export const statusIn = ({ code }: Words): number | undefined => {
  const status = numberOf(code)
  return status !== undefined && status >= 400 && status < 600 ? Math.trunc(status) : undefined
}
