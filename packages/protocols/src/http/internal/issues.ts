// Schema errors as text for people, in problem details and WebSocket errors.
import type { Schema } from "effect"
import * as SchemaIssue from "effect/SchemaIssue"

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** The issues of a value with their paths, each message in one line. */
export const issuesOf = (error: Schema.SchemaError) =>
  format(error.issue).issues.map(({ message, path = [] }) => ({
    path: path.map((part) => String(typeof part === "object" ? part.key : part)),
    message: message.replaceAll(/\s*\n\s*/gu, " ")
  }))

/** All issues in one line. */
export const summaryOf = (error: Schema.SchemaError): string =>
  issuesOf(error).map(({ message, path }) => path.length === 0 ? message : `${path.join(".")}: ${message}`).join("; ")
