// When a run rests and how it wakes. LiveRun has one: pauses park their own fibers in it; once nothing moves, the run is
// suspended in the store and stays in memory for a short while; a decision, a timer or the end of a child then takes it
// back under a new attempt, without a replay. Changes of the phase happen one at a time.
import { Deferred, Effect, Exit, type Fiber, Semaphore } from "effect"
import type { Interrupt, Resolution } from "../../run/Interrupt.ts"
import type { StoreUnavailable } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import type { Changes, Commit, Fact, ReadError, Written } from "../../store/RunStore.ts"
import { Activity } from "./activity.ts"
import type { LiveRun } from "./liveRun.ts"
import type { Place } from "./names.ts"
import type { Parts } from "./runWrites.ts"
import { delivery, isSignal, waitingMessages } from "./signals.ts"

/** A decision that goes with what it lets happen. */
export interface Resolve {
  readonly id: string
  readonly resolution: Resolution
  /** The events that report it, instead of a resolved interrupt. */
  readonly events?: Parts["events"]
  /** Rows that go into the same commit. */
  readonly open?: ReadonlyArray<Interrupt>
}

/** The reason that a branch of a run waits. */
export type Pause =
  | {
    readonly kind: "interrupt"
    readonly interrupt: Interrupt
    readonly decided: Deferred.Deferred<Resolution>
    readonly wakeAt: number | undefined
  }
  | { readonly kind: "timer" | "child"; readonly wakeAt: number }

/** The work of the supervisor when a run comes to rest or is taken back. */
export interface RestOptions {
  /** How long a run that rests stays in memory, in milliseconds; not at all with 0. */
  readonly idleMillis: number
  readonly fork: (effect: Effect.Effect<unknown>) => Fiber.Fiber<unknown>
  readonly onRest: (live: LiveRun) => Effect.Effect<void>
  readonly reclaimed: () => void
  /** Why the principal of a run may not go on; nothing where it always may. */
  readonly refusal: ((run: RunRecord) => Effect.Effect<string | undefined, StoreUnavailable>) | undefined
}

/** The longest time between two looks at what others write, in milliseconds. */
const longestLook = 1_000

export class Resting {
  phase: "running" | "resting" | "suspended" = "running"
  readonly activity = new Activity(() => this.check())
  /** The decisions that were taken while the run was in memory, by the ids of their questions. */
  readonly decided = new Map<string, Interrupt>()
  private readonly pauses = new Set<Pause>()
  /** Decisions about questions that the code has not come to yet. */
  private readonly early = new Map<string, Resolution>()
  private ownTurn: Semaphore.Semaphore | undefined
  private readonly live: LiveRun
  private readonly options: RestOptions
  private checking = false
  /** The record as the last decision left it: a woken branch may be faster than the answer to who decided. */
  lastDecided: RunRecord | undefined
  private rests = 0
  /** How often in a row the run could not rest because the store had events that were not read here. */
  private unread = 0
  private lastAsked = 0

  constructor(live: LiveRun, options: RestOptions) {
    this.live = live
    this.options = options
  }

  /** Made when the run first rests or is decided about. */
  private get turn(): Semaphore.Semaphore {
    return this.ownTurn ??= Semaphore.makeUnsafe(1)
  }

  /** Whether something in the run waits for a decision. */
  get asks() {
    for (const { kind } of this.pauses) if (kind === "interrupt") return true
    return false
  }

  /** The time of a question: questions of one run are listed in the order in which they were asked. */
  asksAt() {
    this.lastAsked = Math.max(this.live.now(), this.lastAsked + 1)
    return this.lastAsked
  }

