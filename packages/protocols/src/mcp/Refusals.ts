// Refusals of the endpoint that come with an HTTP status, as JSON-RPC errors; Endpoint answers with them before the SDK does.
import type * as Caller from "@fastagentic/core/door/Caller"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as McpError from "./McpError.ts"

/** A refusal as a JSON-RPC error. */
export const refused = (
  status: number,
  error: Pick<McpError.McpError, "code" | "message" | "data">,
  headers: Record<string, string> = {},
  id: unknown = null
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe(
    { jsonrpc: "2.0", id, error: { code: error.code, message: error.message, data: error.data } },
    { status, headers }
  )

export const sessionNotFound = ({ traceId }: Caller.Caller) =>
  refused(404, {
    code: McpError.invalidRequest,
    message: "The session has ended",
    data: { tag: "SessionNotFound", traceId }
  })

/** There is no stream to open, and no session to end. */
export const notAllowed = ({ traceId }: Caller.Caller) =>
  refused(
    405,
    { code: McpError.invalidRequest, message: "Method not allowed", data: { tag: "MethodNotAllowed", traceId } },
    { allow: "POST" }
  )
