// The tool calls that 2025-era clients wait for over HTTP, so that a cancellation, which comes in a request of its own,
// finds the call that it means.
import type { Caller } from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import { Effect, Schema } from "effect"

export interface WaitingCall {
  readonly runId: string
  /** Whether its client is being asked for a decision. */
  readonly isAsking: () => boolean
  /** Ends the request that waits, without an answer. */
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
 * Calls by session and request id. They are those in flight on this server and nothing else: a session is only a name
 * that the server gave its client, to tell its request ids from those of others.
 */
export class InFlightCalls {
  private readonly calls = new Map<string, WaitingCall>()

  add(session: string, requestId: string | number, call: WaitingCall): () => void {
    const key = keyOf(session, requestId)
    this.calls.set(key, call)
    return () => {
      if (this.calls.get(key) === call) this.calls.delete(key)
    }
  }

  /**
   * Cancels the run that a request waits for, unless it is the run that waits for a decision. A request that nobody knows,
   * or somebody else's, is left alone.
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
