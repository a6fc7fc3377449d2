// The writes of one attempt: events that wait for their commit, commits that the handler waits for, and those that pause or end
// the run. LiveRun has one; each write carries the attempt, and its answer says whether this node still owns the run.
import { Effect } from "effect"
import type { Entry } from "../../audit/Audit.ts"
import { NotedFact } from "../../audit/internal/notedFact.ts"
import type * as Event from "../../run/Event.ts"
import { StoreUnavailable } from "../../run/RunError.ts"
import { isFinal } from "../../run/RunRecord.ts"
import { changed, type Changes, type Commit, type Fact, type ReadError, type Written } from "../../store/RunStore.ts"
import type { Metrics } from "../../telemetry/internal/metrics.ts"
import * as Tracing from "../../telemetry/Tracing.ts"
import { EventTail } from "./eventTail.ts"
import type { Hub } from "./hub.ts"
import type { LiveRun } from "./liveRun.ts"
import { runEntry, settles } from "./runEntry.ts"
import { addUsage, countedUsage } from "./usageSum.ts"

export type Parts = Pick<Commit, "events" | "set" | "steps" | "open" | "turn" | "facts">

const running = ["running"] as const

export class RunWrites {
  /** Whether another node has written events to this run that were not read here yet. */
  isBehind = false
  /** How often in a row the store had fewer events of this run than it has committed. */
  private missing = 0
  private readonly live: LiveRun
  private readonly hub: Hub
  private readonly metrics: Metrics
  private readonly tail = new EventTail()
  /** Calls of tools that begin now: their lines of the audit log go with the next commit. */
  private called: Array<Fact> = []

  constructor(live: LiveRun, hub: Hub, metrics: Metrics) {
    this.live = live
    this.hub = hub
    this.metrics = metrics
  }

  /** Adds to the events that wait for their commit; waits only when too much is in line. */
  append(event: Event.Event): Effect.Effect<void> {
    const { live } = this
    if (live.stop !== undefined || live.ending !== undefined) return Effect.void
    if (live.resting.phase !== "running") {
      return Effect.andThen(live.resting.awake, Effect.suspend(() => this.append(event)))
    }
    live.resting.activity.moves++
    if (event.type === "usage") {
      live.usage = addUsage(live.usage, event.data)
      this.metrics.used(live.run, { ...event.data, ...countedUsage(event.data) })
    }
    // Output after an outcome shows that the handler continued from it.
    if (live.outcomes.hasPending || this.called.length > 0) return this.post({ events: [event] })
    const { turn } = live.journal
    if (this.tail.join(event, turn, live.words.emitted, live.usage)) return Effect.void
    this.enqueue(this.tail.begin(event, this.progress(), turn, this.appending))
    return live.journal.room
  }

  private readonly appending = (parts: Pick<Commit, "events" | "set">) => this.commitOf(parts)

  /** The changes of a commit, with how far the run has come. */
  private withProgress(set: Changes | undefined): Changes {
    return set === undefined ? this.progress() : { ...this.progress(), ...set }
  }

  private progress(): Changes {
    const { usage, words: { emitted } } = this.live
    return usage === undefined ? { emitted } : { emitted, usage }
  }

  /** Writes the outcomes that the handler has gone on from, without waiting. */
  get flushed(): Effect.Effect<void> {
    return Effect.suspend(() => this.live.outcomes.hasPending ? this.post({ events: [] }) : Effect.void)
  }

  /** Commits and waits. What cannot be committed ends the segment and never returns to the handler. */
  commit(parts: Parts): Effect.Effect<void> {
    return Effect.andThen(
      Effect.callback<void>((resume) =>
        this.live.stop === undefined
          ? this.put(this.live.outcomes.withPending(parts), undefined, resume)
          : resume(Effect.void)
      ),
      this.orStopped
    )
  }

  /** A handler may be in a region that cannot be interrupted from outside. */
  private readonly orStopped: Effect.Effect<void> = Effect.suspend(() =>
    this.live.stop === undefined ? Effect.void : Effect.interrupt
  )

