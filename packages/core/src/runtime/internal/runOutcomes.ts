// The outcomes of one attempt. Those that earlier attempts have recorded are given to the handler in the recorded order; those
// of this attempt wait here for the next commit; a failure that ends the run is forgotten, so that a retry tries it again.
// LiveRun has one for the steps, pauses and delegations of its run.
import { Cause, Effect, Fiber, type Schema } from "effect"
import type { Draw, Read } from "../../base/internal/handlerClock.ts"
import type { Step } from "../../store/RunStore.ts"
import { HandlerTimes, timesLimit } from "./handlerTimes.ts"
import { Handout } from "./handout.ts"
import type { LiveRun } from "./liveRun.ts"
import type { NameKind, Place } from "./names.ts"
import {
  changedPayload,
  failedRow,
  forgotten,
  keep,
  type Outcome,
  outcomeOf,
  payloadKey,
  payloadRow,
  withdrawn
} from "./outcome.ts"
import type { RestOptions } from "./resting.ts"
import type { Parts } from "./runWrites.ts"

export class RunOutcomes {
  private readonly live: LiveRun
  private readonly handout: Handout | undefined
  /** The times that the handler has read; nothing when it has read none. */
  private times: HandlerTimes | undefined
  /** Outcomes that go with the next commit: by then the handler has continued from them. */
  private pending: Array<Step> = []
  /** How many fibers of the handler sleep outside of steps. */
  private sleeping = 0
  /** The failures that the handler was given, and what it has given up, in their order. */
  private readonly given: Array<{ readonly key: string; readonly error: unknown }> = []

  constructor(live: LiveRun, fork: RestOptions["fork"]) {
    this.live = live
    const { history } = live
    const { interrupts, order } = history
    this.handout = order === undefined || order.size + interrupts.size === 0 ? undefined : new Handout(
      history,
      order,
      {
        fork,
        moves: () => live.resting.activity.moves,
        isBusy: () => this.sleeping > 0 || live.resting.activity.isMoving,
        isOver: () => live.stop !== undefined,
        now: () => live.now(),
        pause: (millis) => live.until(live.now() + millis),
        parted: (how) => live.halt({ _tag: "Parted", how })
      }
    )
  }

  /** The outcome of a step in an earlier attempt. */
  recorded(key: string): Outcome | undefined {
    const row = this.live.history.steps.get(key)
    const outcome = row === undefined ? undefined : outcomeOf(row)
    return outcome?._tag === "Forgotten" ? undefined : outcome
  }

