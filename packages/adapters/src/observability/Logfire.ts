/**
 * Traces in Pydantic Logfire, with the spans of the door and the store.
 *
 * @since 0.1.0
 */
import { Effect, Redacted } from "effect"
import { join, text, whenSet } from "../services/internal/variables.ts"
import * as Destination from "./Destination.ts"
import { provider } from "./internal/facts.ts"

/** @category options @since 0.1.0 */
export interface Options extends Destination.Common {
  /** A write token. */
  readonly token: Redacted.Redacted
  /** Default `https://logfire-us.pydantic.dev`; `https://logfire-eu.pydantic.dev` for a project in the EU. */
  readonly baseUrl?: string | undefined
}

const shown = ["gen_ai.system_instructions", "gen_ai.input.messages", "gen_ai.output.messages"]

/** @category constructors @since 0.1.0 */
export const make = (
  { baseUrl = "https://logfire-us.pydantic.dev", timeout, token }: Options
): Destination.Destination =>
  Destination.make({
    name: "logfire",
    url: join(baseUrl, "/v1/traces"),
    timeout,
    // The token stands there without a scheme.
    headers: { authorization: Redacted.make(Redacted.value(token)) },
    attributes: (span) => {
      const arrays = shown.filter((key) => span.attributes.has(key))
      return {
        ...provider(span),
        // Logfire shows text as JSON when the schema of a span says so.
        "logfire.json_schema": arrays.length === 0
          ? undefined
          : JSON.stringify({
            type: "object",
            properties: Object.fromEntries(arrays.map((key) => [key, { type: "array" }]))
          })
      }
    }
  })

/** On when `LOGFIRE_TOKEN` is set, with `LOGFIRE_BASE_URL`. @category constructors @since 0.1.0 */
export const fromConfig: Destination.FromConfig = whenSet(
  "LOGFIRE_TOKEN",
  (token) =>
    Effect.map(text("https://logfire-us.pydantic.dev", "LOGFIRE_BASE_URL"), (baseUrl) => make({ token, baseUrl }))
)
