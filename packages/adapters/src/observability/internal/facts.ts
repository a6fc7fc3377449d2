// The common parts of the profiles of vendors: attributes that several of them read, and metadata of a run.
import type { Schema } from "effect"
import type { SpanFacts } from "../Destination.ts"

/** The ids of a span's run, for a vendor's metadata. */
export const metadataOf = ({ run }: SpanFacts): Readonly<Record<string, string>> =>
  run === undefined ? {} : {
    run_id: run.runId,
    ...(run.agent === undefined ? {} : { agent: run.agent }),
    ...(run.tenant === undefined ? {} : { tenant: run.tenant }),
    ...(run.session === undefined ? {} : { session_id: run.session }),
    ...(run.user === undefined ? {} : { user_id: run.user })
  }

/** The same under a prefix. */
export const prefixed = (prefix: string, values: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [`${prefix}${key}`, value]))

/** An attribute that is text. */
export const textOf = ({ attributes }: SpanFacts, key: string): string | undefined => {
  const value = attributes.get(key)
  return typeof value === "string" ? value : undefined
}

/** An attribute that is a number. */
export const countOf = ({ attributes }: SpanFacts, key: string): number | undefined => {
  const value = attributes.get(key)
  return typeof value === "number" ? value : undefined
}

/** The input and the output of a span, where content is exported. */
export const contentOf = (span: SpanFacts) =>
  span.operation === "tool"
    ? { input: textOf(span, "gen_ai.tool.call.arguments"), output: textOf(span, "gen_ai.tool.call.result") }
    : { input: textOf(span, "gen_ai.input.messages"), output: textOf(span, "gen_ai.output.messages") }

/** The provider under its name of earlier conventions, which some vendors still read. */
export const provider = (span: SpanFacts): Readonly<Record<string, Schema.Json | undefined>> => ({
  "gen_ai.system": textOf(span, "gen_ai.provider.name")
})
