// The tool calls that clients of 2025 wait for over HTTP, so that a cancellation, which is a request of its own,
// finds its call.
import type { Caller } from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import { Effect, Schema } from "effect"

export interface InFlightCall {
  readonly runId: string
  /** Whether the call waits for a decision of its client. */
  readonly isAsking: () => boolean
  /** Ends the waiting request without an answer. */
  readonly close: () => Promise<void>
}

const Cancellation = Schema.Struct({
  method: Schema.Literal("notifications/cancelled"),
  params: Schema.Struct({
    requestId: Schema.Union([Schema.String, Schema.Finite]),
    reason: Schema.optionalKey(Schema.String)
  })
})

export const isCancellation = Schema.is(Cancellation)

/**
 * The calls in flight on this server, by session and request id. A session is only a name that the server gave its client,
 * which keeps the request ids of clients apart.
 */
export class InFlightCalls {
  private readonly calls = new Map<string, InFlightCall>()

  add(session: string, requestId: string | number, call: InFlightCall): () => void {
    const key = keyOf(session, requestId)
    this.calls.set(key, call)
    return () => {
      if (this.calls.get(key) === call) this.calls.delete(key)
    }
  }

  /**
   * Cancels the run of a waiting request, unless the run waits for a decision. Unknown requests and requests of other
   * callers are ignored.
   */
  cancel(
    runtime: Runtime["Service"],
    caller: Caller,
    session: string,
    { params }: typeof Cancellation.Type
  ): Effect.Effect<void> {
    const call = this.calls.get(keyOf(session, params.requestId))
    if (call === undefined) return Effect.void
    return runtime.get(caller, call.runId).pipe(
      Effect.map(() => call.isAsking()),
      Effect.tap(() => Effect.promise(call.close)),
      Effect.flatMap((isAsking) =>
        isAsking
          ? Effect.void
          : Effect.asVoid(runtime.cancel(caller, call.runId, params.reason ?? "cancelled by the client"))
      ),
      Effect.ignore
    )
  }
}

const keyOf = (session: string, requestId: string | number) => JSON.stringify([session, requestId])
