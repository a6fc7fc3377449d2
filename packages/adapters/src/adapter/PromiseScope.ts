/**
 * Runs a framework's promises and async iterables as Effects: aborted when their fiber is interrupted, then awaited.
 *
 * @since 0.1.0
 */
import { type Duration, Effect } from "effect"
import { Thrown } from "./AdapterError.ts"

/**
 * The scope in which foreign code runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Host {
  /** Aborts when the work ends for any reason. */
  readonly signal: AbortSignal
  /** Waits for a promise. */
  readonly call: <A>(start: () => PromiseLike<A>) => Effect.Effect<A, Thrown>
  /** Takes the next item only after the previous one has been handled, so nothing is buffered here. */
  readonly forEach: <A, E, R>(
    items: AsyncIterable<A>,
    handle: (item: A) => Effect.Effect<void, E, R>
  ) => Effect.Effect<void, E | Thrown, R>
}

/** The abort reason seen by code that is still running. @category errors @since 0.1.0 */
export class Stopped extends Error {
  override readonly name = "AbortError"
  constructor() {
    super("the run has ended")
  }
}

const ignore = () => {}

/**
 * Runs foreign code. When it ends or is interrupted the signal aborts, and pending promises get `grace` to settle.
 *
 * **Gotchas**
 *
 * JavaScript cannot be stopped from outside: code that ignores the signal keeps running after the grace period.
 *
 * @category combinators
 * @since 0.1.0
 */
export const host = <A, E, R>(
  use: (host: Host) => Effect.Effect<A, E, R>,
  options: { readonly grace?: Duration.Input } = {}
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const controller = new AbortController()
    const pending = new Set<PromiseLike<unknown>>()

    const call = <T>(start: () => PromiseLike<T>) =>
      Effect.callback<T, Thrown>((resume) => {
        const promise = Promise.resolve().then(start)
        pending.add(promise)
        promise.then(
          (value) => resume(Effect.succeed(value)),
          (cause: unknown) => resume(Effect.fail(new Thrown({ cause })))
        ).finally(() => pending.delete(promise))
      })

    const forEach = Effect.fnUntraced(function*<T, E2, R2>(
      items: AsyncIterable<T>,
      handle: (item: T) => Effect.Effect<void, E2, R2>
    ) {
      const iterator = items[Symbol.asyncIterator]()
      const next = call(() => iterator.next())
      const close = Effect.sync(() => {
        const closed = Promise.resolve().then(() => iterator.return?.()).then(ignore, ignore)
        pending.add(closed)
      })
      yield* Effect.gen(function*() {
        for (let item = yield* next; item.done !== true; item = yield* next) yield* handle(item.value)
      }).pipe(Effect.onError(() => close))
    })

    const stop = Effect.suspend(() => {
      controller.abort(new Stopped())
      if (pending.size === 0) return Effect.void
      const settled = Effect.promise(() => Promise.allSettled(pending))
      return Effect.raceFirst(
        Effect.interruptible(settled),
        Effect.interruptible(Effect.sleep(options.grace ?? "5 seconds"))
      )
    })

    return Effect.ensuring(use({ signal: controller.signal, call, forEach }), stop)
  })
