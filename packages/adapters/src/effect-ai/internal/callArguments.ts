// Reads the arguments of a tool call as a model gave them. Text that is no JSON object is broken: the model gets the reason,
// since a call with other arguments than it meant could do harm.
import { Predicate, type Schema } from "effect"
import { fromText, toJson } from "../../adapter/Json.ts"

export interface Arguments {
  readonly arguments: Schema.Json
  /** Why they cannot be read. */
  readonly broken?: string
}

/** The arguments of a call; missing ones are an empty object, and an object written as text is that object. */
export const argumentsOf = (params: unknown): Arguments => {
  if (typeof params !== "string") return { arguments: toJson(params ?? {}) }
  if (params.trim() === "") return { arguments: {} }
  const read = fromText(params)
  return Predicate.isObject(read) && !Array.isArray(read)
    ? { arguments: read }
    : { arguments: params, broken: "The arguments are not a JSON object. Send the whole call again, with valid JSON." }
}

/** The arguments of a call that did not arrive to its end. */
export const cutArguments = (text: string): Arguments => ({
  arguments: text,
  broken: "The arguments were cut off before their end. Send the whole call again, with shorter arguments."
})
