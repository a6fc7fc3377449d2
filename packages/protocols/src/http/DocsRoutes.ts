// The OpenAPI document and the page that shows it. HttpProtocol serves them; the document does not describe itself.
import { Auth } from "@fastagentic/core/door/Auth"
import { Runtime } from "@fastagentic/core/operations/Runtime"
import { Effect } from "effect"
import * as OpenApi from "effect/http-api/OpenApi"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { PublicAddress, urlOf } from "../internal/publicAddress.ts"
import * as Document from "./Document.ts"
import { makeDocsPage } from "./internal/docsPage.ts"
import type { Route, Served } from "./Route.ts"

/** Both are made at their first request, so that a server starts without them; each answer names the public address of its request. */
export const make = Effect.fnUntraced(function*(described: ReadonlyArray<Route>) {
  const { fusion } = yield* Runtime
  const { schemes } = yield* Auth
  const api = yield* Effect.cached(Effect.sync(() => Document.apiOf(fusion, schemes, described)))
  const spec = yield* Effect.cached(Effect.map(api, OpenApi.fromApi))
  const openapi = Effect.map(
    Effect.all([spec, PublicAddress]),
    ([document, address]) => HttpServerResponse.jsonUnsafe({ ...document, servers: [{ url: urlOf(address) }] })
  )
  const page = yield* makeDocsPage(api)
  const routes: ReadonlyArray<Served> = [
    { method: "GET", path: "/openapi.json", handler: () => openapi },
    { method: "GET", path: "/docs", handler: () => Effect.flatMap(PublicAddress, (address) => page(urlOf(address))) }
  ]
  return routes
})
