// Counts what moves in one run: steps, starts of pauses and of children, paid calls of models. Resting asks it whether
// anything can make progress; a step around a parked pause moves no more than the pause itself.
import { Effect } from "effect"
import type { Place } from "./names.ts"

export class Activity {
  /** Grows with everything that happens in the run. */
  moves = 0
  private busy = 0
  private parked = 0
  private readonly onQuiet: () => void

  constructor(onQuiet: () => void) {
    this.onQuiet = onQuiet
  }

  /** Whether nothing moves and something waits. */
  get isQuiet() {
    return this.busy === 0 && this.parked > 0
  }

  /** Whether something is under way. */
  get isMoving() {
    return this.busy > 0
  }

  enter(step: Place) {
    step.isRunning = true
    this.begin()
  }

  leave(step: Place) {
    step.isRunning = false
    if (step.parks === 0) this.end()
    else this.moved()
  }

  park(place: Place) {
    this.parked++
    for (let around: Place | undefined = place; around !== undefined; around = around.parent) {
      if (around.parks++ === 0 && around.isRunning) this.busy--
    }
    this.moved()
  }

  unpark(place: Place) {
    this.parked--
    for (let around: Place | undefined = place; around !== undefined; around = around.parent) {
      if (--around.parks === 0 && around.isRunning) this.busy++
    }
    this.moved()
  }

  begin() {
    this.busy++
    this.moves++
  }

  end() {
    this.busy--
    this.moved()
  }

  during<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      this.begin()
      return Effect.ensuring(effect, Effect.sync(() => this.end()))
    })
  }

  moved() {
    this.moves++
    if (this.isQuiet) this.onQuiet()
  }
}
