// The security headers of every answer: no cache keeps it, no browser guesses its type, runs it or frames it.
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { memoized } from "./memoized.ts"

/** Forbids scripts, requests and frames, also for a body that a browser would render. */
const inert = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"

/** The media types that a browser renders as a document of the server's origin. */
const isActive = (contentType: string) =>
  /^(text\/(html|xml|xsl)|application\/(xml|pdf)|[\w.+-]+\/[\w.+-]+\+xml)\b/iu.test(contentType)

/**
 * Adds the headers. An answer keeps its own `Content-Security-Policy`, which marks it as a page of the server, and a
 * `Cache-Control` that is public; an active type without a policy is offered as a download.
 */
export const withSecurityHeaders = (
  response: HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse => {
  const { headers } = response
  const policy = headers["content-security-policy"]
  const cacheControl = headers["cache-control"] ?? ""
  const contentType = headers["content-type"] ??
    ("contentType" in response.body ? response.body.contentType : undefined) ?? ""
  const type = about(contentType)
  const added = {
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": policy ?? inert,
    "cache-control": cacheControl.startsWith("public") ? cacheControl : type.cacheControl
  }
  return HttpServerResponse.setHeaders(
    response,
    policy === undefined && type.isActive
      ? { ...added, "content-disposition": headers["content-disposition"] ?? "attachment" }
      : added
  )
}

/** Proxies must not compress or buffer an event stream. */
const cacheControlOf = (contentType: string) =>
  contentType.startsWith("text/event-stream") ? "no-store, no-transform" : "no-store"

/** An app has few media types. */
const about = memoized((contentType) => ({
  cacheControl: cacheControlOf(contentType),
  isActive: isActive(contentType)
}))
