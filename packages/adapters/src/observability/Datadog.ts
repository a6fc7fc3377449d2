/**
 * Traces in Datadog's observability of agents, over its OTLP intake.
 *
 * @since 0.1.0
 */
import { Effect, Redacted } from "effect"
import { join, text, whenSet } from "../services/internal/variables.ts"
import * as Destination from "./Destination.ts"
import { metadataOf, textOf } from "./internal/facts.ts"

/** @category options @since 0.1.0 */
export interface Options extends Destination.Common {
  readonly apiKey: Redacted.Redacted
  /** Default `datadoghq.com`. */
  readonly site?: string | undefined
  /** The application that traces belong to; the service name by default. */
  readonly mlApp?: string | undefined
  /** Another intake than that of the site. */
  readonly baseUrl?: string | undefined
}

/** @category constructors @since 0.1.0 */
export const make = ({ apiKey, baseUrl, mlApp, site = "datadoghq.com", timeout }: Options): Destination.Destination =>
  Destination.make({
    name: "datadog",
    url: join(baseUrl ?? `https://otlp.${site}`, "/v1/traces"),
    spans: "agents",
    timeout,
    headers: {
      "dd-api-key": apiKey,
      "dd-otlp-source": Redacted.make("llmobs"),
      ...(mlApp === undefined ? {} : { "dd-ml-app": Redacted.make(mlApp) })
    },
    resource: () => ({ dd_llmobs_enabled: "true" }),
    attributes: (span) => ({
      // A span without an attribute of these conventions is dropped there.
      "gen_ai.conversation.id": span.run?.session ?? span.run?.runId,
      // The cost of a call is computed from its provider and the model that answered.
      ...(span.operation === "model"
        ? { "gen_ai.response.model": textOf(span, "gen_ai.response.model") ?? textOf(span, "gen_ai.request.model") }
        : {}),
      "_dd.ml_obs.metadata": JSON.stringify(metadataOf(span))
    })
  })

/** On when `DD_API_KEY` is set, with `DD_SITE` and `DD_LLMOBS_ML_APP`. @category constructors @since 0.1.0 */
export const fromConfig: Destination.FromConfig = whenSet("DD_API_KEY", (apiKey) =>
  Effect.gen(function*() {
    const site = yield* text("datadoghq.com", "DD_SITE")
    const mlApp = (yield* text("", "DD_LLMOBS_ML_APP")) || undefined
    const baseUrl = (yield* text("", "DD_LLMOBS_OTLP_ENDPOINT")) || undefined
    return make({ apiKey, site, mlApp, baseUrl })
  }))