  /** Gives a recorded outcome in its turn. */
  handOut<A, E, R>(
    kind: NameKind,
    place: Place,
    key: string,
    outcome: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> {
    const { handout, live } = this
    return handout === undefined
      ? outcome
      : handout.give(kind, key, outcome, () => live.isAlone(place, Fiber.getCurrent()))
  }

  /** Notes that something recorded was asked for that has no outcome to give. */
  use(kind: NameKind, key: string) {
    this.handout?.use(kind, key)
  }

  /**
   * Work that is not recorded begins once all that is recorded has been given out; otherwise the handler has changed. It is
   * `Effect.void` when there is nothing to wait for.
   */
  caughtUp(kind: NameKind, place: Place, key: string, isAsked = false): Effect.Effect<void> {
    if (this.live.ending !== undefined) return Effect.never
    const { handout, live } = this
    if (handout === undefined) return Effect.void
    return Effect.suspend(() => {
      const fiber = Fiber.getCurrent()
      const isAlone = () => live.isAlone(place, fiber)
      // The failure that ended a run, and what a fork asks again, may come to another outcome than before.
      const row = kind === "step" ? live.history.steps.get(key) : undefined
      const isAgain = (row !== undefined && outcomeOf(row)._tag === "Forgotten") ||
        (isAsked && live.run.forkedFrom !== undefined)
      return handout.over(kind, key, { step: place.step, isAlone, isAgain })
    })
  }

  /** A run rests once all that is recorded has been given out. */
  get rests(): Effect.Effect<void> {
    return this.handout === undefined || this.live.ending !== undefined ? Effect.void : this.handout.rest
  }

  /** How the handler, at its end, has parted from what is recorded. */
  get parted(): string | undefined {
    return this.handout?.parted
  }

  /** The payload for the handler: as its hooks changed it in the first attempt, whatever they would say now. */
  admit(payload: Schema.Json, admitted: Schema.Json): Schema.Json {
    const known = this.live.history.steps.has(payloadKey) ? this.live.history.steps.get(payloadKey) : undefined
    if (known !== undefined) return changedPayload(known) ?? admitted
    if (admitted !== payload) this.pending.push({ name: payloadKey, value: payloadRow(admitted) })
    return admitted
  }

  /** Notes an outcome that is stored with the next commit. */
  settle(key: string, row: Schema.Json): Effect.Effect<void> {
    return Effect.sync(() => {
      this.pending.push({ name: key, value: row })
    })
  }

  /** Notes how a step failed: it is stored with the next commit, by when the handler has gone on. */
  failed(key: string, cause: Cause.Cause<unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.live.stop !== undefined || this.live.ending !== undefined) return Effect.void
      if (Cause.hasInterruptsOnly(cause)) {
        this.given.push({ key, error: undefined })
        this.pending.push({ name: key, value: withdrawn })
        return Effect.void
      }
      return Effect.map(keep(this.live.errors, cause), (failure) => {
        this.seen(key, cause)
        this.pending.push({ name: key, value: failedRow(failure) })
      })
    })
  }

  /** Notes that the handler was given this failure of a step. */
  seen(key: string, cause: Cause.Cause<unknown>) {
    this.given.push({ key, error: Cause.squash(cause) })
  }

  /** Stores that the handler itself has given up what it waited for. */
  giveUp(key: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.live.ending !== undefined) return Effect.void
      this.given.push({ key, error: undefined })
      return this.live.writes.post({ events: [], steps: [{ name: key, value: withdrawn }] })
    })
  }

  /** The failure that ends the run is tried again by a retry, and so is all that was given up because of it. */
  forget(cause: Cause.Cause<unknown>): ReadonlyArray<Step> {
    const waiting = new Set(this.pending.map(({ name }) => name))
    this.pending = []
    return this.endedBy(cause).filter((key) => !waiting.has(key)).map((name) => ({ name, value: forgotten }))
  }

  /** The keys of the failure that ends the run, and of all that was given up because of it. */
  endedBy(cause: Cause.Cause<unknown>): ReadonlyArray<string> {
    const last = Cause.squash(cause)
    const first = this.given.findIndex(({ error }) => error !== undefined && error === last)
    const ended = first === -1 ? [] : this.given.slice(first)
    return ended.filter(({ error }) => error === undefined || error === last).map(({ key }) => key)
  }

  /** Reads a time: a recorded one, or the present one, which is recorded with the next commit. */
  readonly readTime: Read = (kind, place, present) =>
    Effect.suspend(() => {
      const times = this.times ??= new HandlerTimes(this.live.history.steps.values())
      const time = times.next(kind, place, present)
      return times.waiting < timesLimit ? Effect.succeed(time) : Effect.as(this.live.writes.post({ events: [] }), time)
    })

  /** Draws a random text: a recorded one, or one that is recorded with the next commit. */
  readonly drawRandom: Draw = (place, draw) =>
    Effect.suspend(() => {
      const times = this.times ??= new HandlerTimes(this.live.history.steps.values())
      if (times.isRecorded("random", place)) return this.readTime("random", place, () => "")
      return Effect.flatMap(this.live.inRealTime(draw), (drawn) => this.readTime("random", place, () => drawn))
    })

  /** A sleep of the handler outside of steps: what it comes to then may be recorded. */
  readonly sleep = (sleep: Effect.Effect<void>): Effect.Effect<void> =>
    this.handout === undefined ? sleep : Effect.suspend(() => {
      this.sleeping++
      return Effect.ensuring(
        sleep,
        Effect.sync(() => {
          this.sleeping--
        })
      )
    })

  /** Whether something goes with the next commit. */
  get hasPending(): boolean {
    return this.pending.length > 0 || (this.times !== undefined && this.times.waiting > 0)
  }

  /** The parts of a commit with the outcomes that the handler has gone on from. */
  withPending(parts: Parts): Parts {
    if (!this.hasPending) return parts
    const steps = [...this.pending, ...(parts.steps ?? [])]
    this.pending = []
    return this.withTimes({ ...parts, steps })
  }

  /** The parts of a commit with the times that the handler has read. */
  withTimes(parts: Parts): Parts {
    if (this.times === undefined || this.times.waiting === 0) return parts
    return { ...parts, steps: [...this.times.take(), ...(parts.steps ?? [])] }
  }

  /** Takes the outcomes of a commit that was not made: they go with the next one. */
  takeBack(steps: ReadonlyArray<Step> = []) {
    this.pending = [...steps, ...this.pending]
  }
}
