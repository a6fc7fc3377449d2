/**
 * Scores in Langfuse, on the traces of runs.
 *
 * @since 0.1.0
 */
import { Config, type Duration, Effect, Redacted, Schema } from "effect"
import * as Base64 from "effect/encoding/Base64"
import * as JsonService from "../services/internal/jsonService.ts"
import { text, whenSet } from "../services/internal/variables.ts"
import type * as Sink from "./Sink.ts"

/** @category options @since 0.1.0 */
export interface Options {
  readonly publicKey: string
  readonly secretKey: Redacted.Redacted
  /** Default `https://cloud.langfuse.com`. */
  readonly baseUrl?: string | undefined
  /** The time limit of one request. Default 10 seconds. */
  readonly timeout?: Duration.Input | undefined
}

const Answer = Schema.Struct({ errors: Schema.Array(Schema.Unknown) })

/** A score is written under the id of its run and its name: a second one replaces it. @category constructors @since 0.1.0 */
export const make = ({ baseUrl, publicKey, secretKey, timeout }: Options): Sink.Sink => ({
  name: "langfuse",
  connect: Effect.map(
    JsonService.make({
      name: "langfuse",
      baseUrl: baseUrl ?? "https://cloud.langfuse.com",
      headers: { authorization: Redacted.make(`Basic ${Base64.encode(`${publicKey}:${Redacted.value(secretKey)}`)}`) },
      timeout: timeout ?? "10 seconds"
    }),
    ({ call }) => ({ at, explanation, name, runId, traceId, value }) => {
      const id = `${runId}-${name}`
      if (traceId === undefined) return Effect.fail(refused("cannot place a score of a run without a trace"))
      return Effect.flatMap(
        call({
          // This endpoint has the limits of ingestion, which are far above those of the one for single scores.
          path: "/api/public/ingestion",
          body: {
            batch: [{
              id: `${id}-${at}`,
              type: "score-create",
              timestamp: new Date(at).toISOString(),
              body: {
                id,
                traceId,
                name,
                value,
                dataType: "NUMERIC",
                ...(explanation === undefined ? {} : { comment: explanation })
              }
            }]
          },
          answer: Answer
        }),
        ({ errors }) => errors.length === 0 ? Effect.void : Effect.fail(refused("refuses a score"))
      )
    }
  )
})

const refused = (reason: string) => new JsonService.ServiceFailed({ service: "langfuse", kind: "invalid", reason })

/**
 * On when `LANGFUSE_SECRET_KEY` is set, with `LANGFUSE_PUBLIC_KEY`, and `LANGFUSE_BASE_URL` or `LANGFUSE_HOST`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromConfig: Sink.FromConfig = whenSet("LANGFUSE_SECRET_KEY", (secretKey) =>
  Effect.gen(function*() {
    const publicKey = yield* Config.NonEmptyString("LANGFUSE_PUBLIC_KEY")
    const baseUrl = yield* text("https://cloud.langfuse.com", "LANGFUSE_BASE_URL", "LANGFUSE_HOST")
    return make({ publicKey, secretKey, baseUrl })
  }))
