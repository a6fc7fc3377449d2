/**
 * A built-in guard that keeps secrets, and personal data when asked to, out of what runs say.
 *
 * @since 0.1.0
 */
import { Effect, type Layer, type Schema } from "effect"
import * as Hook from "./Hook.ts"
import { holdFrom, shortened } from "./internal/redactionBuffer.ts"
import { find } from "./internal/redactions.ts"

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
 * Of a streamed text it holds back what may still become something to redact: as a rule the word that is being said.
 *
 * @category constructors
 * @since 0.1.0
 */
export const guard = (options: Options = {}): Hook.Guard => {
  const search = find(options)
  const grouped = options.pii !== undefined && options.pii !== false
  return {
    text: (text, { ended }) => {
      const found = search(text)
      const until = ended ? text.length : holdFrom(text, found, grouped)
      return Effect.succeed({ out: redactTo(text, until, found), held: shortened(text.slice(until)) })
    },
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

const inJson = (value: Schema.Json, search: ReturnType<typeof find>): Schema.Json => {
  if (typeof value === "string") return redactTo(value, value.length, search(value))
  if (value === null || typeof value !== "object") return value
  if (Array.isArray(value)) {
    const items: ReadonlyArray<Schema.Json> = value
    const passed = items.map((item) => inJson(item, search))
    return passed.every((item, index) => item === items[index]) ? value : passed
  }
  const entries = Object.entries(value)
  const passed = entries.map(([key, item]) => [redactTo(key, key.length, search(key)), inJson(item, search)] as const)
  return passed.every(([key, item], index) => key === entries[index]?.[0] && item === entries[index][1])
    ? value
    : Object.fromEntries(passed)
}
