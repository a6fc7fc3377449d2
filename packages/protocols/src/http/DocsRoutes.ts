// The OpenAPI document and the page that shows it. HttpProtocol mounts them; the document does not describe itself.
import { Auth } from "@fastagentic/core/door/Auth"
import { Runtime } from "@fastagentic/core/operations/Runtime"
import { Effect } from "effect"
import * as HttpApiScalar from "effect/http-api/HttpApiScalar"
import * as OpenApi from "effect/http-api/OpenApi"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Document from "./Document.ts"
import type { Served } from "./Route.ts"

/** Both are made at their first request. */
export const make = Effect.gen(function*() {
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
  const routes: ReadonlyArray<Served> = [
    { method: "GET", path: "/openapi.json", handler: () => openapi },
    { method: "GET", path: "/docs", handler: () => page }
  ]
  return routes
})
