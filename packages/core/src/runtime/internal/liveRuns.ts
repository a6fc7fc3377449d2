// The runs that are in memory of this process: whether a run is here, how it is woken, evicted and stopped, and which of them
// another node has taken. RunSupervisor has one and launches into it; a run is here until its segment is over.
import { Duration, Effect, Fiber } from "effect"
import * as Timings from "../../base/Timings.ts"
import type { Account } from "../../door/ApiKeys.ts"
import { restsOn } from "../../door/internal/authority.ts"
import { isFinal, type RunRecord } from "../../run/RunRecord.ts"
import type { Changes, Fact, Limits, ReadError, RunStore } from "../../store/RunStore.ts"
import { ClaimReservations } from "./claimReservations.ts"
import type { Ending, LiveRun } from "./liveRun.ts"
import type { Resolve } from "./resting.ts"

/** The part of a run that says which places its code keeps. */
export type StuckRun = Pick<RunRecord, "runId" | "kind" | "agent" | "tenant" | "owner" | "threadId">

export class LiveRuns {
  private readonly live = new Map<string, LiveRun>()
  /** Runs that stopped here for their store, until they are resumed. */
  private readonly lostHere = new Set<string>()
  private justEnded: ReadonlyArray<RunRecord> = []
  /** Runs that have ended, or were taken, and whose code does not stop: it keeps its place in `concurrency` and its thread. */
  private readonly stuck = new Set<LiveRun>()
  /** The same of the other nodes, as far as they have said it. */
  stuckElsewhere: ReadonlyArray<StuckRun> = []
  private readonly reservations = new ClaimReservations()
  private readonly store: RunStore["Service"]
  private readonly now: () => number

  constructor(durable: RunStore["Service"], now: () => number) {
    this.store = durable
    this.now = now
  }

  add(live: LiveRun) {
    this.live.set(live.run.runId, live)
  }

  /** Removes a run whose segment is over. */
  remove(live: LiveRun) {
    const { durable, runId } = live.run
    if (this.live.get(runId) === live) this.live.delete(runId)
    this.stuck.delete(live)
    live.writes.leave()
    if (live.stop?._tag === "Lost" && live.stop.error !== undefined && durable) this.noteLost(runId)
    this.justEnded = [...this.justEnded.slice(1 - suspectsKept), live.run]
  }

  /** A run that another node takes while the store is away is asked for no more here: only the newest are remembered. */
  private noteLost(runId: string) {
    this.lostHere.add(runId)
    if (this.lostHere.size <= lostKept) return
    for (const oldest of this.lostHere) return void this.lostHere.delete(oldest)
  }

  /** Whether a run that may be what ended its nodes has not shown yet that it can be driven. */
  get isOnProbation(): boolean {
    const since = this.now() - Timings.probationMillis
    return [...this.live.values()].some(({ launchedAt, run }) =>
      run.crashes >= Timings.lossesUntilHeld - 1 && launchedAt > since
    )
  }

  /** Runs whose code may have done what just happened, the likeliest first: those driven here, and those that ended just now. */
  get suspects(): ReadonlyArray<RunRecord> {
    const since = this.now() - suspectMillis
    const ended = this.justEnded.filter(({ updatedAt }) => updatedAt >= since)
    return [...this.live.values()].map(({ run }) => run).concat(ended).sort((a, b) => b.updatedAt - a.updatedAt)
  }

  /**
   * How often the node of a run was lost, with this time. A run that stopped here because its store was away was not lost with
   * its node: this process is still there.
   */
  lossesOf({ crashes, runId }: RunRecord): number {
    return this.lostHere.delete(runId) ? crashes : crashes + 1
  }

  /** Whether this process drives the run, or is about to: then nothing else here takes it. */
  has(runId: string): boolean {
    return this.live.has(runId) || this.reservations.has(runId)
  }

  /** Whether the run is in memory here. */
  isHere(runId: string): boolean {
    return this.live.has(runId)
  }

