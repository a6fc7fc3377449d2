// The hubs of the runs that are followed or driven on this node, for the supervisor. One run has one hub, and what another
// process has written is read from the store once for all who follow the run here.
import { Effect, type Scope } from "effect"
import type { RunEvent } from "../../run/Event.ts"
import { isFinal, type RunRecord } from "../../run/RunRecord.ts"
import type { ReadError, RunStore } from "../../store/RunStore.ts"
import { Hub, recentCapacity } from "./hub.ts"

export class Hubs {
  private readonly hubs = new Map<string, Hub>()
  private readonly storeOf: (run: RunRecord) => RunStore["Service"]
  private closing = false

  constructor(storeOf: (run: RunRecord) => RunStore["Service"]) {
    this.storeOf = storeOf
  }

  get(runId: string): Hub | undefined {
    return this.hubs.get(runId)
  }

  /** The hub of a run, which stays until it is released as often as it was taken. */
  hold(run: RunRecord): Hub {
    const hub = this.hubOf(run)
    hub.holders++
    return hub
  }

  release(hub: Hub) {
    hub.holders--
    const { runId } = hub.run
    if (hub.holders === 0 && this.hubs.get(runId) === hub) this.hubs.delete(runId)
  }

  /**
   * The hub of a run for one follower, until the scope closes. `known` is the hub that the run was launched with: the end of
   * a run that was driven here is there without reading the store.
   */
  join(run: RunRecord, known?: Hub): Effect.Effect<Hub, ReadError, Scope.Scope> {
    return Effect.suspend(() => {
      if (known !== undefined && isFinal(known.run.state)) return Effect.succeed(known)
      if (isFinal(run.state)) return Effect.succeed(new Hub(run))
      const present = this.hubs.get(run.runId)
      const held = Effect.acquireRelease(
        Effect.sync(() => this.hold(run)),
        (hub) => Effect.sync(() => this.release(hub))
      )
      return Effect.tap(held, (hub) => hub === present ? Effect.void : this.refresh(hub))
    })
  }

  /** Reads what the store has and the hub has not: the run may have moved on another node, or before its hub was made. */
  refresh(hub: Hub): Effect.Effect<void, ReadError> {
    return Effect.gen({ self: this }, function*() {
      const { runId, seq } = hub.run
      const store = this.storeOf(hub.run)
      const stored = yield* store.get(runId)
      if (stored === undefined || stored.seq <= seq) return
      const missing = stored.seq - seq
      const events: ReadonlyArray<RunEvent> = missing > recentCapacity ? [] : yield* store.events(runId, seq, missing)
      // Another reader was here at the same time, or there is too much to keep at hand.
      if (hub.run.seq !== seq || events.length < missing) return hub.run.seq < stored.seq ? hub.jump(stored) : undefined
      hub.publish(stored, events.slice(0, missing))
    })
  }

  refreshAll(isDriven: (runId: string) => boolean): Effect.Effect<void, ReadError> {
    return Effect.suspend(() =>
      Effect.forEach(this.hubs.values(), (hub) => isDriven(hub.run.runId) ? Effect.void : this.refresh(hub), {
        discard: true
      })
    )
  }

  /** Lets every follower show that its connection is alive. */
  beat() {
    for (const hub of this.hubs.values()) hub.wake()
  }

  /** Ends all streams: the server goes away. */
  close() {
    this.closing = true
    for (const hub of this.hubs.values()) hub.close()
  }

  /** A hub that had to close early is replaced: a follower that comes back starts again from the store. */
  private hubOf(run: RunRecord): Hub {
    const known = this.hubs.get(run.runId)
    if (known !== undefined && (!known.closing || this.closing)) return known
    const hub = new Hub(run)
    hub.closing = this.closing
    this.hubs.set(run.runId, hub)
    return hub
  }
}
