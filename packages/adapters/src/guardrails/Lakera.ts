/**
 * Lakera Guard, version 2. Its contract is known from other clients: Lakera publishes no schema.
 *
 * @since 0.1.0
 */
import { Effect, Redacted, Schema } from "effect"
import { text, whenSet } from "../services/internal/variables.ts"
import { type Mask, masked, provider } from "./internal/judging.ts"
import type * as Provider from "./Provider.ts"

/** @category options @since 0.1.0 */
export interface Options extends Provider.Common {
  readonly apiKey: Redacted.Redacted
  /** The project whose policy judges. */
  readonly projectId?: string | undefined
  /** Default `https://api.lakera.ai`; regions have their own. */
  readonly baseUrl?: string | undefined
}

const Answer = Schema.Struct({
  flagged: Schema.Boolean,
  payload: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.Struct({
    start: Schema.Int,
    end: Schema.Int,
    detector_type: Schema.String
  })))),
  breakdown: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.Struct({
    detector_type: Schema.String,
    detected: Schema.Boolean
  }))))
})

const roles = {
  input: "user",
  prompt: "user",
  output: "assistant",
  tool_arguments: "assistant",
  tool_result: "user"
} as const

/**
 * Refuses what Lakera flags; personal data alone is masked where Lakera names its place.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Provider.Provider =>
  provider({
    name: "lakera",
    baseUrl: options.baseUrl ?? "https://api.lakera.ai",
    headers: { authorization: Redacted.make(`Bearer ${Redacted.value(options.apiKey)}`) },
    timeout: options.timeout ?? "5 seconds"
  }, (service) => ({ place, runId, texts }) =>
    Effect.map(
      service.call({
        path: "/v2/guard",
        body: {
          messages: [{ role: roles[place], content: texts.join("\n") }],
          payload: true,
          breakdown: true,
          metadata: { session_id: runId },
          ...(options.projectId === undefined ? {} : { project_id: options.projectId })
        },
        answer: Answer
      }),
      ({ breakdown, flagged, payload }): Provider.Verdict => {
        if (!flagged) return { action: "allow" }
        const found = [...new Set((breakdown ?? []).filter(({ detected }) => detected).map((one) => one.detector_type))]
        const masks = (payload ?? []).map(({ detector_type, end, start }): Mask => ({
          start,
          end,
          by: `[MASKED ${detector_type.replace(/^pii\//u, "").toUpperCase()}]`
        }))
        const placed = new Set((payload ?? []).map((one) => one.detector_type))
        const personal = found.length > 0 && found.every((type) => type.startsWith("pii/") && placed.has(type))
        const without = personal ? masked(texts, masks) : undefined
        // Only what was masked may pass: a place outside of the texts hides nothing.
        return without === undefined
          ? { action: "block", reason: `flagged as ${found.join(", ") || "unsafe"}` }
          : { action: "modify", texts: without }
      }
    ))

/** On when `LAKERA_API_KEY` is set, with `LAKERA_PROJECT_ID` and `LAKERA_BASE_URL`. @category constructors @since 0.1.0 */
export const fromConfig: Provider.FromConfig = whenSet("LAKERA_API_KEY", (apiKey) =>
  Effect.gen(function*() {
    const projectId = (yield* text("", "LAKERA_PROJECT_ID")) || undefined
    const baseUrl = yield* text("https://api.lakera.ai", "LAKERA_BASE_URL")
    return make({ apiKey, projectId, baseUrl })
  }))