  /** Whether the run is in memory here, and nothing ends it. */
  isLive(runId: string): boolean {
    return this.live.get(runId)?.stop === undefined && this.live.has(runId)
  }

  /** Whether the run is in memory here and runs its undos, which nothing ends but themselves. */
  isUndoing(runId: string): boolean {
    return this.live.get(runId)?.ending !== undefined
  }

  /** The runs in memory here whose rights rest on an account. */
  liveOf({ id, tenant }: Account): ReadonlyArray<RunRecord> {
    return [...this.live.values()].map(({ run }) => run).filter((run) => run.tenant === tenant && restsOn(run) === id)
  }

  /** Stops a run in memory here that the store has taken from it. */
  lose(runId: string) {
    this.live.get(runId)?.halt({ _tag: "Lost", error: undefined })
  }

  /** Admits or claims a run: until it is launched nothing else here takes it. */
  reserveClaim<A, E, R>(runId: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return this.reservations.during(runId, effect)
  }

  /**
   * Stops a run if it is live here, and waits until it has stopped. Returns false when its end is left to the store: it was
   * not here, it rested, or its code does not stop.
   */
  end(runId: string, ending: Ending): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      const live = this.live.get(runId)
      if (live === undefined) return Effect.succeed(false)
      return Effect.flatMap(live.resting.evict, (rested) => {
        if (rested) return Effect.as(this.left(live), false)
        live.halt(ending)
        return this.left(live)
      })
    })
  }

  /**
   * Keeps a run whose code does not stop from writing, for the time in which the store ends it. Its code keeps its place. `open`
   * lets it write again: an end that could not be stored is found by `unstopped`, also when it was refused before. Nothing for
   * a run that does not need it.
   */
  fence(runId: string): { readonly open: () => void } | undefined {
    const live = this.live.get(runId)
    const stop = live?.stop
    const ending = stop?._tag === "Lost" ? stop.ending : stop
    if (live === undefined || (ending?._tag !== "Cut" && ending?._tag !== "Cancelled")) return undefined
    live.stop = { _tag: "Lost", error: undefined, ending }
    this.stuck.add(live)
    return {
      open: () => {
        live.stop = ending
        this.stuck.delete(live)
      }
    }
  }

  /** Shows the end of a run to its code that does not stop, and to its span. */
  showEnd(ended: RunRecord) {
    const live = this.live.get(ended.runId)
    if (live?.stop?._tag === "Lost" && live.stop.ending !== undefined) live.run = ended
  }

  /** The runs that the store does not count here any more and whose code is found not to stop: from now on it keeps its place. */
  findStuck(): ReadonlyArray<RunRecord> {
    const since = this.now() - Timings.stopMillis
    const found: Array<RunRecord> = []
    for (const live of this.live.values()) {
      const { isOver, run, stop, stoppedAt = Infinity } = live
      if (stop === undefined || isOver || stoppedAt > since || this.stuck.has(live)) continue
      // The end of the others is still to be written.
      if (stop._tag === "Cut" || stop._tag === "Cancelled") continue
      this.stuck.add(live)
      found.push(run)
    }
    return found
  }

  /** The runs whose code does not stop here: it keeps its place. */
  get stuckHere(): ReadonlyArray<StuckRun> {
    return [...this.stuck].flatMap(({ isOver, run }) => isOver ? [] : [run])
  }

  /** The same, and the runs whose code is slow to stop: two polls before their end is written, so that other nodes know it. */
  get stopping(): ReadonlyArray<StuckRun> {
    const since = this.now() - slowMillis
    const slow = [...this.live.values()].filter((live) =>
      (live.stop?._tag === "Cut" || live.stop?._tag === "Cancelled") && live.ending === undefined &&
      !live.isOver && (live.stoppedAt ?? Infinity) <= since && !this.stuck.has(live)
    )
    return [...this.stuckHere, ...slow.map(({ run }) => run)]
  }

  private get allStuck(): ReadonlyArray<StuckRun> {
    return this.stuck.size === 0 ? this.stuckElsewhere : [...this.stuckHere, ...this.stuckElsewhere]
  }

  /** The limits of an agent, less the places of code that does not stop. */
  roomIn(kind: RunRecord["kind"], agent: string, limits: Limits, tenant?: string): Limits {
    if (this.stuck.size === 0 && this.stuckElsewhere.length === 0) return limits
    const stuck = this.allStuck.filter((run) => run.kind === kind && run.agent === agent)
    const own = stuck.filter((run) => run.tenant === tenant)
    return {
      ...limits,
      ...(limits.agent === undefined ? {} : { agent: limits.agent - stuck.length }),
      ...(limits.tenant === undefined ? {} : { tenant: limits.tenant - own.length })
    }
  }

  /** The same for a run; nothing when code that does not stop has its thread. */
  roomFor(run: RunRecord, limits: Limits): Limits | undefined {
    const isTaken = limits.thread === true && run.threadId !== undefined && run.parentRunId === undefined &&
      this.allStuck.some((other) =>
        other.threadId === run.threadId && other.tenant === run.tenant && other.owner === run.owner
      )
    return isTaken ? undefined : this.roomIn(run.kind, run.agent, limits, run.tenant)
  }

  /** Waits until a run that was stopped has left memory. Returns false when its code cannot be interrupted in time. */
  private left({ fiber, stoppedAt }: LiveRun): Effect.Effect<boolean> {
    if (fiber === undefined) return Effect.succeed(true)
    const rest = Math.max(0, (stoppedAt ?? this.now()) + Timings.stopMillis - this.now())
    // The end of a parent, which cannot be interrupted, cancels its children here.
    return Effect.raceFirst(
      Effect.interruptible(Effect.as(Fiber.await(fiber), true)),
      Effect.interruptible(Effect.delay(Effect.succeed(false), rest))
    )
  }

  /** The runs in memory here that were stopped and whose code does not stop, each with its end. */
  unstopped(store: RunStore["Service"]): ReadonlyArray<{ readonly run: RunRecord; readonly ending: Ending }> {
    const since = this.now() - Timings.stopMillis
    const isDurable = store === this.store
    return [...this.live.values()].flatMap(({ ending: undoing, run, stop, stoppedAt = Infinity }) =>
      (stop?._tag === "Cut" || stop?._tag === "Cancelled") && stoppedAt <= since && run.durable === isDurable &&
        undoing === undefined
        ? [{ run, ending: stop }]
        : []
    )
  }

  /** Takes a run that rests out of memory, and waits until it has left. */
  evict(runId: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const live = this.live.get(runId)
      if (live === undefined) return Effect.void
      return Effect.flatMap(live.resting.evict, (rested) => rested ? Effect.asVoid(this.left(live)) : Effect.void)
    })
  }

  /**
   * Lets a run that is in memory here resume, with the decision that it waits for. Nothing when it is not here; false when
   * somebody else was faster.
   */
  wake(
    runId: string,
    resolve: Resolve | undefined,
    set?: Changes,
    facts?: ReadonlyArray<Fact>
  ): Effect.Effect<boolean> | undefined {
    const live = this.live.get(runId)
    return live === undefined || live.stop !== undefined ? undefined : live.resting.reclaim(resolve, set, facts)
  }

  /** The record of a run in memory as the last decision left it, also when the run has moved on since. */
  lastDecided(runId: string): () => RunRecord | undefined {
    const live = this.live.get(runId)
    return () => live?.resting.lastDecided
  }

  /** Sends to a run while nothing takes its messages, when it is in memory here. */
  withMailbox<A, E>(runId: string, send: (isHere: boolean) => Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      const live = this.live.get(runId)
      return live === undefined || live.stop !== undefined ? send(false) : live.mailbox.withPermit(send(true))
    })
  }

  /**
   * Stops what is driven here and was taken or ended by another node. Called after a time in which this node could not tell:
   * its lease may have ended then, and its runs may have been claimed.
   */
  readonly confirmAll: Effect.Effect<void, ReadError> = Effect.suspend(() =>
    Effect.forEach([...this.live.values()].filter(({ run }) => run.durable), (live) => this.isStillOurs(live), {
      concurrency: 16,
      discard: true
    })
  )

  private isStillOurs(live: LiveRun): Effect.Effect<void, ReadError> {
    return Effect.gen({ self: this }, function*() {
      const stored = yield* this.store.get(live.run.runId)
      // The store can be ahead by a commit of our own.
      yield* Effect.sleep("50 millis")
      const { attempt, state } = live.run
      if (stored !== undefined && stored.attempt <= attempt && (!isFinal(stored.state) || isFinal(state))) return
      live.halt({ _tag: "Lost", error: undefined })
    })
  }

  /**
   * Stops a run that was taken or ended by another node, unless this number of its events is known; otherwise it reads what it
   * waits for. Nothing when it is not here.
   */
  confirm(runId: string, seq: number): Effect.Effect<void, ReadError> | undefined {
    const live = this.live.get(runId)
    return live === undefined ? undefined : this.confirmLive(live, seq)
  }

  private confirmLive(live: LiveRun, seq: number): Effect.Effect<void, ReadError> {
    if (live.run.seq >= seq || !live.run.durable) return Effect.void
    return Effect.gen({ self: this }, function*() {
      // The notice of a commit can be faster than the answer to it.
      yield* Effect.sleep("50 millis")
      if (live.run.seq >= seq) return
      const stored = yield* this.store.get(live.run.runId)
      if (stored?.attempt !== live.run.attempt || isFinal(stored.state)) live.halt({ _tag: "Lost", error: undefined })
      else yield* live.resting.refresh
    })
  }

  /** Lets all that rest read what they wait for. */
  readonly refresh: Effect.Effect<void, ReadError> = Effect.suspend(() =>
    Effect.forEach(this.live.values(), ({ resting }) => resting.refresh, { discard: true })
  )

  /** Lets what runs come to its next commit. Returns what has to stop. */
  drain(): ReadonlyArray<Fiber.Fiber<void>> {
    const fibers: Array<Fiber.Fiber<void>> = []
    for (const live of this.live.values()) {
      live.drain()
      if (live.fiber !== undefined) fibers.push(live.fiber)
    }
    return fibers
  }

  /** Waits until these have stopped, and stops the rest when the time is up. */
  stopped(fibers: ReadonlyArray<Fiber.Fiber<void>>, grace: Duration.Input): Effect.Effect<void> {
    return Effect.race(Fiber.awaitAll(fibers), realTime(grace)).pipe(
      Effect.andThen(Effect.sync(() => {
        for (const live of this.live.values()) live.halt({ _tag: "Drained" })
      })),
      Effect.andThen(Effect.suspend(() => Fiber.awaitAll(fibers))),
      Effect.asVoid
    )
  }
}

/** The end of what is logged about code that does not stop. */
export const keepsPlace =
  "its code does not stop: until it does it keeps its place in the agent's concurrency and in its thread"

/** After this time code is slow to stop: until its end is written both nodes have polled once. */
const slowMillis = Timings.stopMillis - 2 * Timings.pollMillis - 500

/** How long, and how many, runs that have ended are remembered as suspects. */
const suspectMillis = 1_000
const suspectsKept = 16
/** How many runs that stopped for their store are remembered: more than a node drives. */
const lostKept = 10_000

/** How long a process has to stop is not for the clock of its runs to say. */
const realTime = (duration: Duration.Input) =>
  Effect.callback<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), Duration.toMillis(Duration.fromInputUnsafe(duration)))
    return Effect.sync(() => clearTimeout(timer))
  })
