/**
 * Scores in Braintrust, as rows of a project's logs.
 *
 * @since 0.1.0
 */
import { type Duration, Effect, Redacted, Schema } from "effect"
import * as JsonService from "../services/internal/jsonService.ts"
import { text, whenSet } from "../services/internal/variables.ts"
import type * as Sink from "./Sink.ts"

/** @category options @since 0.1.0 */
export interface Options {
  readonly apiKey: Redacted.Redacted
  /** The name of the project. */
  readonly project: string
  /** Default `https://api.braintrust.dev`. */
  readonly baseUrl?: string | undefined
  /** The time limit of one request. Default 10 seconds. */
  readonly timeout?: Duration.Input | undefined
}

const Project = Schema.Struct({ id: Schema.String })

/** The scores of a run are merged into the row that has the run's id. @category constructors @since 0.1.0 */
export const make = ({ apiKey, baseUrl, project, timeout }: Options): Sink.Sink => ({
  name: "braintrust",
  connect: Effect.map(
    JsonService.make({
      name: "braintrust",
      baseUrl: baseUrl ?? "https://api.braintrust.dev",
      headers: { authorization: Redacted.make(`Bearer ${Redacted.value(apiKey)}`) },
      timeout: timeout ?? "10 seconds"
    }),
    ({ call }) => {
      let known: string | undefined
      const projectId = Effect.suspend(() =>
        known === undefined
          ? Effect.map(
            call({ path: "/v1/project", body: { name: project }, answer: Project }),
            ({ id }) => known = id
          )
          : Effect.succeed(known)
      )
      return ({ agent, explanation, name, runId, value }) =>
        Effect.flatMap(projectId, (id) =>
          Effect.asVoid(call({
            path: `/v1/project_logs/${encodeURIComponent(id)}/insert`,
            body: {
              events: [{
                id: runId,
                _is_merge: true,
                scores: { [name]: value },
                metadata: { run_id: runId, agent, ...(explanation === undefined ? {} : { [name]: explanation }) }
              }]
            },
            answer: Schema.Unknown
          })))
    }
  )
})

/**
 * On when `BRAINTRUST_API_KEY` is set, with `BRAINTRUST_PROJECT` (default `fastagentic`) and `BRAINTRUST_API_URL`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromConfig: Sink.FromConfig = whenSet("BRAINTRUST_API_KEY", (apiKey) =>
  Effect.gen(function*() {
    const project = yield* text("fastagentic", "BRAINTRUST_PROJECT")
    const baseUrl = yield* text("https://api.braintrust.dev", "BRAINTRUST_API_URL")
    return make({ apiKey, project, baseUrl })
  }))
