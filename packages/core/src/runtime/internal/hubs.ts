// The hubs of the runs that are followed or driven on this node, for the supervisor. One run has one hub, and what another
// process has written is read from the store once for all who follow the run here.
import { Effect, Scope } from "effect"
import type { RunEvent } from "../../run/Event.ts"
import { isFinal, type RunRecord } from "../../run/RunRecord.ts"
import type { ReadError, RunStore } from "../../store/RunStore.ts"
import { Hub, isOver, recentCapacity, type Until } from "./hub.ts"

/** A follower's hub: `ready` reads what it lacks, `leave` gives it back. */
interface Seat {
  readonly hub: Hub
  readonly ready: Effect.Effect<void, ReadError>
  readonly leave: () => void
}

const nothing = () => {}

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
  join(run: RunRecord, until: Until, known?: Hub): Effect.Effect<Hub, ReadError, Scope.Scope> {
    // `Effect.acquireRelease` would copy all services of the fiber for a release that needs none.
    const seated = Effect.flatMap(Effect.scope, (scope) => {
      const seat = this.seat(run, until, known)
      return Effect.as(Scope.addFinalizer(scope, Effect.sync(seat.leave)), seat)
    })
    return Effect.flatMap(
      Effect.uninterruptible(seated),
      ({ hub, ready }) => ready === Effect.void ? Effect.succeed(hub) : Effect.as(ready, hub)
    )
  }

  /** The same for one use, without a scope. */
  during<A, E>(run: RunRecord, until: Until, known: Hub | undefined, use: (hub: Hub) => Effect.Effect<A, E>) {
    return Effect.uninterruptibleMask((restore): Effect.Effect<A, E | ReadError> => {
      const { hub, leave, ready } = this.seat(run, until, known)
      const used = ready === Effect.void ? use(hub) : Effect.andThen(ready, use(hub))
      return Effect.ensuring(restore(used), Effect.sync(leave))
    })
  }

  /** A pause that would end the follower's wait is read again: another node may have ended it, and the notice may be late. */
  private seat(run: RunRecord, until: Until, known: Hub | undefined): Seat {
    if (known !== undefined && isFinal(known.run.state)) return { hub: known, ready: Effect.void, leave: nothing }
    if (isFinal(run.state)) return { hub: new Hub(run), ready: Effect.void, leave: nothing }
    const present = this.hubs.get(run.runId)
    const hub = this.hold(run)
    const isCurrent = hub === present && !isOver[until](hub.run)
    return { hub, ready: isCurrent ? Effect.void : this.refresh(hub), leave: () => this.release(hub) }
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