  /** The work for a pause: a branch that the handler's own code gives up meanwhile takes the pause back. */
  orTakenBack<A, E, R>(work: Effect.Effect<A, E, R>, takeBack: Effect.Effect<void>): Effect.Effect<A, E, R> {
    return Effect.onInterrupt(
      work,
      () => this.live.stop === undefined && this.live.ending === undefined ? takeBack : Effect.void
    )
  }

  /** Commits without waiting: for what would be lost with the process anyway. */
  post(parts: Parts): Effect.Effect<void> {
    this.tail.close()
    const whole = this.live.outcomes.withPending(parts)
    this.enqueue(this.commitOf(whole, undefined, this.withProgress(whole.set)))
    return this.live.journal.room
  }

  /** Commits a decision of the run itself without waiting. Nothing is written when somebody else has decided. */
  postDecision(parts: Parts, resolve: Commit["resolve"]): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.tail.close()
      const write: Commit = { ...this.commitOf(parts), ...(resolve === undefined ? {} : { resolve }) }
      this.live.journal.enqueue(
        write,
        (written) =>
          !(written instanceof StoreUnavailable) && written._tag !== "Committed"
            ? this.giveBack(write)
            : this.accept(write, written)
      )
      return this.live.journal.room
    })
  }

  private enqueue(write: Commit) {
    this.live.journal.enqueue(write, (written) => this.accept(write, written))
  }

  /** The commit of a segment that is over: there is nobody left to stop. `rule` is what refused the run. */
  conclude(parts: Parts, rule?: string): Effect.Effect<void> {
    return Effect.callback<void>((resume) => this.put(parts, rule, resume))
  }

  /** Puts a commit in line. It is made here: an interruption in between would lose the events that it takes over. */
  private put(parts: Parts, rule: string | undefined, resume: (done: Effect.Effect<void>) => void) {
    const write = this.concluding(this.withTail(parts), rule)
    this.live.journal.enqueue(write, (written) => {
      this.accept(write, written)
      resume(Effect.void)
    }, Tracing.currentUnsafe())
  }

  /** Events that still wait for their commit go with the one that follows. */
  private withTail(parts: Parts): Parts {
    const { journal } = this.live
    const events = this.tail.take(journal.turn, (write) => journal.withdraw(write))
    return events.length === 0 ? parts : { ...parts, events: [...events, ...parts.events] }
  }

  private concluding(parts: Parts, rule?: string): Commit {
    this.tail.close()
    // A run that comes to rest was not lost: the row of lost owners ends.
    const rests = parts.set?.state !== undefined && this.live.run.crashes > 0
    return this.commitOf(parts, rule, this.withProgress(rests ? { crashes: 0, ...parts.set } : parts.set))
  }

  /**
   * Suspends the run unless another node has written an event that was not read here: it may be a message or a decision,
   * which nobody would deliver if this process ended now. Returns false then; nothing was written.
   */
  suspendIfRead(parts: Parts): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      if (this.isBehind) return Effect.succeed(false)
      const write = { ...this.concluding(this.live.outcomes.withPending(parts)), ifSeq: this.live.run.seq }
      const committed = (written: Written) => written._tag === "Committed" ? this.accept(write, written) : undefined
      return this.live.journal.write(write, committed).pipe(
        Effect.flatMap((written) =>
          written._tag === "Committed" ? Effect.succeed(true) : this.lookBehind(write, written)
        ),
        Effect.catch((error) =>
          Effect.sync(() => {
            this.giveBack(write)
            this.lose(error)
            return true
          })
        )
      )
    })
  }

  /** Finds out why a run could not be suspended: whether it was lost, or only has events that were not read. */
  private lookBehind(write: Commit, written: Written): Effect.Effect<boolean, ReadError> {
    return Effect.map(this.live.journal.store.get(write.runId), (stored) => {
      if (stored?.attempt !== write.attempt || stored.state !== "running" || stored.seq === write.ifSeq) {
        this.accept(write, written)
        return true
      }
      this.giveBack(write)
      this.live.outcomes.takeBack(write.steps)
      if (stored.seq > this.live.run.seq) {
        this.live.run = { ...this.live.run, seq: stored.seq }
        this.isBehind = true
      }
      // Writes of its own were still in line, or were not read yet by a copy of the store. A store that keeps showing fewer
      // events than it has committed has lost some.
      this.missing = stored.seq < this.live.run.seq ? this.missing + 1 : 0
      if (this.missing < mostMissing) return false
      this.lose(new StoreUnavailable({ operation: "the store has lost events that it had committed" }))
      return true
    })
  }

  /** `set` are its changes when they are others than those of its parts. */
  commitOf(parts: Parts, rule?: string, set = parts.set): Commit {
    // The last event has the time of the end: lists of what has changed since it hold the run.
    const ts = set?.finishedAt ?? this.live.now()
    const { attempt, runId } = this.live.run
    const facts = this.factsOf(parts.facts, set, ts, rule)
    const commit = { _tag: "Commit", runId, attempt, from: running, ts, ...parts } as const
    if (facts !== undefined) return set === undefined ? { ...commit, facts } : { ...commit, set, facts }
    return set === undefined ? commit : { ...commit, set }
  }

  /** The facts of a commit: the calls of tools before it, its own, and the end or the pause that it is. */
  private factsOf(
    facts: Parts["facts"],
    set: Parts["set"],
    ts: number,
    rule: string | undefined
  ): ReadonlyArray<Fact> | undefined {
    const { outbox } = this.live.journal
    const isEnd = settles(set)
    if (outbox === undefined || (!isEnd && this.called.length === 0)) return facts
    const called = this.called
    this.called = []
    return [...called, ...(facts ?? []), ...(isEnd ? [outbox.note(runEntry(this.live.run, set, ts, rule))] : [])]
  }

  /** The line of the audit log about a call of a tool that begins: it goes with the run's own commit where it is kept. */
  noteCall(entry: Entry): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { keepsFacts, outbox } = this.live.journal
      if (this.live.ending !== undefined) return Effect.never
      if (outbox === undefined) return Effect.void
      const fact = outbox.note(entry)
      if (!keepsFacts) return outbox.ensure(fact)
      this.called.push(fact)
      return Effect.void
    })
  }

  /** Takes the calls of a commit that was refused for another reason than its owner: they go with the next one. */
  giveBack({ facts = [] }: Commit) {
    this.called = [...facts.filter(isCall), ...this.called]
  }

  /** A tool that was called has acted, also when its run was lost meanwhile. */
  leave() {
    const called = this.called
    this.called = []
    if (called.length > 0) this.live.journal.outbox?.committed(called, this.live.journal.keepsFacts)
  }

  accept(write: Commit, written: Written | StoreUnavailable) {
    if (!(written instanceof StoreUnavailable) && written._tag === "Committed") {
      // Another node may have written in between.
      const seq = written.events.at(-1)?.seq ?? this.live.run.seq
      if (seq !== this.live.run.seq + written.events.length) this.isBehind = true
      this.live.run = changed(this.live.run, write.set, { seq, ts: write.ts })
      this.hub.publish(this.live.run, written.events)
      if (this.live.isDraining && write.steps !== undefined) this.live.halt({ _tag: "Drained" })
      return
    }
    this.giveBack(write)
    if (isFinal(this.live.run.state)) return
    this.lose(written instanceof StoreUnavailable ? written : undefined)
  }

  /** A run that cannot be written or read cannot be driven here any more. */
  lose(error: ReadError | undefined) {
    this.live.halt({ _tag: "Lost", error: error instanceof StoreUnavailable ? error : undefined })
    this.hub.close()
  }
}

/** So often, over more than a second, a store may show fewer events than it has committed. */
const mostMissing = 9

const isCall = (fact: Fact) => fact instanceof NotedFact && fact.entry.action === "call"
