// Runs that this node is about to drive: between the commit that makes it their owner and their launch the store says that
// they are running, and nothing here drives them yet.
import { Effect } from "effect"

export class ClaimReservations {
  private readonly counts = new Map<string, number>()

  has(runId: string): boolean {
    return this.counts.has(runId)
  }

  /** Several fibers may try at once, so a run is reserved until the last of them is through. */
  during<A, E, R>(runId: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.uninterruptible(Effect.suspend(() => {
      this.count(runId, 1)
      return Effect.ensuring(effect, Effect.sync(() => this.count(runId, -1)))
    }))
  }

  private count(runId: string, more: number) {
    const left = (this.counts.get(runId) ?? 0) + more
    if (left === 0) this.counts.delete(runId)
    else this.counts.set(runId, left)
  }
}
