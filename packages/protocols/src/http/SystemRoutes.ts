// What operators and newcomers look at: health, readiness, metrics, the OpenAPI document and its page.
import { Auth } from "@fastagentic/core/door/Auth"
import { Runtime } from "@fastagentic/core/operations/Runtime"
import { Effect } from "effect"
import * as HttpApiScalar from "effect/http-api/HttpApiScalar"
import * as OpenApi from "effect/http-api/OpenApi"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Document from "./Document.ts"
import * as RequestContext from "./RequestContext.ts"

/** `GET /health`: the process answers. */
export const health = RequestContext.open(() => Effect.succeed(HttpServerResponse.jsonUnsafe({ status: "ok" })))

/** `GET /ready`: new work is admitted; 503 once the server goes away. */
export const ready = RequestContext.open(({ runtime }) =>
  Effect.map(
    runtime.ready,
    (admits) =>
      HttpServerResponse.jsonUnsafe({ status: admits ? "ready" : "shutting down" }, { status: admits ? 200 : 503 })
  )
)

/** `GET /metrics` in Prometheus' text format. */
export const metrics = RequestContext.handle(Effect.fnUntraced(function*() {
  const text = yield* PrometheusMetrics.format()
  return HttpServerResponse.text(text, { contentType: "text/plain; version=0.0.4; charset=utf-8" })
}))

/** `GET /openapi.json` and `GET /docs`, both made when they are first asked for. */
export const makeDocs = Effect.gen(function*() {
  const { fusion } = yield* Runtime
  const { schemes } = yield* Auth
  const api = Document.apiOf(fusion, schemes)
  const openapi = yield* Effect.cached(Effect.sync(() => HttpServerResponse.jsonUnsafe(OpenApi.fromApi(api))))
  const page = yield* Effect.cached(Effect.suspend(() =>
    Effect.scoped(
      Effect.flatten(HttpRouter.toHttpEffect(
        HttpApiScalar.layer(api, { path: "/docs", scalar: { withDefaultFonts: false } })
      ))
    ).pipe(Effect.orDie)
  ))
  return { openapi: () => openapi, page: () => page }
})