  /** Parks the fiber that pauses. When its own code interrupts it, `withdraw` takes the pause back. */
  park<A>(place: Place, pause: Pause, wait: Effect.Effect<A>, withdraw: Effect.Effect<void>): Effect.Effect<A> {
    return Effect.suspend(() => {
      this.pauses.add(pause)
      this.activity.park(place)
      if (pause.kind === "interrupt") {
        const { id } = pause.interrupt
        const early = this.early.get(id)
        if (early !== undefined) this.wake({ id, resolution: early })
        this.early.delete(id)
      }
      return wait.pipe(
        Effect.onExit((exit) =>
          Effect.suspend(() => {
            this.pauses.delete(pause)
            this.activity.unpark(place)
            return Exit.isSuccess(exit) || this.live.stop !== undefined
              ? Effect.void
              : Effect.andThen(this.awake, withdraw)
          })
        ),
        Effect.tap(this.awake)
      )
    })
  }

  /** Waits for another branch of the run, which may pause: the run rests then. */
  idle<A>(place: Place, wait: Effect.Effect<A>): Effect.Effect<A> {
    return Effect.suspend(() => {
      this.activity.park(place)
      return wait.pipe(
        Effect.ensuring(Effect.sync(() => this.activity.unpark(place))),
        Effect.tap(this.awake)
      )
    })
  }

