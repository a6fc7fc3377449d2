// Health, readiness and metrics for operators.
import { Effect, Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as RequestContext from "./RequestContext.ts"
import * as Responses from "./Responses.ts"
import * as Route from "./Route.ts"

const Status = Schema.Struct({ status: Schema.String })

/** 200 while the process answers. */
const health = Route.make(
  "system",
  HttpApiEndpoint.get("health", "/health", { success: Status }).annotateMerge(
    Responses.summary("200 while the process works")
  ),
  RequestContext.open(() => Effect.succeed(HttpServerResponse.jsonUnsafe({ status: "ok" })))
)

/** 200 while new work is admitted; 503 once the server shuts down, and while its store cannot be written. */
const ready = Route.make(
  "system",
  HttpApiEndpoint.get("ready", "/ready", { success: Status, error: Responses.problems(503) }).annotateMerge(
    Responses.summary("200 while the server takes runs: not while it stops, or while its store is away")
  ),
  RequestContext.open(({ runtime }) =>
    Effect.map(
      runtime.readiness,
      (status) => HttpServerResponse.jsonUnsafe({ status }, { status: status === "ready" ? 200 : 503 })
    )
  )
)

/** Prometheus' text format, with the scope `metrics:read`. */
const metrics = Route.make(
  "system",
  HttpApiEndpoint.get("metrics", "/metrics", {
    success: Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/plain" })),
    error: Responses.problems(401, 403)
  }).annotateMerge(Responses.summary("The metrics of the process for Prometheus, with the scope metrics:read")),
  RequestContext.handle(Effect.fnUntraced(function*({ caller, runtime }) {
    const text = yield* runtime.metrics(caller)
    return HttpServerResponse.text(text, { contentType: "text/plain; version=0.0.4; charset=utf-8" })
  }))
)

export const routes: ReadonlyArray<Route.Route> = [health, ready, metrics]
