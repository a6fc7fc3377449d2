// Watches whether the store is there and is still the one that was opened; Runtime.layer starts it and answers /ready from it.
// A store that was emptied or replaced is reported and not written to.
import { Effect, type Scope } from "effect"
import * as Timings from "../../base/Timings.ts"
import { StoreUnavailable } from "../../run/RunError.ts"
import type { StoreWriter } from "./storeWriter.ts"

export type Readiness = "ready" | "shutting down" | "store unavailable" | "store replaced"

export interface StoreWatch {
  /** Looks at the store at once, and starts to look regularly. */
  readonly run: Effect.Effect<void, StoreUnavailable, Scope.Scope>
  readonly readiness: Effect.Effect<Readiness>
}

const replaced = new StoreUnavailable({ operation: "write: the store is not the one that this process opened" })

export const makeStoreWatch = (writer: StoreWriter): StoreWatch => {
  let opened: string | undefined
  let state: Readiness = "ready"
  let lookedAt = -Infinity

  const become = (next: Readiness, error?: unknown) => {
    const before = state
    state = next
    lookedAt = performance.now()
    writer.refuse(next === "store replaced" ? replaced : undefined)
    if (next === "store replaced") {
      return Effect.logError("The store was emptied or replaced: nothing is written to it. Restart this process")
    }
    if (next === before) return Effect.void
    return next === "ready"
      ? Effect.logInfo("The store answers again")
      : Effect.logError("The store does not answer", error)
  }

  const look = Effect.matchEffect(Effect.timeout(writer.store.identity, "2 seconds"), {
    onFailure: (error) => become("store unavailable", error),
    onSuccess: (identity) => become(identity === opened ? "ready" : "store replaced")
  })

  const readiness = Effect.suspend(() => {
    const known = performance.now() - lookedAt < Timings.pollMillis ? Effect.void : look
    return Effect.map(known, (): Readiness => state === "ready" && writer.isFailing ? "store unavailable" : state)
  })

  const run = Effect.gen(function*() {
    opened = yield* writer.store.identity
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(Timings.reconcileMillis), look)))
  })

  return { run, readiness }
}
