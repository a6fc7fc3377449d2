// `subscriptions/listen` of 2026-07-28: Endpoint lets a stream begin for callers who may read what they listen to, and counts
// it among the streams of its caller, because the SDK knows neither.
import type { Caller } from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import type { RunError } from "@fastagentic/core/run/RunError"
import { Effect, Schema } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Catalog } from "./McpCatalog.ts"

const isListen = Schema.is(Schema.Struct({
  params: Schema.Struct({
    notifications: Schema.Struct({ resourceSubscriptions: Schema.Array(Schema.String) })
  })
}))

/** The answer to a request to listen, once its caller may have it. */
export const checked = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  catalog: Catalog,
  caller: Caller,
  body: unknown,
  answer: Effect.Effect<HttpServerResponse.HttpServerResponse, RunError>
): Effect.fn.Return<HttpServerResponse.HttpServerResponse, RunError> {
  const uris = isListen(body) ? body.params.notifications.resourceSubscriptions : []
  for (const identifier of new Set(uris.map((uri) => catalog.resourceOf(uri)))) {
    if (identifier !== undefined) yield* runtime.checkScopes(caller, { kind: "resource", identifier })
  }
  const counted = yield* runtime.openStream(caller)
  const response = yield* answer
  const { body: sent, headers, status } = response
  if (sent._tag !== "Stream") return response
  return HttpServerResponse.stream(counted(sent.stream), { status, headers, contentType: sent.contentType })
})
