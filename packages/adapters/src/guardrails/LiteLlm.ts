/**
 * LiteLLM's generic guardrail protocol: any server that speaks it, a guardrail of your own included.
 *
 * @since 0.1.0
 */
import { Effect, Redacted, Schema } from "effect"
import { text, whenSet } from "../services/internal/variables.ts"
import { provider } from "./internal/judging.ts"
import type * as Provider from "./Provider.ts"

/** @category options @since 0.1.0 */
export interface Options extends Provider.Common {
  readonly baseUrl: string
  /** Sent as a bearer token. */
  readonly apiKey?: Redacted.Redacted | undefined
  /** Parameters of the guardrail itself. */
  readonly params?: Readonly<Record<string, Schema.Json>> | undefined
}

const Answer = Schema.Struct({
  action: Schema.Literals(["BLOCKED", "NONE", "GUARDRAIL_INTERVENED"]),
  blocked_reason: Schema.optionalKey(Schema.NullOr(Schema.String)),
  texts: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String)))
})

/** Refuses what the server blocks, and takes the texts that it gives instead. @category constructors @since 0.1.0 */
export const make = ({ apiKey, baseUrl, params = {}, timeout }: Options): Provider.Provider =>
  provider({
    name: "litellm-guardrail",
    baseUrl,
    headers: apiKey === undefined ? {} : { authorization: Redacted.make(`Bearer ${Redacted.value(apiKey)}`) },
    timeout: timeout ?? "5 seconds"
  }, (service) => ({ place, runId, texts }) =>
    Effect.map(
      service.call({
        path: "/beta/litellm_basic_guardrail_api",
        body: {
          texts: [...texts],
          request_data: {},
          input_type: place === "output" || place === "tool_arguments" ? "response" : "request",
          litellm_call_id: runId,
          litellm_trace_id: runId,
          additional_provider_specific_params: params
        },
        answer: Answer
      }),
      ({ action, blocked_reason, texts: changed }): Provider.Verdict => {
        if (action === "NONE") return { action: "allow" }
        if (action === "GUARDRAIL_INTERVENED" && changed?.length === texts.length) {
          return { action: "modify", texts: changed }
        }
        return { action: "block", reason: blocked_reason ?? "blocked" }
      }
    ))

/** On when `GUARDRAIL_URL` is set, with `GUARDRAIL_API_KEY`. @category constructors @since 0.1.0 */
export const fromConfig: Provider.FromConfig = whenSet(
  "GUARDRAIL_URL",
  (url) =>
    Effect.map(
      text("", "GUARDRAIL_API_KEY"),
      (apiKey) => make({ baseUrl: Redacted.value(url), ...(apiKey === "" ? {} : { apiKey: Redacted.make(apiKey) }) })
    )
)
