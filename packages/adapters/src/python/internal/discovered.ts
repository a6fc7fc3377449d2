// Makes an agent of what the types of a Python agent say; Python.ts serves it. Its schemas are those of the worker, so that
// callers are refused at the wire.
import { Agent } from "@fastagentic/core"
import * as JsonSchema from "@fastagentic/core/base/JsonSchema"
import { Predicate, Schema } from "effect"
import { basename } from "node:path"
import type { Description } from "./frames.ts"

/** `agent.py:triage` is `triage`, and `triage.py:agent` too. */
export const nameOf = (entrypoint: string): string => {
  const at = entrypoint.lastIndexOf(":")
  const [target, attribute] = [entrypoint.slice(0, at), entrypoint.slice(at + 1)]
  const name = attribute === "agent" ? basename(target, ".py") : attribute
  return name.replaceAll(/[^A-Za-z0-9_.-]/gu, "-").slice(0, 128)
}

/** The fields of an object schema; each has the definitions of the whole. */
const fieldsOf = (
  { $defs, properties, required }: Description["input"]
): { readonly [name: string]: Agent.AnySchema } => {
  const names: ReadonlyArray<unknown> = Array.isArray(required) ? required : []
  return Object.fromEntries(
    Object.entries(Predicate.isObject(properties) ? properties : {}).map(([name, property]) => {
      const schema = JsonSchema.toSchema({
        ...(Predicate.isObject(property) ? property : {}),
        ...($defs === undefined ? {} : { $defs })
      })
      return [name, names.includes(name) ? schema : Schema.optionalKey(schema)]
    })
  )
}

const successOf = (schema: Description["output"]): Agent.AnySchema =>
  Object.keys(schema).length === 0 ? Schema.Json : JsonSchema.toSchema(schema)

/** The agent that an entrypoint is. */
export const discovered = (entrypoint: string, { description, input, kind, output }: Description) => {
  const name = nameOf(entrypoint)
  return Agent.make(name, {
    description: description === "" ? `The Python agent ${name}` : description,
    payload: fieldsOf(input),
    success: successOf(output),
    // A framework's agent reads and continues its conversation, one turn at a time.
    threads: kind === "callable" || kind === "crewai" ? "parallel" : "enqueue"
  })
}