  /** Takes the run back when it rests; runs before anything in it moves. */
  get awake(): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.phase === "running"
        ? Effect.void
        : Effect.flatMap(this.reclaim(), (taken) => taken ? Effect.void : Effect.interrupt)
    )
  }

  /**
   * Takes the run back when it rests, with the decision that wakes it. Returns false when somebody else was faster: nothing
   * was written then.
   */
  reclaim(resolve?: Resolve, set: Changes = {}, facts: ReadonlyArray<Fact> = []): Effect.Effect<boolean> {
    return this.turn.withPermit(Effect.suspend(() => {
      const { live } = this
      if (live.stop !== undefined) return Effect.succeed(false)
      if (this.phase === "running") {
        return resolve === undefined
          ? Effect.succeed(true)
          : this.decide(resolve, set, facts)
      }
      const { refusal } = this.options
      if (refusal === undefined) return this.takeBack(resolve, set, facts)
      // A run that may not go on, or of which that is not known, leaves memory: the store's claim decides about it.
      return Effect.flatMap(
        Effect.orElseSucceed(refusal(live.run), () => "it is not known whether the principal is valid"),
        (why) => {
          if (why === undefined) return this.takeBack(resolve, set, facts)
          live.halt({ _tag: "Suspended" })
          return Effect.succeed(false)
        }
      )
    }))
  }

  private takeBack(resolve: Resolve | undefined, set: Changes, facts: ReadonlyArray<Fact>): Effect.Effect<boolean> {
    const { live } = this
    return Effect.suspend(() => {
      const { agent, attempt } = live.run
      const parts: Parts = {
        events: [...resolvedBy(resolve), { type: "run_started", data: { agent, resumed: true } }],
        set: { ...set, state: "running", attempt: attempt + 1 },
        facts
      }
      return Effect.map(this.write(parts, "suspended", resolve), (written) => {
        if (written?._tag === "Committed") {
          this.phase = "running"
          this.options.reclaimed()
          this.wake(resolve)
          // A run that was taken back and does not move rests again.
          this.activity.moved()
          return true
        }
        // An owner that only lost the race for a decision still has the run.
        if (resolve === undefined || written === undefined) live.halt({ _tag: "Suspended" })
        return false
      })
    })
  }

  private decide(resolve: Resolve, set: Changes, facts: ReadonlyArray<Fact>) {
    return Effect.map(this.write({ events: resolvedBy(resolve), set, facts }, "running", resolve), (written) => {
      if (written?._tag !== "Committed") return false
      this.wake(resolve)
      return true
    })
  }

  private write(
    parts: Parts,
    from: "running" | "suspended",
    resolve: Resolve | undefined
  ): Effect.Effect<Written | undefined> {
    const write: Commit = { ...this.live.writes.commitOf(parts), from: [from], ...committed(resolve) }
    return Effect.orElseSucceed(
      this.live.journal.write(write, (written) => {
        if (written._tag !== "Committed") return this.live.writes.giveBack(write)
        this.live.writes.accept(write, written)
        if (resolve !== undefined) this.lastDecided = this.live.run
      }),
      () => undefined
    )
  }

  /** Gives a decision to the branch that waits for it. */
  private wake(resolve: Resolve | undefined) {
    if (resolve !== undefined && !this.give(resolve)) this.early.set(resolve.id, resolve.resolution)
  }

  /** Returns whether a branch waited for it. */
  private give({ id, resolution }: Pick<Resolve, "id" | "resolution">): boolean {
    let isKnown = false
    for (const pause of this.pauses) {
      if (pause.kind !== "interrupt" || pause.interrupt.id !== id) continue
      isKnown = true
      this.decided.set(id, { ...pause.interrupt, state: "resolved", resolution })
      Deferred.doneUnsafe(pause.decided, Exit.succeed(resolution))
    }
    return isKnown
  }

  /** Takes a stored decision. It is kept only for a question that the code may still come to; a receive looks for itself. */
  private learn(row: Interrupt, past: ReadonlySet<string>) {
    const { id, resolution } = row
    if (resolution === undefined || this.give({ id, resolution })) return
    const isPast = resolution.decision === "withdraw" || this.decided.has(id) || past.has(id)
    if (!isPast && !isSignal(row)) this.early.set(id, resolution)
  }

  /** The questions that were decided before this segment. A replay counts what is asked for by name, so it is not. */
  private get past(): ReadonlySet<string> {
    const past = new Set<string>()
    for (const { id, resolution } of this.live.history.interrupts.values()) if (resolution !== undefined) past.add(id)
    return past
  }

  /** Reads the decisions that another node has committed. */
  get refresh(): Effect.Effect<void, ReadError> {
    return Effect.suspend(() => {
      if (!this.asks) return Effect.void
      const { runId } = this.live.run
      return Effect.map(this.live.journal.store.interrupts(runId), (stored) => {
        const { past } = this
        for (const row of stored) this.learn(row, past)
      }).pipe(
        Effect.andThen(Effect.suspend(() => this.receives ? this.live.mailbox.withPermit(this.deliver) : Effect.void))
      )
    })
  }

  /** Gives messages that wait to the receives that wait for them. */
  private get deliver(): Effect.Effect<void, ReadError> {
    return Effect.suspend(() =>
      Effect.flatMap(
        this.live.journal.store.interrupts(this.live.run.runId),
        (stored): Effect.Effect<void, ReadError> => {
          for (const pause of this.pauses) {
            if (pause.kind !== "interrupt" || Deferred.isDoneUnsafe(pause.decided)) continue
            const [message] = waitingMessages(stored, pause.interrupt.signal)
            if (message === undefined) continue
            // One at a time: the next look knows which message was taken.
            return Effect.flatMap(
              this.reclaim(delivery(pause.interrupt, message)),
              (won) => won ? this.deliver : Effect.void
            )
          }
          return Effect.void
        }
      )
    )
  }

  private get receives() {
    for (const pause of this.pauses) if (pause.kind === "interrupt" && isSignal(pause.interrupt)) return true
    return false
  }

  /** Rests once all that could move has had its turn. */
  private check() {
    if (this.checking || this.phase !== "running" || this.live.stop !== undefined) return
    this.checking = true
    this.options.fork(this.restWhenQuiet)
  }

  private get restWhenQuiet(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      let seen = -1
      while (seen !== this.activity.moves) {
        seen = this.activity.moves
        yield* Effect.yieldNow
        yield* Effect.yieldNow
      }
      yield* this.live.outcomes.rests
      const outcome = yield* this.turn.withPermit(this.rest)
      this.unread = outcome === "unread" ? this.unread + 1 : 0
      if (outcome === "unread") yield* this.catchUp
      if (outcome !== "suspended") return
      const rest = ++this.rests
      yield* this.options.onRest(this.live)
      if (this.options.idleMillis > 0) yield* this.live.pause(this.options.idleMillis)
      yield* this.turn.withPermit(Effect.sync(() => {
        if (this.phase === "suspended" && this.rests === rest) this.live.halt({ _tag: "Suspended" })
      }))
    })
  }

  private get rest(): Effect.Effect<"suspended" | "running" | "unread"> {
    return Effect.suspend(() => {
      const { live } = this
      this.checking = false
      if (live.stop !== undefined || this.phase !== "running" || !this.activity.isQuiet || this.pauses.size === 0) {
        return Effect.succeed("running")
      }
      this.phase = "resting"
      const parts = suspensionBy([...this.pauses])
      const written = this.asks
        ? live.writes.suspendIfRead(parts)
        : Effect.as(live.writes.conclude(live.outcomes.withPending(parts)), true)
      return Effect.map(written, (isRead) => {
        // Otherwise the commit was refused: the segment stops, or what others have written is read first.
        const isSuspended = live.run.state === "suspended"
        this.phase = isSuspended ? "suspended" : "running"
        this.checking = !isRead
        return isSuspended ? "suspended" : isRead ? "running" : "unread"
      })
    })
  }

  /**
   * Reads what another node has written before the run may rest. Once is enough unless somebody writes all the time: then the
   * looks grow apart, so that the run and its store are not busy with them.
   */
  private get catchUp(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { live, unread } = this
      const waits = Math.min(longestLook, 5 * 2 ** (unread - 1))
      return unread < 2 ? Effect.void : live.until(live.now() + waits)
    }).pipe(Effect.andThen(Effect.suspend(() => {
      if (this.live.stop !== undefined) return Effect.void
      this.live.writes.isBehind = false
      return this.refresh.pipe(
        Effect.catch((error) => Effect.sync(() => this.live.writes.lose(error))),
        Effect.andThen(Effect.sync(() => {
          this.checking = false
          this.check()
        }))
      )
    })))
  }

  /** Leaves memory if it rests. Returns whether it did. */
  get evict(): Effect.Effect<boolean> {
    return this.turn.withPermit(Effect.sync(() => {
      if (this.phase !== "suspended") return false
      this.live.halt({ _tag: "Suspended" })
      return true
    }))
  }
}

