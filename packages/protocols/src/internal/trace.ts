import * as Caller from "@fastagentic/core/Caller"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** An answer that says which trace it belongs to. */
export const labelled = (response: HttpServerResponse.HttpServerResponse, traceId: string) =>
  HttpServerResponse.setHeaders(response, { "x-trace-id": traceId, traceparent: Caller.toTraceparent(traceId) })

export const isLabelled = ({ headers }: HttpServerResponse.HttpServerResponse): boolean =>
  headers["x-trace-id"] !== undefined
