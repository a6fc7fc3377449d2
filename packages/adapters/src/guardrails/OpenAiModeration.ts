/**
 * OpenAI's moderation endpoint.
 *
 * @since 0.1.0
 */
import { Effect, Redacted, Schema } from "effect"
import { text, whenSet } from "../services/internal/variables.ts"
import { provider } from "./internal/judging.ts"
import type * as Provider from "./Provider.ts"

/** @category options @since 0.1.0 */
export interface Options extends Provider.Common {
  readonly apiKey: Redacted.Redacted
  /** Default `omni-moderation-latest`. */
  readonly model?: string | undefined
  /** Default `https://api.openai.com/v1`. */
  readonly baseUrl?: string | undefined
}

const Answer = Schema.Struct({
  results: Schema.Array(Schema.Struct({
    flagged: Schema.Boolean,
    categories: Schema.Record(Schema.String, Schema.NullOr(Schema.Boolean))
  }))
})

/** Refuses what is flagged, with its categories. @category constructors @since 0.1.0 */
export const make = ({ apiKey, baseUrl, model = "omni-moderation-latest", timeout }: Options): Provider.Provider =>
  provider({
    name: "openai-moderation",
    baseUrl: baseUrl ?? "https://api.openai.com/v1",
    headers: { authorization: Redacted.make(`Bearer ${Redacted.value(apiKey)}`) },
    timeout: timeout ?? "5 seconds"
  }, (service) => ({ texts }) =>
    Effect.map(
      service.call({
        path: "/moderations",
        body: { model, input: [...texts] },
        // A text without a result was not judged.
        answer: Answer.check(Schema.makeFilter(({ results }) => results.length === texts.length))
      }),
      ({ results }): Provider.Verdict => {
        const flagged = results.filter(({ flagged }) => flagged)
        if (flagged.length === 0) return { action: "allow" }
        const categories = new Set(flagged.flatMap(({ categories }) =>
          Object.entries(categories).flatMap(([name, is]) => is === true ? [name] : [])
        ))
        return { action: "block", reason: `flagged as ${[...categories].join(", ") || "unsafe"}` }
      }
    ))

/**
 * On when `OPENAI_MODERATION_API_KEY` is set, with `OPENAI_MODERATION_BASE_URL`: the key of a model alone sends nothing
 * there.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromConfig: Provider.FromConfig = whenSet("OPENAI_MODERATION_API_KEY", (apiKey) =>
  Effect.map(
    text("https://api.openai.com/v1", "OPENAI_MODERATION_BASE_URL"),
    (baseUrl) => make({ apiKey, baseUrl })
  ))
