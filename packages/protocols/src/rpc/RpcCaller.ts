// The caller of a call: of the HTTP request or WebSocket that brought it, else of its own headers, as in a worker. Routes
// provide the connection to the fiber that reads messages; the server of effect/rpc passes it on to the handlers.
import * as Caller from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import * as Credentials from "@fastagentic/core/run/Credentials"
import { type RunError, TooManyOpen } from "@fastagentic/core/run/RunError"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import { Context, Effect, type Scope } from "effect"
import type { Headers } from "effect/http/Headers"

export interface Connection {
  /** Looks at the credentials of the connection again if it lives on between calls. */
  readonly caller: Effect.Effect<Caller.Caller, RunError>
  readonly traceId: string
  /** The calls that have no answer yet. */
  open: number
}

export const Connection = Context.Reference<Connection | undefined>("@fastagentic/protocols/rpc/RpcCaller/Connection", {
  defaultValue: () => undefined
})

/** How many calls of one connection may have no answer yet. */
const limit = 256

/** Counts a call until it ends, or gives the refusal of one more. */
export const count = (connection: Connection | undefined): Effect.Effect<TooManyOpen | undefined, never, Scope.Scope> =>
  Effect.suspend(() => {
    if (connection === undefined) return Effect.undefined
    if (connection.open >= limit) return Effect.succeed(new TooManyOpen({ rule: "rpc calls", limit }))
    connection.open++
    return Effect.as(
      Effect.addFinalizer(() =>
        Effect.sync(() => {
          connection.open--
        })
      ),
      undefined
    )
  })

/** The caller of a call, in the trace that its own headers name. */
export const callerOf = (
  connection: Connection | undefined,
  runtime: Runtime["Service"],
  headers: Headers
): Effect.Effect<Caller.Caller, RunError> => {
  const { traceparent } = headers
  if (connection === undefined) {
    return runtime.authenticate(Caller.make("rpc", { credentials: Credentials.fromHeaders(headers), traceparent }))
  }
  const span = Tracing.fromTraceparent(traceparent)
  return Effect.map(
    connection.caller,
    (caller) =>
      span === undefined || span.traceId === caller.traceId ? caller : { ...caller, traceId: span.traceId, span }
  )
}
