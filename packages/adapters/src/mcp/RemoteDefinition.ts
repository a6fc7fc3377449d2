/**
 * The definition of a remote tool as it is pinned: all that a model reads of it, and all that decides how it is called.
 *
 * @since 0.1.0
 */
import { Option, Predicate, Schema } from "effect"
import { createHash } from "node:crypto"

const optional = Schema.optionalKey

/** The hints of a server about its tool. They are the server's word alone. @category models @since 0.1.0 */
export const Annotations = Schema.Struct({
  title: optional(Schema.String),
  readOnlyHint: optional(Schema.Boolean),
  destructiveHint: optional(Schema.Boolean),
  idempotentHint: optional(Schema.Boolean),
  openWorldHint: optional(Schema.Boolean)
})

const JsonObject = Schema.Record(Schema.String, Schema.Json)

/** @category models @since 0.1.0 */
export const Definition = Schema.Struct({
  name: Schema.NonEmptyString.check(Schema.isMaxLength(256)),
  title: optional(Schema.String),
  description: optional(Schema.String),
  inputSchema: Schema.StructWithRest(Schema.Struct({ type: Schema.Literal("object") }), [JsonObject]),
  outputSchema: optional(JsonObject),
  annotations: optional(Annotations)
})

/** @category models @since 0.1.0 */
export type Definition = typeof Definition.Type

/** A definition under its digest. @category models @since 0.1.0 */
export const Pinned = Schema.Struct({ digest: Schema.String, definition: Definition })

/** @category models @since 0.1.0 */
export type Pinned = typeof Pinned.Type

/** The pinned tools of a server, by their names at the server. @category models @since 0.1.0 */
export const Pins = Schema.Struct({ server: Schema.String, tools: Schema.Record(Schema.String, Pinned) })

/** @category models @since 0.1.0 */
export type Pins = typeof Pins.Type

/** The most characters of a definition as JSON, and the deepest that it may be nested. */
const [longest, deepest] = [128 * 1_024, 64]

const decode = Schema.decodeUnknownOption(Definition)

/** Reads what a server lists. Nothing when it is no tool that a model could call, or too large. @category conversions @since 0.1.0 */
export const fromListed = (tool: unknown): Pinned | undefined => {
  if (depthOf(tool) > deepest) return undefined
  const definition = Option.getOrUndefined(decode(tool))
  if (definition === undefined) return undefined
  const text = canonical(definition)
  return text.length > longest ? undefined : { digest: digestOf(text), definition }
}

/** The fields in which two definitions differ. @category accessors @since 0.1.0 */
export const differences = (one: Definition, other: Definition): ReadonlyArray<string> =>
  Object.keys(Definition.fields).filter((field) => canonical(pick(one, field)) !== canonical(pick(other, field)))

const pick = (definition: Definition, field: string): unknown =>
  Object.entries(definition).find(([key]) => key === field)?.[1]

const digestOf = (text: string) => `sha256-${createHash("sha256").update(text).digest("hex")}`

/** JSON with its keys in order, so that a server may list them in any. */
const canonical = (value: unknown): string =>
  JSON.stringify(
    value ?? null,
    (_, part: unknown) =>
      Predicate.isObject(part) && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => a < b ? -1 : 1))
        : part
  )

/** How deep a value is nested, counted level by level and not by recursion. */
const depthOf = (value: unknown): number => {
  let level = [value]
  for (let depth = 0;; depth++) {
    level = level.flatMap((part) => typeof part === "object" && part !== null ? Object.values(part) : [])
    if (level.length === 0 || depth > deepest) return depth
  }
}