/** How a run that waits for all of these is suspended. */
const suspensionBy = (pauses: ReadonlyArray<Pause>): Parts => {
  const parked = pauses.flatMap((pause) => pause.kind === "interrupt" ? [pause.interrupt] : [])
  const asked = parked.flatMap((one) => isSignal(one) ? [] : [one.id])
  const wakeAt = Math.min(...pauses.map((pause) => pause.wakeAt ?? Infinity))
  const other = pauses.some(({ kind }) => kind === "timer") ? "timer" : "child"
  const reason = asked.length > 0 ? "interrupt" : parked.length > 0 ? "signal" : other
  const isTimed = Number.isFinite(wakeAt)
  return {
    events: [{
      type: "run_suspended",
      data: { reason, interrupts: asked, ...(isTimed && reason === "timer" ? { until: wakeAt } : {}) }
    }],
    set: { state: "suspended", waitsFor: reason, ...(isTimed ? { wakeAt } : {}) }
  }
}

/** The parts of a commit that a decision is. */
export const committed = (resolve: Resolve | undefined): Pick<Commit, "resolve" | "open"> => {
  if (resolve === undefined) return {}
  const { id, open, resolution } = resolve
  return { resolve: { id, resolution }, ...(open === undefined ? {} : { open }) }
}

/** The events that report a decision. */
export const resolvedBy = (resolve: Resolve | undefined): Parts["events"] => {
  if (resolve === undefined) return []
  if (resolve.events !== undefined) return resolve.events
  const { at: _at, idempotencyKey: _key, ...decision } = resolve.resolution
  return [{ type: "interrupt_resolved", data: { id: resolve.id, ...decision } }]
}
