/**
 * A guard on a server of Guardrails AI.
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
  /** The name or the id of the guard. */
  readonly guard: string
  /** Sent as a bearer token, for a server behind a proxy that asks for one. */
  readonly apiKey?: Redacted.Redacted | undefined
  /** `camel` for servers before 0.4, which know `llmOutput`. Default `snake`. */
  readonly wire?: "snake" | "camel" | undefined
}

const Summary = Schema.Array(Schema.Struct({
  validatorName: Schema.optionalKey(Schema.NullOr(Schema.String)),
  validatorStatus: Schema.optionalKey(Schema.NullOr(Schema.String))
}))
const Answer = Schema.Struct({
  validationPassed: Schema.Boolean,
  validatedOutput: Schema.optionalKey(Schema.NullOr(Schema.Unknown)),
  validationSummaries: Schema.optionalKey(Schema.NullOr(Summary))
})

/**
 * Refuses what does not pass, and takes the text as validators have fixed it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Provider.Provider =>
  provider({
    name: "guardrails-ai",
    baseUrl: options.baseUrl,
    headers: options.apiKey === undefined
      ? {}
      : { authorization: Redacted.make(`Bearer ${Redacted.value(options.apiKey)}`) },
    timeout: options.timeout ?? "5 seconds"
  }, (service) => (check) =>
    eachText(check, (text) =>
      service.call({
        path: `/guards/${encodeURIComponent(options.guard)}/validate`,
        body: { [options.wire === "camel" ? "llmOutput" : "llm_output"]: text },
        answer: Answer
      }).pipe(
        Effect.map(({ validatedOutput, validationPassed, validationSummaries }) => {
          if (validationPassed) return typeof validatedOutput === "string" ? validatedOutput : text
          const names = (validationSummaries ?? []).flatMap(({ validatorName, validatorStatus }) =>
            validatorStatus === "pass" || validatorName === undefined || validatorName === null ? [] : [validatorName]
          )
          return { reason: names.length === 0 ? "validation failed" : `validation failed: ${names.join(", ")}` }
        }),
        // The server answers so when a validator's `on_fail` is `exception`.
        Effect.catchIf(({ status }) => status === 400, () => Effect.succeed({ reason: "validation failed" }))
      )))

/**
 * On when `GUARDRAILS_AI_URL` is set, with `GUARDRAILS_AI_GUARD` (required) and `GUARDRAILS_AI_API_KEY`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromConfig: Provider.FromConfig = whenSet("GUARDRAILS_AI_URL", (url) =>
  Effect.gen(function*() {
    const guard = yield* Config.NonEmptyString("GUARDRAILS_AI_GUARD")
    const apiKey = yield* text("", "GUARDRAILS_AI_API_KEY")
    return make({
      baseUrl: Redacted.value(url),
      guard,
      ...(apiKey === "" ? {} : { apiKey: Redacted.make(apiKey) })
    })
  }))
