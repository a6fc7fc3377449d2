// The connection to one server: opened on use, one at a time, again after it broke, and closed with its scope. remote.ts and
// call.ts send through it; a server that cannot be reached is asked again after a growing pause, not by every caller.
import type { Client, ClientOptions } from "@modelcontextprotocol/client"
import { Clock, Duration, Effect, Result, Schema, type Scope, Semaphore } from "effect"
import { Thrown } from "../../adapter/AdapterError.ts"
import { type RemoteUnauthorized, RemoteUnavailable, RequestError } from "../RemoteError.ts"
import { Calls, outside } from "./calls.ts"
import { type About, failureOf, isSessionGone, problemOf } from "./failure.ts"
import type { Library } from "./library.ts"
import type { Wire } from "./transports.ts"

export interface Connection {
  readonly server: string
  readonly library: Library
  readonly calls: Calls
  /** Works with a client, over a new connection where there is none, and reads what is thrown. */
  readonly use: <A, R>(
    about: About,
    work: (client: Client) => Effect.Effect<A, unknown, R>
  ) => Effect.Effect<A, RequestError, R>
  /** Tries at once again, because the app was let in. */
  readonly reset: () => void
  /** Sends a request that has the time limit of the connection. */
  readonly request: <A>(
    method: string,
    send: (client: Client, options: { readonly signal: AbortSignal; readonly timeout: number }) => Promise<A>
  ) => Effect.Effect<A, RequestError>
  /** Opens the connection, and counts: what was read over an earlier one may have changed. */
  readonly ready: Effect.Effect<number, RemoteUnavailable | RemoteUnauthorized>
}

export interface Options {
  readonly server: string
  readonly library: Library
  readonly calls: Calls
  readonly open: () => Wire
  readonly client: ClientOptions
  readonly connectTimeout: Duration.Input
  readonly timeout: Duration.Input
  /** Prepares each new client: the handlers of the server's questions. */
  readonly prepare: (client: Client) => void
  /** Changes may have been missed. */
  readonly onMissed: () => void
}

interface Open {
  readonly client: Client
  readonly wire: Wire
  readonly since: number
  isOver: boolean
}

type Unreached = RemoteUnavailable | RemoteUnauthorized

/** The pause before the next attempt, after so many failures. */
const pauseMillis = (failures: number) => failures === 0 ? 0 : Math.min(30_000, 250 * 2 ** failures)

/** A process that ends so soon has failed. */
const shortLived = 10_000

export const make = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<Connection, never, Scope.Scope> {
  const { calls, library, server } = options
  const turn = yield* Semaphore.make(1)
  const connectMillis = Duration.toMillis(Duration.fromInputUnsafe(options.connectTimeout))
  const millis = Duration.toMillis(Duration.fromInputUnsafe(options.timeout))
  let open: Open | undefined
  let [failures, notBefore, generation] = [0, 0, 0]
  let last: Unreached | undefined

  const failed = (now: number, error?: Unreached) => {
    failures++
    notBefore = now + pauseMillis(failures)
    last = error ?? last
  }

  const connect = Effect.fnUntraced(function*(): Effect.fn.Return<Open, Unreached> {
    const wire = options.open()
    const client = new library.Client({ name: "fastagentic", version: "0.1.0" }, options.client)
    options.prepare(client)
    const made: Open = { client, wire, since: yield* Clock.currentTimeMillis, isOver: false }
    client.onclose = () => {
      made.isOver = true
    }
    // The timer and the reader of the connection outlive the call that needed it.
    const opened = yield* Effect.tryPromise({
      try: (signal) => outside(() => client.connect(wire.transport, { signal, timeout: connectMillis })),
      catch: (cause) => new Thrown({ cause })
    }).pipe(
      Effect.onError(() => Effect.promise(() => client.close().catch(() => {}))),
      Effect.timeoutOption(connectMillis),
      Effect.result
    )
    if (Result.isSuccess(opened) && opened.success._tag === "Some") {
      outside(() => void keepListening(made, options.onMissed))
      return made
    }
    yield* Effect.promise(() => client.close().catch(() => {}))
    const failure = Result.isFailure(opened)
      ? failureOf(library, { server, method: "connect" }, opened.failure)
      : undefined
    return yield* failure?._tag === "RemoteUnauthorized"
      ? failure
      : new RemoteUnavailable({
        server,
        problem: Result.isFailure(opened)
          ? problemOf(opened.failure.cause)
          : `it does not answer within ${connectMillis} ms`
      })
  })

  const opened = turn.withPermits(1)(Effect.gen(function*() {
    if (open?.isOver === false) return open
    const now = yield* Clock.currentTimeMillis
    if (open !== undefined && failures === 0 && now - open.since < shortLived) failed(now)
    open = undefined
    const wait = notBefore - now
    // A caller waits for a short pause, and learns at once what was wrong before a long one.
    if (wait > 1_000 && last !== undefined) return yield* last
    if (wait > 0) yield* Effect.sleep(wait)
    const result = yield* Effect.result(connect())
    if (Result.isFailure(result)) {
      failed(yield* Clock.currentTimeMillis, result.failure)
      return yield* result.failure
    }
    failures = 0
    generation++
    open = result.success
    return open
  }))

  const close = (one: Open) =>
    Effect.promise(async () => {
      one.isOver = true
      await one.wire.leave().catch(() => {})
      await one.client.close().catch(() => {})
    }).pipe(Effect.timeoutOption("5 seconds"))

  yield* Effect.addFinalizer(() => open === undefined ? Effect.void : Effect.asVoid(close(open)))

  const use: Connection["use"] = (about, work) =>
    Effect.flatMap(opened, (one) =>
      work(one.client).pipe(
        // A server that has forgotten the session has not carried the request out.
        Effect.catchIf(
          (error) => one.wire.hasSession() && isSessionGone(library, error),
          () => {
            one.isOver = true
            return Effect.flatMap(opened, ({ client }) => work(client))
          }
        ),
        Effect.mapError((error) => isRequestError(error) ? error : failureOf(library, about, error))
      ))

  return {
    server,
    library,
    calls,
    ready: Effect.map(opened, () => generation),
    use,
    reset: () => {
      failures = 0
      notBefore = 0
    },
    request: (method, send) =>
      use({ server, method }, (client) =>
        Effect.tryPromise({
          try: (signal) => send(client, { signal, timeout: millis }),
          catch: (cause) => new Thrown({ cause })
        })).pipe(
          // A list that is not answered carries nothing out: the tool that was to be called after it has not been called.
          Effect.catchTag("RemoteLost", ({ problem }) => Effect.fail(new RemoteUnavailable({ server, problem })))
        )
  }
})

/** Subscribes again to the changes of the lists when the stream of 2026-07-28 has ended, as long as the connection is used. */
const keepListening = async (one: Open, onMissed: () => void) => {
  let subscription = one.client.autoOpenedSubscription
  for (let failed = 0; subscription !== undefined && failed < 8;) {
    if (await subscription.closed === "local") return
    await new Promise((resolve) => setTimeout(resolve, pauseMillis(failed + 1)).unref())
    if (one.isOver) return
    const again = await one.client.listen(subscription.honoredFilter).catch(() => undefined)
    failed = again === undefined ? failed + 1 : 0
    subscription = again ?? subscription
    onMissed()
  }
}

const isRequestError = Schema.is(RequestError)
