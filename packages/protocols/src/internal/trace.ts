// The trace id and `traceparent` on every answer of REST, MCP and A2A.
import * as Caller from "@fastagentic/core/door/Caller"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** Adds the headers that name the trace of an answer. */
export const withTrace = (
  response: HttpServerResponse.HttpServerResponse,
  { span, traceId }: Pick<Caller.Caller, "span" | "traceId">
) =>
  HttpServerResponse.setHeaders(response, {
    "x-trace-id": traceId,
    traceparent: span?._tag === "Span" ? Tracing.toTraceparent(span) : Caller.toTraceparent(traceId)
  })

export const hasTrace = ({ headers }: HttpServerResponse.HttpServerResponse): boolean =>
  headers["x-trace-id"] !== undefined
