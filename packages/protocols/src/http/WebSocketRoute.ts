/**
 * `GET /ws`: many runs over one WebSocket.
 *
 * Frames are JSON text. The client chooses an `id` for each of its frames, and every answer to it carries that id.
 *
 * | client frame | fields | is answered by |
 * | --- | --- | --- |
 * | `start` | `agent` or `tool`, `payload`, `idempotencyKey?`, `threadId?`, `priority?`, `startAt?`, `timeout?`, `follow?` (default `true`) | `result`, then as `follow` |
 * | `follow` | `runId`, `after?` (default 0) | `result`, an `event` each, `end` once the run has ended |
 * | `unfollow` | `runId` | `result` |
 * | `cancel` | `runId`, `reason?` | `result`, once the run has ended or its undos are to run |
 * | `answer` | `runId`, `interruptId`, `decision`, `value?`, `reason?`, `idempotencyKey?` | `result` |
 * | `signal` | `runId`, `name`, `payload`, `idempotencyKey?` | `result` |
 * | `messages` | `threadId`, `order?`, `after?`, `limit?`, `owner?` | `messages` |
 * | `ping` | | `pong` |
 *
 * | server frame | fields |
 * | --- | --- |
 * | `result` | `id`, `run` |
 * | `messages` | `id`, `threadId`, `items`, `next`: the `after` of the page that follows, or null |
 * | `event` | `id`, `event`; a later `after` continues from its `seq` |
 * | `end` | `id`, `runId`, `state` |
 * | `error` | `id?`, `problem`, as REST's problem details |
 * | `pong` | `id` |
 * | `heartbeat` | |
 * | `closing` | `retryMillis`: the server shuts down and closes with 1001 |
 *
 * Frames are handled one after the other; only `cancel` lets later ones pass while it waits. A connection follows a run
 * once: following it again replaces the earlier follower. An invalid frame is answered by an `error`, and the connection
 * stays open. It is closed with 3000 once the credentials that opened it are not valid any more. A client that reads nothing for `drainTimeout` is closed with 1013 and can continue from the journal.
 *
 * @since 0.1.0
 */
import * as Caller from "@fastagentic/core/door/Caller"
import { Runtime } from "@fastagentic/core/operations/Runtime"
import * as Credentials from "@fastagentic/core/run/Credentials"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import { Deferred, Effect, Option, RcRef, type Scope } from "effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { SocketError } from "effect/socket/Socket"
import { checkHandshake } from "../internal/handshake.ts"
import * as Problem from "./Problem.ts"
import type * as RequestContext from "./RequestContext.ts"
import * as SocketConnection from "./SocketConnection.ts"
import { ClientFrame, ServerFrame } from "./SocketFrames.ts"
import * as SocketWriter from "./SocketWriter.ts"

export { ClientFrame, ServerFrame }

/** The limits of every connection and their defaults. @category references @since 0.1.0 */
export const Limits = SocketWriter.Limits

/** @category routes @since 0.1.0 */
export const make: Effect.Effect<RequestContext.Handler, never, Scope.Scope | Runtime> = Effect.gen(function*() {
  const limits = yield* SocketWriter.Limits
  const watch = yield* RcRef.make({ acquire: watchRuntime(yield* Runtime) })
  return (runtime) =>
    Effect.flatMap(Effect.all([HttpServerRequest.HttpServerRequest, Tracing.current]), ([request, span]) => {
      const caller = Caller.make("websocket", {
        credentials: Credentials.fromHeaders(request.headers, Option.getOrUndefined(request.peerAddress)),
        traceparent: request.headers["traceparent"],
        span
      })
      return runtime.connect(caller).pipe(
        Effect.andThen(checkHandshake(request)),
        Effect.andThen(serveConnection({ runtime, caller, request, limits, watch })),
        Effect.scoped,
        Effect.catchTags({
          RunError: (error) => Problem.fromRunError(error, { traceId: caller.traceId }),
          UpgradeRequired: (error) => Problem.fromReason(error, { traceId: caller.traceId }),
          BadHandshake: (error) => Problem.fromReason(error, { traceId: caller.traceId })
        })
      )
    })
})

/**
 * Fails once the server shuts down, for connections that follow no run. All connections share one.
 *
 * @internal
 */
export const watchRuntime = Effect.fnUntraced(function*({ ready }: Runtime["Service"]) {
  const watch = yield* Deferred.make<never, SocketWriter.SocketClose>()
  yield* Effect.sleep("1 second").pipe(
    Effect.andThen(ready),
    Effect.repeat({ while: (admits: boolean) => admits }),
    Effect.andThen(Deferred.fail(watch, SocketWriter.goingAway)),
    Effect.forkScoped
  )
  return watch
})

/** The connection from its upgrade to its end. Its runs do not depend on it. */
const serveConnection = ({ caller, limits, request, runtime, watch }: {
  readonly runtime: Runtime["Service"]
  readonly caller: Caller.Caller
  readonly request: HttpServerRequest.HttpServerRequest
  readonly limits: SocketWriter.Limits
  readonly watch: RcRef.RcRef<Deferred.Deferred<never, SocketWriter.SocketClose>>
}) =>
  Effect.gen(function*() {
    const socket = yield* request.upgrade
    const { pull } = yield* socket.reader
    const writer = SocketWriter.make(yield* socket.writer, request, limits)
    const connection = yield* SocketConnection.make({ runtime, caller, writer, limits })
    const listen = writer.drained.pipe(
      Effect.andThen(pull),
      Effect.flatMap((messages) => Effect.forEach(messages, connection.receive, { discard: true })),
      Effect.forever
    )
    const beat = Effect.forever(Effect.andThen(Effect.sleep(limits.heartbeat), writer.beat))
    const parts: ReadonlyArray<Effect.Effect<void, SocketWriter.SocketClose | SocketError>> = [
      listen,
      beat,
      connection.ended,
      Effect.catchTag(runtime.credentialsEnd(caller), "RunError", () => Effect.fail(SocketWriter.notAuthenticated)),
      Deferred.await(yield* RcRef.get(watch))
    ]
    yield* Effect.raceAllFirst(parts).pipe(
      Effect.catchTag("SocketClose", writer.close),
      Effect.onInterrupt(() => writer.close(SocketWriter.goingAway))
    )
  }).pipe(
    Effect.scoped,
    Effect.catchTags({
      // The client has disconnected, as most connections end.
      SocketError: () => Effect.void,
      HttpServerError: () => Effect.fail(new Problem.UpgradeRequired())
    }),
    Effect.as(HttpServerResponse.empty())
  )
