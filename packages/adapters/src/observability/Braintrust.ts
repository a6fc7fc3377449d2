/**
 * Traces in Braintrust.
 *
 * @since 0.1.0
 */
import { Effect, Redacted } from "effect"
import { join, text, whenSet } from "../services/internal/variables.ts"
import * as Destination from "./Destination.ts"
import { contentOf, metadataOf } from "./internal/facts.ts"

/** @category options @since 0.1.0 */
export interface Options extends Destination.Common {
  readonly apiKey: Redacted.Redacted
  /** The owner of traces: `project_name:…`, `project_id:…` or `experiment_id:…`. */
  readonly parent: string
  /** Default `https://api.braintrust.dev`. */
  readonly baseUrl?: string | undefined
}

const types = {
  model: "llm",
  agent: "task",
  tool: "tool",
  node: "function",
  guardrail: "function",
  other: "function"
} as const

/** @category constructors @since 0.1.0 */
export const make = ({ apiKey, baseUrl, parent, timeout }: Options): Destination.Destination =>
  Destination.make({
    name: "braintrust",
    url: join(baseUrl ?? "https://api.braintrust.dev", "/otel/v1/traces"),
    spans: "agents",
    timeout,
    headers: {
      authorization: Redacted.make(`Bearer ${Redacted.value(apiKey)}`),
      "x-bt-parent": Redacted.make(parent)
    },
    attributes: (span) => {
      const { input, output } = contentOf(span)
      return {
        "braintrust.span_attributes": JSON.stringify({ name: span.name, type: types[span.operation] }),
        "braintrust.metadata": JSON.stringify(metadataOf(span)),
        ...(span.operation === "model" ? {} : { "braintrust.input_json": input, "braintrust.output_json": output })
      }
    }
  })

/**
 * On when `BRAINTRUST_API_KEY` is set, with `BRAINTRUST_PARENT` (default `project_name:fastagentic`) and
 * `BRAINTRUST_API_URL`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromConfig: Destination.FromConfig = whenSet("BRAINTRUST_API_KEY", (apiKey) =>
  Effect.gen(function*() {
    const parent = yield* text("project_name:fastagentic", "BRAINTRUST_PARENT")
    const baseUrl = yield* text("https://api.braintrust.dev", "BRAINTRUST_API_URL")
    return make({ apiKey, parent, baseUrl })
  }))
