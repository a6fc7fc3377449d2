// Cross-origin access for the listed origins: answers preflights, and marks other answers as readable. Credentials are
// never allowed, because callers send keys and tokens in headers.
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Settings } from "./settings.ts"

const methods = "GET, POST, PUT, DELETE"

/** The request headers of REST, MCP, A2A, OpenAI's client and Effect's that a page must announce. */
const requestHeaders = [
  "a2a-extensions",
  "a2a-version",
  "authorization",
  "b3",
  "content-type",
  "idempotency-key",
  "last-event-id",
  "mcp-method",
  "mcp-name",
  "mcp-protocol-version",
  "mcp-session-id",
  "traceparent",
  "tracestate",
  "x-api-key",
  ...["arch", "lang", "os", "package-version", "retry-count", "runtime", "runtime-version", "timeout"].map((name) =>
    `x-stainless-${name}`
  ),
  "x-thread-id"
].join(", ")

/** The response headers of REST, MCP and A2A that a page may read. */
const responseHeaders = [
  "etag",
  "location",
  "mcp-protocol-version",
  "mcp-session-id",
  "ratelimit",
  "ratelimit-policy",
  "retry-after",
  "traceparent",
  "www-authenticate",
  "x-run-id",
  "x-trace-id"
].join(", ")

/** The answer to a preflight of a listed origin; nothing for any other request. */
export const preflightOf = (
  { corsOrigins }: Settings,
  { headers, method }: HttpServerRequest
): HttpServerResponse.HttpServerResponse | undefined => {
  const { origin } = headers
  const isPreflight = method === "OPTIONS" && headers["access-control-request-method"] !== undefined
  if (!isPreflight || origin === undefined || !corsOrigins.has(origin)) return undefined
  return HttpServerResponse.empty({
    status: 204,
    headers: {
      "access-control-allow-methods": methods,
      "access-control-allow-headers": requestHeaders,
      "access-control-max-age": "600"
    }
  })
}

/** Lets a listed origin read an answer. */
export const withCors = (
  { corsOrigins }: Settings,
  { headers: { origin } }: HttpServerRequest,
  response: HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse => {
  if (corsOrigins.size === 0) return response
  const { vary } = response.headers
  const varied = HttpServerResponse.setHeader(response, "vary", vary === undefined ? "Origin" : `${vary}, Origin`)
  return origin === undefined || !corsOrigins.has(origin) ? varied : HttpServerResponse.setHeaders(varied, {
    "access-control-allow-origin": origin,
    "access-control-expose-headers": responseHeaders
  })
}
