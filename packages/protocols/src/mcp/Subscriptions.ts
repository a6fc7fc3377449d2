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

/** Whether the caller may read all that it wants to listen to. */
export const check = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  catalog: Catalog,
  caller: Caller,
  body: unknown
): Effect.fn.Return<void, RunError> {
  const uris = isListen(body) ? body.params.notifications.resourceSubscriptions : []
  for (const identifier of new Set(uris.map((uri) => catalog.resourceOf(uri)))) {
    if (identifier !== undefined) yield* runtime.checkScopes(caller, { kind: "resource", identifier })
  }
})

/** The SDK's answer to a request to listen, as a stream of its caller. */
export const counted = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  caller: Caller,
  answer: Effect.Effect<HttpServerResponse.HttpServerResponse, RunError>
): Effect.fn.Return<HttpServerResponse.HttpServerResponse, RunError> {
  const count = yield* runtime.openStream(caller)
  const response = yield* answer
  const { body: sent, headers, status } = response
  if (sent._tag !== "Stream") return response
  return HttpServerResponse.stream(count(sent.stream), { status, headers, contentType: sent.contentType })
})
