import * as Caller from "@fastagentic/core/door/Caller"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** An answer that says which trace it belongs to. */
export const labelled = (
  response: HttpServerResponse.HttpServerResponse,
  { span, traceId }: Pick<Caller.Caller, "span" | "traceId">
) =>
  HttpServerResponse.setHeaders(response, {
    "x-trace-id": traceId,
    traceparent: span?._tag === "Span" ? Tracing.toTraceparent(span) : Caller.toTraceparent(traceId)
  })

export const isLabelled = ({ headers }: HttpServerResponse.HttpServerResponse): boolean =>
  headers["x-trace-id"] !== undefined
