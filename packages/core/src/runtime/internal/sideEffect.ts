// Run.sideEffect: work in the transaction that records it; currentRun.ts calls it. It is exactly once.
import { Effect, type Schema } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import * as Timings from "../../base/Timings.ts"
import { CurrentRun } from "../../run/Run.ts"
import { SideEffectTimeout, StoreUnavailable } from "../../run/RunError.ts"
import type { LiveRun } from "./liveRun.ts"
import type { Place } from "./names.ts"
import { replayed, stepped, withStorable } from "./stepOutcome.ts"
import { withCalls } from "./withCalls.ts"

/** All other work of a run waits for the journal, which waits for the side effect. */
const outOfReach = (run: CurrentRun["Service"]): CurrentRun["Service"] => {
  const refuse = Effect.die(new Error("inside of Run.sideEffect a run can do nothing else"))
  return withCalls(run, {
    emit: () => refuse,
    step: () => refuse,
    sideEffect: () => refuse,
    sleep: () => refuse,
    interrupt: () => refuse,
    delegate: () => refuse,
    compensate: () => refuse,
    scope: () => refuse
  })
}

/** A step whose work and whose record are one transaction of the store. */
export const sideEffect = <E, R>(
  live: LiveRun,
  place: Place,
  name: string,
  effect: Effect.Effect<Schema.Json, E, R | SqlClient>,
  timeoutMillis: number = Timings.sideEffectMillis
): Effect.Effect<Schema.Json, E | SideEffectTimeout, Exclude<R, SqlClient>> =>
  live.named("step", place, name, (key) => {
    const known = live.outcomes.recorded(key)
    if (known !== undefined) return replayed<E | SideEffectTimeout>(live, place, key, known)
    const body = Effect.provideService(effect, CurrentRun, outOfReach(live.service)).pipe(
      Effect.timeoutOrElse({
        duration: timeoutMillis,
        orElse: () => Effect.fail(new SideEffectTimeout({ name: key, millis: timeoutMillis }))
      }),
      Effect.flatMap((value) => withStorable(key, value, Effect.succeed))
    )
    const transacted = live.journal.transact(
      body,
      (value) => live.writes.commitOf(stepped(live, key, value)),
      (write, written) => live.writes.accept(write, written)
    ).pipe(
      Effect.catchIf(
        (error): error is StoreUnavailable => error instanceof StoreUnavailable,
        (error) => Effect.andThen(Effect.sync(() => live.halt({ _tag: "Lost", error })), Effect.interrupt)
      ),
      Effect.onError((cause) => live.outcomes.failed(key, cause)),
      Effect.tap(() => live.stop === undefined ? Effect.void : Effect.interrupt)
    )
    return live.outcomes.caughtUp("step", place, key).pipe(
      Effect.andThen(live.writes.flushed),
      Effect.andThen(live.resting.activity.during(live.inRealTime(transacted)))
    )
  })
