// The tool calls that clients of 2025 wait for over HTTP, so that a cancellation, which is a request of its own,
// finds its call.
import type { Caller } from "@fastagentic/core/door/Caller"
import type { NoteOwner, Runtime, SharedFact } from "@fastagentic/core/operations/Runtime"
import type { RunError } from "@fastagentic/core/run/RunError"
import { Effect, Schema } from "effect"

export interface InFlightCall {
  readonly runId: string
  readonly caller: Caller
  /** Whether the call waits for a decision of its client. */
  readonly isAsking: () => boolean
  /** Ends the waiting request without an answer. */
  readonly close: () => Promise<void>
}

const Cancellation = Schema.Struct({
  method: Schema.Literal("notifications/cancelled"),
  params: Schema.Struct({
    requestId: Schema.Union([Schema.String.check(Schema.isMaxLength(256)), Schema.Finite]),
    reason: Schema.optionalKey(Schema.String)
  })
})

export const isCancellation = Schema.is(Cancellation)

/** A cancellation that another node has received. */
const isNoted = Schema.is(Schema.Struct({
  session: Schema.String,
  requestId: Cancellation.fields.params.fields.requestId,
  reason: Schema.String
}))

const notePrefix = "mcp/cancel/"

/** Other nodes read a note within seconds. */
const noteMillis = 60_000

/** A reason is for people. */
const reasonLength = 1_000

/**
 * The calls in flight on this server, by principal, session and request id: a session is only a name that the server gave its
 * client, and another principal may use the same one.
 */
export class InFlightCalls {
  private readonly calls = new Map<string, InFlightCall>()
  private readonly runtime: Runtime["Service"]

  constructor(runtime: Runtime["Service"]) {
    this.runtime = runtime
  }

  add(session: string, requestId: string | number, call: InFlightCall): Effect.Effect<() => void, RunError> {
    return Effect.map(this.runtime.principal(call.caller), (owner) => {
      const key = keyOf(owner, session, requestId)
      this.calls.set(key, call)
      return () => {
        if (this.calls.get(key) === call) this.calls.delete(key)
      }
    })
  }

  /**
   * Cancels the run of a waiting request, unless the run waits for a decision; the request may wait on another node. Unknown
   * requests and requests of other callers are ignored.
   */
  cancel(caller: Caller, session: string, { params }: typeof Cancellation.Type): Effect.Effect<void> {
    const { reason: whole = "cancelled by the client", requestId } = params
    const reason = whole.slice(0, reasonLength)
    return this.runtime.principal(caller).pipe(
      Effect.flatMap((owner) => {
        const call = this.calls.get(keyOf(owner, session, requestId))
        return call === undefined
          ? this.runtime.notes.put(owner, noteKey(session, requestId), { session, requestId, reason }, noteMillis)
          : this.end(caller, call, reason)
      }),
      Effect.ignore
    )
  }

  /** A fact that a node has shared. */
  noted({ key, owner, value }: SharedFact): Effect.Effect<void> {
    if (!key.startsWith(notePrefix) || !isNoted(value)) return Effect.void
    const call = this.calls.get(keyOf(owner, value.session, value.requestId))
    // The cancellation comes after the call, so that its caller is authenticated again.
    return call === undefined
      ? Effect.void
      : this.end({ ...call.caller, authenticated: undefined }, call, value.reason)
  }

  private end(caller: Caller, call: InFlightCall, reason: string): Effect.Effect<void> {
    return this.runtime.get(caller, call.runId).pipe(
      Effect.map(() => call.isAsking()),
      Effect.tap(() => Effect.promise(call.close)),
      Effect.flatMap((isAsking) =>
        isAsking ? Effect.void : Effect.asVoid(this.runtime.cancel(caller, call.runId, reason))
      ),
      Effect.ignore
    )
  }
}

const noteKey = (session: string, requestId: string | number) => notePrefix + JSON.stringify([session, requestId])

const keyOf = ({ id, tenant }: NoteOwner, session: string, requestId: string | number) =>
  JSON.stringify([tenant, id, session, requestId])
