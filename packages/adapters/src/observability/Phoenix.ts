/**
 * Traces in Arize Phoenix, with the attributes of OpenInference.
 *
 * @since 0.1.0
 */
import { Effect, Redacted } from "effect"
import { join, text, whenSet } from "../services/internal/variables.ts"
import * as Destination from "./Destination.ts"
import { contentOf, countOf, metadataOf, textOf } from "./internal/facts.ts"

/** @category options @since 0.1.0 */
export interface Options extends Destination.Common {
  /** The server: `http://localhost:6006`, or `https://app.phoenix.arize.com/s/…`. */
  readonly baseUrl: string
  readonly apiKey?: Redacted.Redacted | undefined
  /** The project that traces belong to; the service name by default. */
  readonly project?: string | undefined
}

const kinds = {
  model: "LLM",
  agent: "AGENT",
  tool: "TOOL",
  node: "CHAIN",
  guardrail: "GUARDRAIL",
  other: "CHAIN"
} as const

/** @category constructors @since 0.1.0 */
export const make = ({ apiKey, baseUrl, project, timeout }: Options): Destination.Destination =>
  Destination.make({
    name: "phoenix",
    url: join(baseUrl, "/v1/traces"),
    spans: "agents",
    timeout,
    headers: apiKey === undefined ? {} : { authorization: Redacted.make(`Bearer ${Redacted.value(apiKey)}`) },
    resource: ({ serviceName }) => ({ "openinference.project.name": project ?? serviceName }),
    attributes: (span) => {
      const { input, output } = contentOf(span)
      return {
        "openinference.span.kind": kinds[span.operation],
        "session.id": span.run?.session,
        "user.id": span.run?.user,
        metadata: JSON.stringify(metadataOf(span)),
        "input.value": input,
        "input.mime_type": input === undefined ? undefined : "application/json",
        "output.value": output,
        "output.mime_type": output === undefined ? undefined : "application/json",
        ...(span.operation === "tool" ? { "tool.name": textOf(span, "gen_ai.tool.name") } : {}),
        ...(span.operation === "model" ? model(span) : {})
      }
    }
  })

const model = (span: Destination.SpanFacts) => {
  const input = countOf(span, "gen_ai.usage.input_tokens")
  const output = countOf(span, "gen_ai.usage.output_tokens")
  return {
    "llm.model_name": textOf(span, "gen_ai.response.model") ?? textOf(span, "gen_ai.request.model"),
    "llm.provider": textOf(span, "gen_ai.provider.name"),
    "llm.token_count.prompt": input,
    "llm.token_count.completion": output,
    "llm.token_count.total": input === undefined && output === undefined ? undefined : (input ?? 0) + (output ?? 0),
    "llm.cost.total": countOf(span, "gen_ai.usage.cost")
  }
}

/**
 * On when `PHOENIX_COLLECTOR_ENDPOINT` is set, with `PHOENIX_API_KEY` and `PHOENIX_PROJECT_NAME`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromConfig: Destination.FromConfig = whenSet(
  "PHOENIX_COLLECTOR_ENDPOINT",
  (endpoint) =>
    Effect.gen(function*() {
      const apiKey = yield* text("", "PHOENIX_API_KEY")
      const project = (yield* text("", "PHOENIX_PROJECT_NAME")) || undefined
      return make({
        baseUrl: Redacted.value(endpoint),
        project,
        ...(apiKey === "" ? {} : { apiKey: Redacted.make(apiKey) })
      })
    })
)
