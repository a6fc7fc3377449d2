/**
 * Rails on a server of NVIDIA NeMo Guardrails, which judges with `/v1/checks`.
 *
 * @since 0.1.0
 */
import { Config, Effect, Redacted, Schema } from "effect"
import { text, whenSet } from "../services/internal/variables.ts"
import { eachText, provider } from "./internal/judging.ts"
import type * as Provider from "./Provider.ts"

/** @category options @since 0.1.0 */
export interface Options extends Provider.Common {
  /** The server, such as `http://localhost:8000`. */
  readonly baseUrl: string
  /** The configuration whose rails judge. */
  readonly configId: string
  /** The model that the rails are told about. Default `main`. */
  readonly model?: string | undefined
  /** Sent as a bearer token. */
  readonly apiKey?: Redacted.Redacted | undefined
}

const Answer = Schema.Union([
  Schema.Struct({ status: Schema.Literal("modified"), content: Schema.String }),
  Schema.Struct({
    status: Schema.Literals(["passed", "blocked"]),
    rail: Schema.optionalKey(Schema.NullOr(Schema.String))
  })
])

/** Refuses what a rail blocks, and takes the text as rails have changed it. @category constructors @since 0.1.0 */
export const make = ({ apiKey, baseUrl, configId, model = "main", timeout }: Options): Provider.Provider =>
  provider({
    name: "nemo-guardrails",
    baseUrl,
    headers: apiKey === undefined ? {} : { authorization: Redacted.make(`Bearer ${Redacted.value(apiKey)}`) },
    timeout: timeout ?? "5 seconds"
  }, (service) => (check) => {
    const said = check.place === "output" || check.place === "tool_arguments"
    return eachText(check, (text) =>
      Effect.map(
        service.call({
          path: "/v1/checks",
          body: {
            model,
            messages: [{ role: said ? "assistant" : "user", content: text }],
            guardrails: { config_id: configId, rail_types: [said ? "output" : "input"] }
          },
          answer: Answer
        }),
        (answer) => {
          if (answer.status === "modified") return answer.content
          if (answer.status === "passed") return text
          return { reason: answer.rail === undefined || answer.rail === null ? "blocked" : `blocked by ${answer.rail}` }
        }
      ))
  })

/**
 * On when `NEMO_GUARDRAILS_URL` is set, with `NEMO_GUARDRAILS_CONFIG` (required) and `NEMO_GUARDRAILS_API_KEY`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromConfig: Provider.FromConfig = whenSet("NEMO_GUARDRAILS_URL", (url) =>
  Effect.gen(function*() {
    const configId = yield* Config.NonEmptyString("NEMO_GUARDRAILS_CONFIG")
    const apiKey = yield* text("", "NEMO_GUARDRAILS_API_KEY")
    return make({
      baseUrl: Redacted.value(url),
      configId,
      ...(apiKey === "" ? {} : { apiKey: Redacted.make(apiKey) })
    })
  }))
