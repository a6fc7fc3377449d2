// The answers and headers that endpoints of REST share, as the OpenAPI document shows them.
import * as Event from "@fastagentic/core/run/Event"
import { Schema } from "effect"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import { Problem } from "./Problem.ts"
import * as Schemas from "./Schemas.ts"

const problem = Problem.pipe(HttpApiSchema.asJson({ contentType: "application/problem+json" }))

/** Problem details with these statuses. */
export const problems = (...statuses: ReadonlyArray<number>) =>
  [...new Set(statuses)].sort().map((status) => problem.annotate({ httpApiStatus: status }))

/** The statuses with which any endpoint behind the door can refuse. */
export const refusals = [400, 401, 403, 413, 415, 429, 500, 503] as const

/** The refusals of an endpoint about one run or schedule. */
export const aboutOne = problems(...refusals, 404, 409)

export const RunEvent = Event.RunEvent.annotate({ identifier: "RunEvent" })

/** 202: the run is suspended. */
export const suspended = Schemas.SuspendedRun.annotate({ httpApiStatus: 202 })

/** 202: the run continues. */
export const accepted = Schemas.Run.annotate({ httpApiStatus: 202 })

/** A run's journal as server-sent events. */
export const journal = HttpApiSchema.StreamSse({
  events: Schema.Struct({ id: Schema.optionalKey(Schema.String), event: Schema.String, data: Schema.String })
})

export const idempotencyKey = { "idempotency-key": Schema.optionalKey(Schema.String) }

/** The headers of a request that starts a run. */
export const startHeaders = {
  ...idempotencyKey,
  "x-thread-id": Schema.optionalKey(Schema.String),
  "x-timeout": Schema.optionalKey(Schema.String)
}

export const summary = (text: string) => OpenApi.annotations({ summary: text })
