import type { Schema } from "effect"
import * as SchemaIssue from "effect/SchemaIssue"
import { InvalidPayload } from "../RunError.ts"

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** What is wrong with a value, place by place, in words for whoever sent it. */
export const issuesOf = (error: Schema.SchemaError) =>
  format(error.issue).issues.map((issue) => ({
    path: (issue.path ?? []).map((part) => String(typeof part === "object" ? part.key : part)),
    message: issue.message
  }))

/** How deep a value from outside may nest: everything that reads or writes it later does so by recursion. */
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
