// The order in which a replay gives out what is recorded. A branch that asks for an outcome gets it when all that was
// committed before it was asked for, or when nothing else moves; work that is not recorded begins after that. So a race
// of branches has the same winner as before.
import { Deferred, Effect } from "effect"
import { separator } from "./names.ts"

export class Handout {
  /** The recorded keys that were not asked for, with the number of their commit, and all of them in that order. */
  private readonly left: Map<string, number>
  private readonly line: ReadonlyArray<readonly [string, number]>
  private first = 0
  private readonly waiting: Array<{ readonly order: number; readonly turn: Deferred.Deferred<void> }> = []
  private readonly held: Array<Deferred.Deferred<void>> = []
  private readonly moves: () => number
  private readonly fork: (effect: Effect.Effect<unknown>) => unknown
  private isWatching = false
  private isOver: boolean

  constructor(
    recorded: ReadonlyMap<string, number>,
    options: { readonly moves: () => number; readonly fork: (effect: Effect.Effect<unknown>) => unknown }
  ) {
    // A replay does not run a committed step again, so nothing inside of it is asked for.
    this.left = new Map([...recorded].filter(([key]) => !isInside(key, recorded)))
    this.line = [...this.left].sort(([, a], [, b]) => a - b)
    this.isOver = this.left.size === 0
    this.moves = options.moves
    this.fork = options.fork
  }

  /** Gives a recorded outcome in its turn. */
  give<A, E, R>(key: string, outcome: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      const order = this.left.get(key) ?? Infinity
      this.left.delete(key)
      if (this.isOver || !this.isBeforeAny(order)) return outcome
      const turn = Deferred.makeUnsafe<void>()
      this.waiting.push({ order, turn })
      this.watch()
      return Effect.andThen(Deferred.await(turn), outcome)
    })
  }

  /** Waits until what is recorded has been given out. */
  readonly finished: Effect.Effect<void> = Effect.suspend(() => {
    if (this.isOver || this.left.size === 0 && this.waiting.length === 0) return Effect.void
    const turn = Deferred.makeUnsafe<void>()
    this.held.push(turn)
    this.watch()
    return Deferred.await(turn)
  })

  private isBeforeAny(order: number) {
    while (this.first < this.line.length && !this.left.has(this.line[this.first]?.[0] ?? "")) this.first++
    const [, next = Infinity] = this.line[this.first] ?? []
    return next < order || this.waiting.some((other) => other.order < order)
  }

  private watch() {
    if (this.isWatching) return
    this.isWatching = true
    this.fork(this.untilOver)
  }

  /** Gives out the next one each time that nothing has moved for a turn of the event loop. */
  private readonly untilOver = Effect.gen({ self: this }, function*() {
    while (this.waiting.length > 0 || this.held.length > 0) {
      let seen = -1
      while (seen !== this.moves()) {
        seen = this.moves()
        yield* Effect.yieldNow
        yield* Effect.yieldNow
      }
      this.next()
      yield* Effect.yieldNow
    }
    this.isWatching = false
  })

  private next() {
    const first = this.waiting.toSorted((a, b) => a.order - b.order)[0]
    if (first !== undefined) {
      this.waiting.splice(this.waiting.indexOf(first), 1)
      Deferred.doneUnsafe(first.turn, Effect.void)
      return
    }
    this.isOver = true
    for (const turn of this.held.splice(0)) Deferred.doneUnsafe(turn, Effect.void)
  }
}

const isInside = (key: string, recorded: ReadonlyMap<string, number>) => {
  for (let at = key.lastIndexOf(separator); at > 0; at = key.lastIndexOf(separator, at - 1)) {
    if (recorded.has(key.slice(0, at))) return true
  }
  return false
}
