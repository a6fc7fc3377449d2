/**
 * Port: what has been used of each limit, shared by every process that has the same store.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer } from "effect"
import type { StoreUnavailable } from "../run/RunError.ts"

/**
 * One counter of a call. All requests for one key use the same window and algorithm.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counter {
  readonly key: string
  readonly limit: number
  readonly windowMillis: number
  readonly algorithm: "fixed-window" | "token-bucket"
}

/** Whether a counter had room, and how it stands now. @category models @since 0.1.0 */
export interface Taken {
  readonly allowed: boolean
  /** How much of the limit is used; a token bucket gives back fractions. */
  readonly used: number
  /** The time until none of the limit is used any more. */
  readonly resetMillis: number
}

/** The state of a counter in its store: how much was used, at the start of a window or when a bucket was last touched. @category models @since 0.1.0 */
export interface State {
  readonly used: number
  readonly since: number
}

/**
 * **Details**
 *
 * A window begins with the first call and ends when it is over: no more than the limit is taken in it, by however many
 * processes. A bucket gives back one call after every `windowMillis / limit`.
 *
 * @category services
 * @since 0.1.0
 */
export class RateCounters extends Context.Service<RateCounters, {
  /** Takes one from each of these counters, or from none when one of them has no room. No key comes twice. */
  readonly take: (counters: ReadonlyArray<Counter>) => Effect.Effect<ReadonlyArray<Taken>, StoreUnavailable>
}>()("@fastagentic/core/door/RateCounters") {
  static readonly layerMemory: Layer.Layer<RateCounters> = Layer.sync(RateCounters, () => makeMemory())
}

/** When a counter is as if it had never been used. @category accessors @since 0.1.0 */
export const endOf = ({ algorithm, limit, windowMillis }: Counter, { since, used }: State): number =>
  algorithm === "fixed-window" ? since + windowMillis : since + used * windowMillis / limit

/**
 * The decision itself, for stores that make it in JavaScript: `next` is what to keep, or nothing when a call is refused.
 *
 * @category combinators
 * @since 0.1.0
 */
export const decide = (
  counters: ReadonlyArray<Counter>,
  states: ReadonlyArray<State | undefined>,
  now: number
): { readonly taken: ReadonlyArray<Taken>; readonly next: ReadonlyArray<State> | undefined } => {
  const before = counters.map((counter, index) => stateAt(counter, states[index], now))
  const room = counters.map(({ limit }, index) => (before[index]?.used ?? 0) + 1 <= limit + tolerance)
  const allowed = room.every(Boolean)
  const after = allowed ? before.map(({ since, used }) => ({ used: used + 1, since })) : before
  return {
    taken: counters.map((counter, index) => {
      const state = after[index] ?? { used: 0, since: now }
      const resetMillis = state.used === 0 ? 0 : Math.max(0, endOf(counter, state) - now)
      return { allowed: room[index] ?? false, used: state.used, resetMillis }
    }),
    next: allowed ? after : undefined
  }
}

/** Fractions of calls are given back: what is lost in their sum is no call. */
const tolerance = 1e-6

const stateAt = (counter: Counter, state: State | undefined, now: number): State => {
  if (state === undefined || endOf(counter, state) <= now) return { used: 0, since: now }
  if (counter.algorithm === "fixed-window") return state
  const back = Math.max(0, now - state.since) * counter.limit / counter.windowMillis
  return { used: Math.max(0, state.used - back), since: Math.max(now, state.since) }
}

/**
 * Counters of this process alone; those that are over leave before there are twice as many.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeMemory = (): RateCounters["Service"] => {
  const kept = new Map<string, State & { readonly end: number }>()
  let crowded = 1_000

  const sweep = (now: number) => {
    for (const [key, { end }] of kept) if (end <= now) kept.delete(key)
    crowded = Math.max(1_000, kept.size * 2)
  }

  return {
    take: (counters) =>
      Effect.clockWith((clock) =>
        Effect.sync(() => {
          const now = clock.currentTimeMillisUnsafe()
          const { next, taken } = decide(counters, counters.map(({ key }) => kept.get(key)), now)
          next?.forEach((state, index) => {
            const counter = counters[index]
            if (counter !== undefined) kept.set(counter.key, { ...state, end: endOf(counter, state) })
          })
          if (kept.size > crowded) sweep(now)
          return taken
        })
      )
  }
}
