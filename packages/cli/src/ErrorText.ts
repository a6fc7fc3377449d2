/**
 * Formats an error as the one line that a terminal shows.
 *
 * @since 0.1.0
 */
import { Config, Schema } from "effect"
import type * as CliError from "effect/cli/CliError"
import * as SchemaIssue from "effect/SchemaIssue"
import { relative } from "node:path"
import { fileURLToPath } from "node:url"

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** @category conversions @since 0.1.0 */
export const firstLine = (text: string): string => text.split("\n")[0] ?? text

/** A variable that does not fit, by its name; its value is not printed. @category conversions @since 0.1.0 */
export const fromConfig = ({ cause, message }: Config.ConfigError): string =>
  Schema.isSchemaError(cause)
    ? format(cause.issue).issues.map(({ message, path = [] }) => `${path.join(".")}: ${firstLine(message)}`).join("; ")
    : firstLine(message)

/** @category conversions @since 0.1.0 */
export const of = (error: unknown): string => {
  if (error instanceof Config.ConfigError) return fromConfig(error)
  return firstLine(error instanceof Error && error.message !== "" ? error.message : String(error))
}

/**
 * The place in a file of the app that a failed import or a thrown error names, such as `src/app.ts:12`.
 *
 * @category conversions
 * @since 0.1.0
 */
export const placeOf = (error: unknown): string | undefined => {
  const stack = error instanceof Error ? error.stack ?? "" : ""
  for (const [, url = "", line = ""] of stack.matchAll(/(file:\/\/[^\s()]+?):(\d+)(?::\d+)?\)?$/gmu)) {
    if (!url.includes("/node_modules/")) return `${relative(".", fileURLToPath(url))}:${line}`
  }
  return undefined
}

/** A wrong call, with the names that come near the misspelt one. @category conversions @since 0.1.0 */
export const ofUsage = (error: CliError.CliError): string => {
  const suggestions = "suggestions" in error ? error.suggestions : []
  const line = firstLine(error.message)
  return suggestions.length === 0 ? line : `${line}; did you mean ${suggestions.join(" or ")}?`
}
