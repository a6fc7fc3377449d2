// Starting runs and reading their journals for the calls of effect/rpc: a call waits for its answer, a stream ends as its
// run does. Losing the client ends the wait, never the run. RpcHandlers uses it.
import type { Caller } from "@fastagentic/core/door/Caller"
import type { FollowError, RunHandle, Runtime, Started } from "@fastagentic/core/operations/Runtime"
import type { RunEvent } from "@fastagentic/core/run/Event"
import { InvalidPayload, RunError, ShuttingDown, StoreUnavailable } from "@fastagentic/core/run/RunError"
import { isFinal, type RunRecord } from "@fastagentic/core/run/RunRecord"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import { Effect, Schema, Stream } from "effect"
import type { Headers } from "effect/http/Headers"
import * as Schemas from "../http/Schemas.ts"
import * as Timeouts from "../internal/timeouts.ts"
import * as RpcFailure from "./RpcFailure.ts"

type Refused = RpcFailure.Refused

/** Starts a run with the options that its headers give. */
export const start = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  caller: Caller,
  target: { readonly kind: "agent" | "tool"; readonly identifier: string },
  payload: unknown,
  headers: Headers
): Effect.fn.Return<Started, RunError> {
  return yield* runtime.start(caller, {
    ...target,
    payload: payload ?? {},
    idempotencyKey: keyOf(headers),
    threadId: headers["x-thread-id"] || undefined,
    priority: yield* numberIn(Schemas.Priority, "x-priority", headers),
    startAt: yield* instantIn("x-start-at", headers),
    timeout: yield* Timeouts.timeoutIn("x-timeout", headers["x-timeout"])
  })
})

export const keyOf = (headers: Headers): string | undefined => headers["idempotency-key"] || undefined

const numberIn = (schema: typeof Schemas.Priority, name: string, headers: Headers) =>
  headers[name] ? decodeHeader(schema, name, Number(headers[name])) : Effect.undefined

const instantIn = (name: string, headers: Headers) =>
  headers[name] ? Effect.map(decodeHeader(Schemas.Instant, name, headers[name]), Schemas.millisOf) : Effect.undefined

const decodeHeader = <A>(schema: Schema.ConstraintCodec<A, A>, name: string, value: A) =>
  Effect.mapError(
    Schema.decodeEffect(schema)(value),
    (error) =>
      new RunError({ reason: new InvalidPayload({ target: name, issues: [{ path: [], message: error.message }] }) })
  )

/** The answer of a run, once it has one. */
export const answer = Effect.fnUntraced(function*(
  { interrupts, settled }: RunHandle,
  traceId: string
): Effect.fn.Return<unknown, RunError | Refused> {
  const run = yield* Tracing.silently(settled)
  if (run.state === "completed") return run.output ?? null
  const subject = { traceId, runId: run.runId }
  const ended = endOf(run, subject)
  if (ended !== undefined) return yield* Effect.fail(ended)
  // A stopping server lets go of the run, which continues elsewhere.
  if (run.state !== "suspended" || run.waitsFor === undefined) {
    return yield* Effect.fail(RpcFailure.because(new ShuttingDown(), subject))
  }
  return yield* Effect.fail(RpcFailure.suspended(run, yield* interrupts))
})

const endOf = (run: RunRecord, subject: RpcFailure.Subject): Refused | undefined =>
  run.error !== undefined
    ? RpcFailure.ofFailure(run.error, subject)
    : run.state === "cancelled"
    ? RpcFailure.cancelled(subject)
    : undefined

/** The journal of a run after an event; `ends` makes the stream fail as its run does. */
export const journal = (
  runtime: Runtime["Service"],
  handle: RunHandle,
  { after, ends, traceId }: { readonly after: number; readonly ends: boolean; readonly traceId: string }
): Stream.Stream<RunEvent, RunError | Refused> => {
  const subject = { traceId, runId: handle.run.runId }
  const closing = Effect.flatMap(runtime.ready, (ready) =>
    Effect.fail(
      RpcFailure.because(ready ? new StoreUnavailable({ operation: "follow" }) : new ShuttingDown(), subject)
    ))
  return Stream.unwrap(handle.follow({ after, until: ends ? "settled" : "final" })).pipe(
    Stream.flatMap((page) => page.closing ? Stream.fromEffect(closing) : Stream.fromIterable(page.events)),
    Stream.mapError((error) => refusedBy(error, subject)),
    Stream.concat(ends ? Stream.unwrap(Effect.map(handle.current, (run) => ending(run, subject))) : Stream.empty)
  )
}

const refusedBy = (error: FollowError | RunError | Refused, subject: RpcFailure.Subject): RunError | Refused =>
  "_tag" in error && error._tag !== "RunError" ? RpcFailure.because(error, subject) : error

const ending = (run: RunRecord, subject: RpcFailure.Subject): Stream.Stream<never, Refused> => {
  const ended = isFinal(run.state) ? endOf(run, subject) : undefined
  return ended === undefined ? Stream.empty : Stream.fail(ended)
}
