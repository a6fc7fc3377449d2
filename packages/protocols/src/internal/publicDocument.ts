// A document that anybody may read and keep: cards of A2A and MCP. A reader that has it gets 304.
import { Effect } from "effect"
import * as Hex from "effect/encoding/Hex"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** The request headers that addresses in a document can come from. */
export const addressHeaders = "Host, X-Forwarded-Host, X-Forwarded-Prefix, X-Forwarded-Proto"

export const publicDocument = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  body: string,
  { contentType = "application/json", ...more }: { readonly [header: string]: string } & {
    readonly contentType?: string
  }
) {
  const etag = yield* etagOf(body)
  const headers = { etag, "cache-control": "public, max-age=300", vary: addressHeaders, ...more }
  const known = (request.headers["if-none-match"] ?? "").split(",").map((tag) => tag.trim().replace(/^W\//u, ""))
  if (known.includes(etag) || known.includes("*")) return HttpServerResponse.empty({ status: 304, headers })
  return HttpServerResponse.text(body, { contentType, headers })
})

const etagOf = (body: string) =>
  Effect.map(
    Effect.promise(() => globalThis.crypto.subtle.digest("SHA-256", new TextEncoder().encode(body))),
    (digest) => `"${Hex.encode(new Uint8Array(digest, 0, 16))}"`
  )
