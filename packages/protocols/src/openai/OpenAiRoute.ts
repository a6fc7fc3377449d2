// The parts that the routes of OpenAI's two APIs share: fields of requests, documented answers, and the end of a run.
import type { Failure } from "@fastagentic/core/run/Event"
import { Schema } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Responses from "../http/Responses.ts"
import * as OpenAiError from "./OpenAiError.ts"

export const manner = { protocol: "openai", render: OpenAiError.render } as const

const optional = Schema.optionalKey

export const Metadata = optional(Schema.NullOr(Schema.Record(Schema.String, Schema.String)))

/** Further fields of the agent's payload. */
export const Rest = optional(Schema.Record(Schema.String, Schema.Json))

/** The tools of the client, read for agents that take them. */
export const Tools = optional(Schema.NullOr(Schema.Array(Schema.Json)))

/** An error in OpenAI's shape, with these statuses. */
export const errors = (...statuses: ReadonlyArray<number>) =>
  [...new Set([...Responses.refusals, ...statuses])].sort().map((status) =>
    Schema.Struct({ error: Schema.Record(Schema.String, Schema.Json) }).annotate({ httpApiStatus: status })
  )

/** A body that OpenAI documents. */
export const documented = Schema.Record(Schema.String, Schema.Json)

/** The documents of a request that starts a run or continues it. */
export const starting = {
  headers: Responses.startHeaders,
  success: [documented, Responses.journal],
  error: errors(404, 409)
} as const

/** The answer of a run that was waited for: its body, or the error of a run that has failed. */
export const answer = (
  body: () => object,
  failure: Failure | undefined,
  subject: { readonly runId: string; readonly traceId: string }
) => {
  const headers = { "x-run-id": subject.runId }
  return failure === undefined
    ? HttpServerResponse.jsonUnsafe(body(), { headers })
    : HttpServerResponse.jsonUnsafe({ error: OpenAiError.ofFailure(failure, subject) }, {
      status: failure.status,
      headers: { ...headers, "x-should-retry": "false" }
    })
}
