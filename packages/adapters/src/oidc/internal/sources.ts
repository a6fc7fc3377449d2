// Bounds what one source of requests may ask of the issuer: few at a time, and few that wait. Introspection uses it, so that
// unknown tokens of one caller do not decide how long another one waits.
import { StoreUnavailable } from "@fastagentic/core/run/RunError"
import { Effect, Semaphore } from "effect"

/** Requests of one source that are asked at a time, and those that may wait beside them. */
export const atOnce = 4
export const waiting = 32

interface Source {
  readonly turn: Semaphore.Semaphore
  open: number
}

export class Sources {
  private readonly sources = new Map<string, Source>()

  /** Runs a request in the turn of its source, or refuses it at once when too many wait. */
  within<A, E>(name: string, request: Effect.Effect<A, E>): Effect.Effect<A, E | StoreUnavailable> {
    return Effect.suspend((): Effect.Effect<A, E | StoreUnavailable> => {
      const source = this.sources.get(name) ?? { turn: Semaphore.makeUnsafe(atOnce), open: 0 }
      if (source.open >= atOnce + waiting) return Effect.fail(new StoreUnavailable({ operation: "introspect a token" }))
      source.open++
      this.sources.set(name, source)
      return Effect.ensuring(
        source.turn.withPermit(request),
        Effect.sync(() => {
          if (--source.open === 0) this.sources.delete(name)
        })
      )
    })
  }
}
