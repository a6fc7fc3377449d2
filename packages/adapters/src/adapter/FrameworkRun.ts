/**
 * Runs a framework's agent inside a run: its promises call back into the run, for a step, a model, a tool or a pause.
 *
 * @since 0.1.0
 */
import { CurrentRun } from "@fastagentic/core/run/Run"
import { Cause, Deferred, Effect, Exit, FiberSet } from "effect"
import { AsyncLocalStorage } from "node:async_hooks"
import { Thrown } from "./AdapterError.ts"
import * as PromiseScope from "./PromiseScope.ts"

/**
 * The run as the code of a framework reaches it.
 *
 * @category models
 * @since 0.1.0
 */
export interface FrameworkRun {
  /** Aborts when the run ends for any reason. */
  readonly signal: AbortSignal
  /**
   * Runs an effect of the run and gives its value. A typed failure rejects the promise; a defect, such as an exceeded
   * budget, also ends the run, whatever the framework makes of the rejection.
   */
  readonly promise: <A, E>(effect: Effect.Effect<A, E, CurrentRun>) => Promise<A>
  /** The same for an effect whose failure ends the run, whatever the framework makes of the rejection. */
  readonly decisive: <A, E>(effect: Effect.Effect<A, E, CurrentRun>) => Promise<A>
  /** Waits for code of the framework, in the place of the run that this effect is in; `signal` aborts with its fiber. */
  readonly wait: <A>(start: (signal: AbortSignal) => A | PromiseLike<A>) => Effect.Effect<A, Thrown, CurrentRun>
}

/** The place of the code that runs now; it counts only for the framework whose code it is, because a tool may start other runs. */
const places = new AsyncLocalStorage<{ readonly owner: object; readonly place: CurrentRun["Service"] }>()

const stopped = () => new PromiseScope.Stopped()

/**
 * Runs a framework until its promise settles. When the run ends or leaves memory the signal aborts, and the framework gets
 * `grace` to settle.
 *
 * @category combinators
 * @since 0.1.0
 */
export const within = <A>(use: (run: FrameworkRun) => PromiseLike<A>): Effect.Effect<A, Thrown, CurrentRun> =>
  PromiseScope.host((host) =>
    Effect.scoped(Effect.gen(function*() {
      const top = yield* CurrentRun
      const fatal = yield* Deferred.make<never, Thrown>()
      const fork = yield* FiberSet.makeRuntimePromise<CurrentRun>()
      const controller = new AbortController()
      const here = () => {
        const known = places.getStore()
        return known?.owner === controller ? known.place : top
      }
      // Added last, so it runs before the fibers are interrupted: the framework learns first that the run is over.
      yield* Effect.addFinalizer(() => Effect.sync(() => controller.abort(stopped())))

      const promise = <B, E>(effect: Effect.Effect<B, E, CurrentRun>): Promise<B> => {
        if (controller.signal.aborted) return Promise.reject(controller.signal.reason)
        return fork(
          Effect.provideService(effect, CurrentRun, here()).pipe(
            Effect.onExit((exit) =>
              Exit.isFailure(exit) && Cause.hasDies(exit.cause)
                ? Deferred.die(fatal, Cause.squash(exit.cause))
                : Effect.void
            )
          )
        )
      }

      const decisive = <B, E>(effect: Effect.Effect<B, E, CurrentRun>) =>
        promise(Effect.tapError(effect, (cause) => Deferred.fail(fatal, new Thrown({ cause }))))

      const wait = <B>(start: (signal: AbortSignal) => B | PromiseLike<B>) =>
        CurrentRun.use((place) => {
          const own = new AbortController()
          const signal = AbortSignal.any([own.signal, controller.signal])
          return host.call(() => places.run({ owner: controller, place }, async () => start(signal))).pipe(
            Effect.onInterrupt(() => Effect.sync(() => own.abort(stopped())))
          )
        })

      return yield* Effect.raceFirst(
        host.call(() => use({ signal: controller.signal, promise, decisive, wait })),
        Deferred.await(fatal)
      )
    }))
  )
