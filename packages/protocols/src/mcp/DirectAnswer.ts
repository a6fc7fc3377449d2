// Answers a plain call of 2026-07-28 (DirectCall) as the SDK's server would, in the fiber of its HTTP request; Endpoint calls it.
import * as Caller from "@fastagentic/core/door/Caller"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { Limits } from "../internal/limits.ts"
import { PublicAddress, urlOf } from "../internal/publicAddress.ts"
import { withTrace } from "../internal/trace.ts"
import * as CallMethod from "./CallMethod.ts"
import { answering, callerOf, type Message, modernClientOf, notRegistered, type Options, spanOf } from "./Connection.ts"
import type { DirectCall } from "./DirectCall.ts"
import * as McpError from "./McpError.ts"
import { isClientAbort } from "./WebBridge.ts"

export const make = ({ catalog, runtime }: Pick<Options, "catalog" | "runtime">) => {
  const method = CallMethod.make({ catalog, runtime })
  const answer = answering(runtime)
  const server = { [serverInfo]: catalog.server }

  return (
    { arguments: args, id, meta, name }: DirectCall,
    caller: Caller.Caller
  ): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
    Effect.flatMap(PublicAddress, (address) => {
      const limits = new Limits()
      const message: Message = {
        mcpReq: { id, method: "tools/call", _meta: meta, envelope: meta, notify: () => Promise.resolve() }
      }
      const connection = {
        credentials: caller.credentials,
        authenticated: caller.authenticated,
        traceparent: caller.span?._tag === "Span"
          ? Tracing.toTraceparent(caller.span)
          : Caller.toTraceparent(caller.traceId),
        onLimits: limits.record
      }
      const called = callerOf(connection, message)
      const flow = {
        _tag: "Rounds",
        client: modernClientOf(message, revision),
        state: undefined,
        responses: {}
      } as const
      const call = method({ name, arguments: args }, message, {
        path: address.path,
        reader: { revision, url: urlOf(address) },
        era: "modern",
        register: () => notRegistered,
        logLevel: Effect.undefined,
        elicitation: () => flow,
        isCancelled: isClientAbort
      })
      return Effect.map(
        Effect.result(answer(called, call, "tools/call", () => spanOf(connection, message, called))),
        (answered) =>
          withTrace(
            limits.addHeaders(
              answered._tag === "Success" ? success(id, answered.success, server) : failure(id, answered.failure)
            ),
            called.traceId === caller.traceId ? caller : { traceId: called.traceId }
          )
      )
    })
}

const revision = "2026-07-28"
const serverInfo = "io.modelcontextprotocol/serverInfo"

const success = (id: DirectCall["id"], result: Sdk.Result, server: object) =>
  json(
    { jsonrpc: "2.0", id, result: { resultType: "complete", ...result, _meta: { ...result._meta, ...server } } },
    200
  )

/** An ability that the client lacks is known before the call, so that the status says it. */
const failure = (id: DirectCall["id"], { code, data, message }: McpError.McpError) =>
  json({ jsonrpc: "2.0", id, error: { code, message, data } }, code === McpError.missingCapability ? 400 : 200)

const json = (message: object, status: number) =>
  HttpServerResponse.text(JSON.stringify(message), { status, contentType: "application/json" })
