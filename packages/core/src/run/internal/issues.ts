// Turns schema failures into the issues of InvalidPayload, and bounds the nesting of inputs; every edge uses it.
import type { Schema } from "effect"
import * as SchemaIssue from "effect/SchemaIssue"
import { InvalidPayload } from "../RunError.ts"

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** The faults of a value, each with its path, in words for its sender. */
export const issuesOf = (error: Schema.SchemaError) =>
  format(error.issue).issues.map((issue) => ({
    path: (issue.path ?? []).map((part) => String(typeof part === "object" ? part.key : part)),
    message: issue.message
  }))

/** The deepest nesting of a value from outside: later readers and writers recurse into it. */
const depthLimit = 256

export const tooDeep = (value: unknown): boolean => {
  let level = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > depthLimit) return true
    level = level.flatMap((part) => typeof part === "object" && part !== null ? Object.values(part) : [])
  }
  return false
}

export const nestedTooDeeply = (target: string) =>
  new InvalidPayload({ target, issues: [{ path: [], message: `nested deeper than ${depthLimit} levels` }] })
