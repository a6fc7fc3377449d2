/**
 * Scores in LangSmith, as feedback about runs.
 *
 * @since 0.1.0
 */
import { type Duration, Effect, Redacted, Schema } from "effect"
import { createHash } from "node:crypto"
import * as JsonService from "../services/internal/jsonService.ts"
import { text, whenSet } from "../services/internal/variables.ts"
import type * as Sink from "./Sink.ts"

/** @category options @since 0.1.0 */
export interface Options {
  readonly apiKey: Redacted.Redacted
  /** The project that the traces of the runs are in. */
  readonly project: string
  /** Default `https://api.smith.langchain.com`. */
  readonly baseUrl?: string | undefined
  /** The time limit of one request. Default 10 seconds. */
  readonly timeout?: Duration.Input | undefined
}

const Sessions = Schema.Array(Schema.Struct({ id: Schema.String }))

/**
 * Names a run by its own id, which its first span has in LangSmith. Feedback has an id of its run and its name: a second one replaces it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({ apiKey, baseUrl, project, timeout }: Options): Sink.Sink => ({
  name: "langsmith",
  connect: Effect.map(
    JsonService.make({
      name: "langsmith",
      baseUrl: baseUrl ?? "https://api.smith.langchain.com",
      headers: { "x-api-key": apiKey },
      timeout: timeout ?? "10 seconds"
    }),
    ({ call }) => {
      let known: string | undefined
      const session = Effect.suspend(() =>
        known === undefined
          ? Effect.flatMap(
            call({ method: "GET", path: `/sessions?name=${encodeURIComponent(project)}`, answer: Sessions }),
            ([found]) =>
              found === undefined
                ? Effect.fail(
                  // The project is there once its first trace has arrived.
                  new JsonService.ServiceFailed({
                    service: "langsmith",
                    kind: "unavailable",
                    reason: "has no such project"
                  })
                )
                : Effect.sync(() => known = found.id)
          )
          : Effect.succeed(known)
      )
      return ({ explanation, name, runId, value }) =>
        Effect.flatMap(session, (sessionId) =>
          Effect.asVoid(call({
            path: "/feedback",
            body: {
              id: uuidOf(`${runId} ${name}`),
              run_id: runId,
              trace_id: runId,
              session_id: sessionId,
              key: name,
              score: value,
              feedback_source: { type: "api" },
              ...(explanation === undefined ? {} : { comment: explanation })
            },
            answer: Schema.Unknown
          })))
    }
  )
})

/** A UUID of version 8 that is the same for the same text. */
const uuidOf = (text: string) => {
  const hash = createHash("sha256").update(text).digest("hex")
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-a${hash.slice(17, 20)}-${hash.slice(20, 32)}`
}

/**
 * On when `LANGSMITH_API_KEY` is set, with `LANGSMITH_PROJECT` (default `default`) and `LANGSMITH_ENDPOINT`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromConfig: Sink.FromConfig = whenSet("LANGSMITH_API_KEY", (apiKey) =>
  Effect.gen(function*() {
    const project = yield* text("default", "LANGSMITH_PROJECT")
    const baseUrl = yield* text("https://api.smith.langchain.com", "LANGSMITH_ENDPOINT")
    return make({ apiKey, project, baseUrl })
  }))
