// Finds the fields of an agent's payload that a message can fill: A2A skills and the chat front ends read payloads by it.
import type * as Fusion from "@fastagentic/core/app/Fusion"
import * as JsonSchema from "@fastagentic/core/base/JsonSchema"
import { Predicate, type Schema } from "effect"

/** A kind of part whose content fills a field of the payload. */
export type Filling = "text" | "raw" | "url"

export interface Field {
  readonly name: string
  readonly json: { readonly [key: string]: unknown }
  readonly required: boolean
}

/** The fields of a payload, in the order of their declaration. */
export const fieldsOf = (payload: Fusion.Document): ReadonlyArray<Field> => {
  const { $defs, properties, required } = payload
  return Object.entries(isDocument(properties) ? properties : {}).map(([name, json]) => ({
    name,
    json: resolved(json, $defs),
    required: Array.isArray(required) && required.includes(name)
  }))
}

/** A schema, or the one that it refers to. */
export const resolved = (json: Schema.Json, definitions: Schema.Json | undefined): Field["json"] => {
  if (!isDocument(json)) return {}
  return { ...(JsonSchema.targetOf(json, definitions) ?? json) }
}

const isDocument = (value: Schema.Json | undefined): value is Fusion.Document =>
  Predicate.isObject(value) && !Array.isArray(value)

/** The only one of the fields that a kind of part fills. */
export const onlyFor = (fields: ReadonlyArray<Field>, filling: Filling): string | undefined => {
  const found = fields.filter(({ json }) => fillingOf(json) === filling)
  return found.length === 1 ? found[0]?.name : undefined
}

/** The kind of part that fills a value of a schema. */
export const fillingOf = (json: Field["json"]): Filling | undefined => {
  if (json["type"] !== "string") return undefined
  if (json["contentEncoding"] === "base64") return "raw"
  return json["format"] === "uri" ? "url" : "text"
}

/** The only field whose value is a file. */
export const fileFieldOf = (agent: Pick<Fusion.Callable, "payload">): string | undefined =>
  onlyPlace(agent, (place) => place._tag === "File" && !place.isContent)

/** The only field whose value is a list of content. */
export const contentFieldOf = (agent: Pick<Fusion.Callable, "payload">): string | undefined =>
  onlyPlace(agent, (place) => place._tag === "Values" && place.each._tag === "File" && place.each.isContent)

const onlyPlace = (
  { payload: { files } }: Pick<Fusion.Callable, "payload">,
  matches: (place: Fusion.Places) => boolean
): string | undefined => {
  const found = files?._tag === "Fields" ? [...files.fields].filter(([, place]) => matches(place)) : []
  return found.length === 1 ? found[0]?.[0] : undefined
}
