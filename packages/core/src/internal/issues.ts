import type { Schema } from "effect"
import * as SchemaIssue from "effect/SchemaIssue"

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** What is wrong with a value, place by place, in words for whoever sent it. */
export const issuesOf = (error: Schema.SchemaError) =>
  format(error.issue).issues.map((issue) => ({
    path: (issue.path ?? []).map((part) => String(typeof part === "object" ? part.key : part)),
    message: issue.message
  }))
