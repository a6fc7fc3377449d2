import { RunError, RunStore } from "@fastagentic/core"
import { Deferred, Effect, Layer } from "effect"
import { type Death, dying } from "../fixture/dying.ts"

/** A process that can die: its store, its death from inside, and the moment of it. */
export interface Mortal {
  readonly store: Layer.Layer<RunStore.RunStore, never, RunStore.RunStore>
  readonly die: () => void
  readonly isDead: () => boolean
  readonly died: Effect.Effect<"died">
}

/** A process in this one: after its simulated death it writes nothing. */
export const mortal = Effect.map(Deferred.make<"died">(), (died) => (death?: Omit<Death, "die">): Mortal => {
  let dead = false
  const die = () => {
    dead = true
    Deferred.doneUnsafe(died, Effect.succeed("died"))
  }
  const gone = Effect.fail(new RunError.StoreUnavailable({ operation: "gone" }))
  const store = Layer.effect(
    RunStore.RunStore,
    Effect.map(RunStore.RunStore, (real) => {
      const store = death === undefined ? real : dying(real, { ...death, die })
      return { ...store, write: (writes) => Effect.suspend(() => dead ? gone : store.write(writes)) }
    })
  )
  return { store, die, isDead: () => dead, died: Deferred.await(died) }
})

/** The result of a life, or that it ended before. What fails because of the death is no result. */
export const untilDeath = <A, E, R>({ died, isDead }: Mortal, lived: Effect.Effect<A, E, R>) =>
  Effect.raceFirst(
    Effect.matchEffect(lived, {
      onFailure: (error) => isDead() ? Effect.never : Effect.fail(error),
      onSuccess: Effect.succeed
    }),
    died
  )
