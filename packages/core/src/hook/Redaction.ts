/**
 * A built-in guard that keeps secrets, and personal data when asked to, out of what runs say.
 *
 * @since 0.1.0
 */
import { Effect, type Layer, Result, Schema } from "effect"
import * as Base64 from "effect/encoding/Base64"
import * as Content from "../run/Content.ts"
import * as Hook from "./Hook.ts"
import { holdFrom, isOneWord } from "./internal/redactionBuffer.ts"
import { find } from "./internal/redactions.ts"
import * as Swallowing from "./internal/swallowing.ts"

/** Credentials that are known by their shape; all of them are redacted unless said otherwise. @category models @since 0.1.0 */
export type Secret =
  | "api-key"
  | "aws-key"
  | "bearer"
  | "jwt"
  | "private-key"
  | "url-password"

/** Personal data; none of it is redacted unless asked for. @category models @since 0.1.0 */
export type Pii = "email" | "phone" | "card" | "iban" | "ssn" | "ip"

/**
 * The kinds of data to redact. `patterns` are your own, by name; one of a streamed text has to be free of white space.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly secrets?: boolean | ReadonlyArray<Secret>
  readonly pii?: boolean | ReadonlyArray<Pii>
  readonly patterns?: Readonly<Record<string, RegExp>>
}

/**
 * Redacts a text, for logs and anything else that is not said by a run.
 *
 * @category combinators
 * @since 0.1.0
 */
export const redact = (text: string, options: Options = {}): string => redactTo(text, text.length, find(options)(text))

/**
 * Redacts every string in a JSON value; gives the same value back when there was nothing to redact.
 *
 * @category combinators
 * @since 0.1.0
 */
export const redactJson = (value: Schema.Json, options: Options = {}): Schema.Json => inJson(value, find(options))

/**
 * The guard itself, for a hook of your own.
 *
 * **Details**
 *
 * It holds back the part of a streamed text that may still become something to redact: as a rule the word that is being
 * said.
 *
 * @category constructors
 * @since 0.1.0
 */
export const guard = (options: Options = {}): Hook.Guard => {
  const search = find(options)
  const grouped = options.pii !== undefined && options.pii !== false
  const text = (text: string, ended: boolean): Hook.Passed => {
    const swallowing = Swallowing.fromHeld(text)
    if (swallowing !== undefined && search.names.has(swallowing.name)) {
      const rest = Swallowing.after(swallowing)
      const redacted = `[redacted: ${swallowing.name}]`
      if (rest === undefined) {
        return ended
          ? { out: redacted, held: "" }
          : { out: "", held: Swallowing.toHeld(swallowing) }
      }
      const passed = look(rest, ended)
      return { out: redacted + passed.out, held: passed.held }
    }
    return look(text, ended)
  }
  const look = (text: string, ended: boolean): Hook.Passed => {
    if (!ended && isOneWord(text)) return { out: "", held: text }
    const found = search(text)
    const open = ended ? undefined : Swallowing.openMatch(text, found)
    if (open !== undefined) {
      return {
        out: redactTo(text, open.start, found),
        held: Swallowing.toHeld({ name: open.name, text: text.slice(open.start) })
      }
    }
    const until = ended ? text.length : holdFrom(text, found, grouped)
    return { out: redactTo(text, until, found), held: text.slice(until) }
  }
  return {
    text: (piece, { ended }) => Effect.succeed(text(piece, ended)),
    value: (value) => Effect.succeed(inJson(value, search))
  }
}

/**
 * The hook: put it on an app or an agent, and provide `Redaction.layer`.
 *
 * @category services
 * @since 0.1.0
 */
export class Redaction extends Hook.make("redaction") {}

/**
 * Secrets are redacted, personal data is not, unless `options` say otherwise.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Hook.Handler<"redaction">> =>
  Redaction.toLayer({ output: guard(options) })

const redactTo = (text: string, until: number, found: ReturnType<ReturnType<typeof find>>) => {
  let out = ""
  let at = 0
  for (const { end, name, start } of found) {
    if (end > until) break
    out += `${text.slice(at, start)}[redacted: ${name}]`
    at = end
  }
  return at === 0 && until === text.length ? text : out + text.slice(at, until)
}

/** A secret that is split among the neighbouring texts of a list, or of the parts of a message. */
const joined = (items: ReadonlyArray<Schema.Json>, search: ReturnType<typeof find>): ReadonlyArray<Schema.Json> => {
  const texts = items.map(textOf)
  if (texts.filter((text) => text !== undefined).length < 2) return items
  const whole = texts.map((text) => text ?? "\n").join("")
  const found = search(whole)
  if (found.length === 0) return items
  let at = 0
  return items.map((item, index) => {
    const text = texts[index]
    const start = at
    at += text?.length ?? 1
    if (text === undefined) return item
    const end = at
    const split = found.filter((one) => one.start < end && one.end > start && (one.start < start || one.end > end))
    if (split.length === 0) return item
    let out = ""
    let from = start
    for (const one of split) {
      out += `${whole.slice(from, Math.max(from, one.start))}[redacted: ${one.name}]`
      from = Math.min(end, one.end)
    }
    out += whole.slice(from, end)
    return typeof item === "string" ? out : { ...Object(item), text: out }
  })
}

const textOf = (item: Schema.Json): string | undefined =>
  typeof item === "string"
    ? item
    : item !== null && typeof item === "object" && "text" in item && typeof item["text"] === "string"
    ? item["text"]
    : undefined

/** A file is not text, and its id is no secret: only short bytes, and those of text, are looked through. */
const inFile = (
  key: "bytes" | "fileId",
  item: Schema.Json,
  mediaType: Schema.Json | undefined,
  search: ReturnType<typeof find>
): Schema.Json => {
  if (!isMediaType(mediaType) || typeof item !== "string") return inJson(item, search)
  if (key === "fileId") return isFileId(item) ? item : inJson(item, search)
  if (!isBase64(item)) return inJson(item, search)
  if (/^(text\/|application\/([\w.-]+\+)?(json|xml)\b)/iu.test(mediaType)) {
    const text = Result.getOrElse(Base64.decodeString(item), () => "")
    const redacted = redactTo(text, text.length, search(text))
    if (redacted !== text) return Base64.encode(redacted)
  }
  if (item.length > shortBytes) return item
  const redacted = redactTo(item, item.length, search(item))
  return redacted === item ? item : Base64.encode(redacted)
}

const isMediaType = Schema.is(Content.MediaType)
const isFileId = Schema.is(Content.FileId)
const isBase64 = Schema.is(Schema.String.check(Schema.isBase64()))

/** A longer text in base64 has no secret as it stands, but may have letters in it that look like one. */
const shortBytes = 1_000

const inJson = (value: Schema.Json, search: ReturnType<typeof find>): Schema.Json => {
  if (typeof value === "string") return redactTo(value, value.length, search(value))
  if (value === null || typeof value !== "object") return value
  if (Array.isArray(value)) {
    const items: ReadonlyArray<Schema.Json> = value
    const whole = joined(items, search)
    const passed = whole.map((item) => inJson(item, search))
    return passed.every((item, index) => item === items[index]) ? value : passed
  }
  const entries = Object.entries(value)
  const passed = entries.map(([key, item]) =>
    [
      redactTo(key, key.length, search(key)),
      (key === "bytes" || key === "fileId")
        ? inFile(key, item, entries.find(([key]) => key === "mediaType")?.[1], search)
        : inJson(item, search)
    ] as const
  )
  return passed.every(([key, item], index) => key === entries[index]?.[0] && item === entries[index][1])
    ? value
    : Object.fromEntries(passed)
}
