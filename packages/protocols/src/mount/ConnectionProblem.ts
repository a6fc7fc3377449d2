// The answer to a request that reaches no route, because the HTTP server cannot read it: problem details with the headers
// of every other answer. The command's server writes it; a mount has its host's own answers.
import * as Caller from "@fastagentic/core/door/Caller"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { withSecurityHeaders } from "./internal/securityHeaders.ts"

/** The reasons for which an HTTP server reads no further. @category models @since 0.1.0 */
export type Reason = keyof typeof reasons

const reasons = {
  BadRequest: [400, "The request is not valid HTTP."],
  NoHost: [400, "The request has no Host header."],
  RequestTooSlow: [408, "The request did not arrive in time. Send it again."],
  ChunkExtensionsTooLarge: [413, "The chunk extensions of the body are too large."],
  ExpectationFailed: [417, `The only expectation that is met is "100-continue".`],
  HeadersTooLarge: [431, "The headers of the request are too large. Send less."],
  NotStarted: [503, "The server did not start. Send the request again later."]
} as const

/** The status, the headers and the body of an answer. @category constructors @since 0.1.0 */
export const make = (reason: Reason) => {
  const [status, detail] = reasons[reason]
  const { traceId } = Caller.make("rest")
  const type = `urn:fastagentic:error:${reason}`
  const body = JSON.stringify({ type, title: reason, status, detail, error: { _tag: reason }, traceId })
  const { headers } = withSecurityHeaders(HttpServerResponse.text(body, {
    status,
    contentType: "application/problem+json",
    headers: { "x-trace-id": traceId, connection: "close" }
  }))
  return { status, headers, body }
}
