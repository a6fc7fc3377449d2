// The message of a POST: Endpoint reads it here, within the limits of requests.
import { Effect, Predicate } from "effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import { bodyText, closing } from "../internal/bodyText.ts"
import type { RequestLimits } from "../internal/requestLimits.ts"
import * as McpError from "./McpError.ts"
import { refused } from "./Refusals.ts"

export const bodyOf = (request: HttpServerRequest.HttpServerRequest, limits: RequestLimits, traceId: string) =>
  bodyText(request, limits).pipe(
    Effect.mapError((unread) => {
      const { bodyBytes: limitBytes, bodyMillis: limitMillis } = limits
      switch (unread) {
        case "TooLarge":
          return refused(413, {
            code: McpError.invalidRequest,
            message: `The body is over ${limitBytes} bytes`,
            data: { tag: "BodyTooLarge", limitBytes, traceId }
          })
        case "TooSlow":
          return refused(408, {
            code: McpError.invalidRequest,
            message: `The body did not arrive within ${limitMillis} ms`,
            data: { tag: "BodyTooSlow", limitMillis, traceId }
          }, closing)
        case "Unreadable":
          return malformed("The body could not be read", traceId)
      }
    }),
    Effect.flatMap((text) =>
      Effect.try({
        try: (): unknown => JSON.parse(text),
        catch: () => malformed("Parse error: the body is not JSON", traceId)
      })
    )
  )

const malformed = (message: string, traceId: string) =>
  refused(400, { code: McpError.parseError, message, data: { tag: "BadBody", traceId } })

export const methodOf = (body: unknown) => Predicate.hasProperty(body, "method") ? body.method : undefined

/** The trace in the message's own `_meta`, which is preferred to the header's. */
export const traceparentIn = (body: unknown): string | undefined => {
  const params = Predicate.hasProperty(body, "params") ? body.params : undefined
  const meta = Predicate.hasProperty(params, "_meta") ? params._meta : undefined
  const traceparent = Predicate.hasProperty(meta, "traceparent") ? meta.traceparent : undefined
  return typeof traceparent === "string" ? traceparent : undefined
}
