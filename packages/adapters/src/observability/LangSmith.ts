/**
 * Traces in LangSmith. Each span has an id of LangSmith's kind, that of a run's first span is the id of the run: feedback
 * can name it.
 *
 * @since 0.1.0
 */
import { Effect, Redacted } from "effect"
import { join, text, whenSet } from "../services/internal/variables.ts"
import * as Destination from "./Destination.ts"
import { contentOf, countOf, metadataOf, prefixed, provider } from "./internal/facts.ts"
import { dottedOrder, langSmithId } from "./internal/langSmithIds.ts"

/** @category options @since 0.1.0 */
export interface Options extends Destination.Common {
  readonly apiKey: Redacted.Redacted
  /** The project that traces belong to. */
  readonly project?: string | undefined
  /** Default `https://api.smith.langchain.com`; `https://eu.api.smith.langchain.com`, or a server of your own. */
  readonly baseUrl?: string | undefined
}

const kinds = { model: "llm", agent: "chain", tool: "tool", node: "chain", guardrail: "chain", other: "chain" } as const

/** @category constructors @since 0.1.0 */
export const make = ({ apiKey, baseUrl, project, timeout }: Options): Destination.Destination =>
  Destination.make({
    name: "langsmith",
    url: join(baseUrl ?? "https://api.smith.langchain.com", "/otel/v1/traces"),
    spans: "agents",
    timeout,
    headers: {
      "x-api-key": apiKey,
      ...(project === undefined ? {} : { "langsmith-project": Redacted.make(project) })
    },
    attributes: (span) => {
      const [parent] = span.above
      const { input, output } = contentOf(span)
      return {
        "langsmith.span.id": langSmithId(span),
        "langsmith.trace.id": langSmithId(span.above.at(-1) ?? span),
        "langsmith.span.parent_id": parent === undefined ? undefined : langSmithId(parent),
        "langsmith.span.dotted_order": dottedOrder(span),
        "langsmith.span.kind": kinds[span.operation],
        ...prefixed("langsmith.metadata.", metadataOf(span)),
        ...provider(span),
        ...(span.operation === "model" ? { "langsmith.usage_metadata": usage(span) } : {}),
        ...(span.operation === "tool" ? { "gen_ai.prompt": input, "gen_ai.completion": output } : {})
      }
    }
  })

const usage = (span: Destination.SpanFacts) => {
  const input = countOf(span, "gen_ai.usage.input_tokens")
  const output = countOf(span, "gen_ai.usage.output_tokens")
  if (input === undefined && output === undefined) return undefined
  return JSON.stringify({
    input_tokens: input ?? 0,
    output_tokens: output ?? 0,
    total_tokens: (input ?? 0) + (output ?? 0),
    total_cost: countOf(span, "gen_ai.usage.cost")
  })
}

/**
 * On when `LANGSMITH_API_KEY` is set, with `LANGSMITH_PROJECT` and `LANGSMITH_ENDPOINT`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromConfig: Destination.FromConfig = whenSet("LANGSMITH_API_KEY", (apiKey) =>
  Effect.gen(function*() {
    const project = (yield* text("", "LANGSMITH_PROJECT")) || undefined
    const baseUrl = yield* text("https://api.smith.langchain.com", "LANGSMITH_ENDPOINT")
    return make({ apiKey, project, baseUrl })
  }))
