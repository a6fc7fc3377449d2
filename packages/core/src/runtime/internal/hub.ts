// Delivers the committed events of one run to its followers on this node; the supervisor keeps one hub for each followed run.
import { Cause, Effect, Stream } from "effect"
import type { RunEvent } from "../../run/Event.ts"
import { StoreUnavailable, type Unauthenticated } from "../../run/RunError.ts"
import { isFinal, isSettled, needsSomebody, type RunRecord } from "../../run/RunRecord.ts"
import type { ReadError, RunStore } from "../../store/RunStore.ts"

/** How many committed events a hub keeps at hand for followers that are close behind. */
export const recentCapacity = 1_024
const pageSize = 512

/**
 * Events in order, and the run's record when they were read, which is that of the last event once no more are stored. A page
 * without events says that the connection is alive; `closing`, that the server goes away.
 */
export interface Page {
  readonly events: ReadonlyArray<RunEvent>
  readonly run: RunRecord
  readonly closing: boolean
}

/** Why a stream ends before its run: it cannot be read, or the credentials that opened it are not valid any more. */
export type FollowError = ReadError | Unauthenticated

/** When a reader of a journal has seen enough: at the end, at any pause too, or at one that somebody has to end. */
export type Until = "final" | "settled" | "somebody"

export const isOver: { readonly [K in Until]: (run: RunRecord) => boolean } = {
  final: (run) => isFinal(run.state),
  settled: isSettled,
  somebody: (run) => isFinal(run.state) || needsSomebody(run)
}

/**
 * Delivers the committed events of one run to its followers.
 *
 * A follower has a place in the journal, not a queue: a slow one reads the store again and costs nothing meanwhile.
 */
export class Hub {
  run: RunRecord
  /** How many follow it or wait for it. */
  holders = 0
  closing = false
  private version = 0
  private recent: Array<RunEvent> = []
  private readonly waiting = new Set<() => void>()
  /** Followers that need no event, and wait for a change of the run: each looks at every change, without a fiber. */
  private readonly watching = new Set<() => void>()

  constructor(run: RunRecord) {
    this.run = run
  }

  /** Keeps the events of the run's admission at hand, so that its first follower need not read the store. */
  seed(events: ReadonlyArray<RunEvent>) {
    const [next] = this.recent
    const last = events.at(-1)?.seq
    if (last === (next === undefined ? this.run.seq : next.seq - 1)) this.recent = [...events, ...this.recent]
  }

  publish(run: RunRecord, events: ReadonlyArray<RunEvent>) {
    // Another node has written in between.
    if (events[0] !== undefined && events[0].seq !== this.run.seq + 1) this.recent = []
    this.run = run
    for (const event of events) this.recent.push(event)
    if (this.recent.length > 2 * recentCapacity) this.recent = this.recent.slice(-recentCapacity)
    this.wake()
  }

  /** Another node has moved the run on: what is at hand here no longer joins on. */
  jump(run: RunRecord) {
    this.run = run
    this.recent = []
    this.wake()
  }

  close() {
    this.closing = true
    this.wake()
  }

  wake() {
    this.version++
    for (const look of this.watching) look()
    if (this.waiting.size === 0) return
    const woken = [...this.waiting]
    this.waiting.clear()
    for (const resume of woken) resume()
  }

  /** Committed events after `seq`, or nothing when they are no longer at hand. */
  after(seq: number): ReadonlyArray<RunEvent> | undefined {
    const first = this.recent[0]
    if (first === undefined || first.seq > seq + 1) return undefined
    return this.recent.slice(seq + 1 - first.seq)
  }

  /** Runs the check again after each change, heartbeat or closing, until it has an answer. */
  when<A, E>(check: (waited: boolean) => Effect.Effect<A, E> | undefined): Effect.Effect<A, E> {
    const loop = (waited: boolean): Effect.Effect<A, E> =>
      Effect.suspend(() => {
        const version = this.version
        return check(waited) ?? Effect.flatMap(this.changedSince(version), () => loop(true))
      })
    return loop(false)
  }

  private changedSince(version: number) {
    return Effect.callback<void>((resume) => {
      if (this.version !== version) return resume(Effect.void)
      const notify = () => resume(Effect.void)
      this.waiting.add(notify)
      return Effect.sync(() => {
        this.waiting.delete(notify)
      })
    })
  }

  /** Waits until the run has ended or pauses; when the server goes away first, the run as it is. */
  get settled(): Effect.Effect<RunRecord> {
    return this.until(isSettled)
  }

  /** Waits until the run has ended; when the server goes away first, the run as it is. */
  get ended(): Effect.Effect<RunRecord> {
    return this.until(isOver.final)
  }

  private until(isReached: (run: RunRecord) => boolean): Effect.Effect<RunRecord> {
    return Effect.callback<RunRecord>((resume) => {
      const look = () => {
        if (!this.closing && !isReached(this.run)) return false
        this.watching.delete(look)
        resume(Effect.succeed(this.run))
        return true
      }
      if (look()) return
      this.watching.add(look)
      return Effect.sync(() => {
        this.watching.delete(look)
      })
    })
  }
}

/** Reads a run's journal from `after` on, first what is stored, then live. */
export const pages = (
  hub: Hub,
  store: RunStore["Service"],
  after: number,
  until: Until,
  credentials?: { readonly ended: Unauthenticated | undefined }
): Stream.Stream<Page, FollowError> => {
  const isFinished = isOver[until]
  return Stream.fromPull(Effect.sync(() => {
    let cursor = after
    let closed = false
    const take = (events: ReadonlyArray<RunEvent>) => {
      cursor = events.at(-1)?.seq ?? cursor
      return Effect.succeed<[Page]>([{ events, run: hub.run, closing: false }])
    }
    // The store may hold more than the hub knows of. A page ends where its record does: its reader would else see the end of
    // a run beside a record that is still running.
    const read = Effect.flatMap(
      Effect.suspend(() => {
        const { runId, seq } = hub.run
        // A store may answer with more than it was asked for.
        return Effect.map(
          store.events(runId, cursor, Math.min(pageSize, seq - cursor)),
          (events) => events.filter((event) => event.seq <= seq)
        )
      }),
      (events) =>
        events[0]?.seq === cursor + 1
          ? take(events)
          : Effect.fail(new StoreUnavailable({ operation: `read the journal after ${cursor}` }))
    )
    return hub.when<[Page], FollowError | Cause.Done>((waited) => {
      if (closed) return Cause.done()
      if (credentials?.ended !== undefined) return Effect.fail(credentials.ended)
      if (cursor < hub.run.seq) {
        const recent = hub.after(cursor)
        return recent?.[0]?.seq === cursor + 1 ? take(recent) : read
      }
      if (isFinished(hub.run)) return Cause.done()
      if (hub.closing) {
        closed = true
        return Effect.succeed<[Page]>([{ events: [], run: hub.run, closing: true }])
      }
      return waited ? Effect.succeed<[Page]>([{ events: [], run: hub.run, closing: false }]) : undefined
    })
  }))
}
