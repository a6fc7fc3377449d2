// The order in which a replay gives out what is recorded. A branch that asks for an outcome gets it when all that was
// committed before it was asked for, or when nothing else moves; work that is not recorded begins after that. So a race
// of branches has the same winner as before. What is recorded and not asked for by then says that the handler has changed.
import { Deferred, Effect } from "effect"
import type { Interrupt } from "../../run/Interrupt.ts"
import type { History } from "./history.ts"
import { type NameKind, separator } from "./names.ts"
import { isMessage } from "./signals.ts"

/** The run that a handout is for. */
export interface Replaying {
  readonly moves: () => number
  readonly fork: (effect: Effect.Effect<unknown>) => unknown
  /** Whether something moves that may still ask: the handler sleeps, or work of it is under way. */
  readonly isBusy: () => boolean
  readonly isOver: () => boolean
  readonly now: () => number
  readonly pause: (millis: number) => Effect.Effect<void>
  /** The handler does something else than is recorded. */
  readonly parted: (how: string) => void
}

/** Work that is not recorded and wants to begin. */
interface Held {
  readonly what: string
  /** The step around it. */
  readonly step: string | undefined
  readonly isAlone: () => boolean
  /** Whether it was done before and is done again: the handler may then take another way. */
  readonly isAgain: boolean
  /** Whether the run rests then: it does not while work is held that is about to begin. */
  readonly isRest: boolean
  readonly turn: Deferred.Deferred<void>
}

/** How long branches that may still ask for what is recorded are waited for, in milliseconds. */
const patienceMillis = 5_000
const lookMillis = 20

export class Handout {
  /** The recorded uses that were not asked for, with the numbers of their commits, and all of them in that order. */
  private readonly left: Map<string, number>
  private readonly line: ReadonlyArray<readonly [string, number]>
  private first = 0
  private readonly waiting: Array<{ readonly order: number; readonly turn: Deferred.Deferred<void> }> = []
  private readonly held: Array<Held> = []
  /** The pauses that are open, and whether the last outcome was committed before them. */
  private readonly open = new Map<string, boolean>()
  private readonly last: number
  /** Whether the last outcome was given to a handler that did nothing beside: no race was won by it. */
  private isSequential: boolean
  /** The steps that have begun in this attempt. */
  private readonly begun = new Set<string>()
  private readonly run: Replaying
  private isWatching = false
  private since: number | undefined

  constructor(
    history: Pick<History, "steps" | "interrupts" | "asked">,
    recorded: ReadonlyMap<string, number>,
    run: Replaying
  ) {
    this.left = new Map()
    let last = 0
    const open: Array<readonly [string, number]> = []
    for (const [key, order] of recorded) {
      // A replay does not run a committed step again, so nothing inside of it is asked for.
      if (isInside(key, recorded) || mayBeLeft(key)) continue
      const use = useOf("step", key)
      this.left.set(use, order)
      if (isSleep(key) && typeof history.steps.get(key) === "number") open.push([use, order])
      else last = Math.max(last, order)
    }
    this.line = [...this.left].sort(([, a], [, b]) => a - b)
    for (const one of history.interrupts.values()) {
      if (!isUsed(one) || isInside(one.name, recorded)) continue
      const use = useOf("interrupt", one.name)
      if (one.state === "open") open.push([use, history.asked?.get(one.id) ?? 0])
      this.left.set(use, Infinity)
    }
    for (const [use, at] of open) this.open.set(use, at > last)
    this.last = last
    this.isSequential = last === 0
    this.run = run
  }

  /** Gives a recorded outcome in its turn. */
  give<A, E, R>(
    kind: NameKind,
    key: string,
    outcome: Effect.Effect<A, E, R>,
    isAlone: () => boolean
  ): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      const order = this.left.get(useOf(kind, key)) ?? Infinity
      if (order === this.last && this.open.size > 0) this.isSequential = isAlone()
      this.use(kind, key)
      if (!this.isBeforeAny(order)) return outcome
      const turn = Deferred.makeUnsafe<void>()
      this.waiting.push({ order, turn })
      this.watch()
      return Effect.andThen(Deferred.await(turn), outcome)
    })
  }

  /** Notes that something recorded was asked for. */
  use(kind: NameKind, key: string) {
    if (this.left.delete(useOf(kind, key))) this.since = undefined
  }

  /** Waits until what is recorded has been given out, for work that begins then. */
  over(
    kind: NameKind,
    key: string,
    held: Pick<Held, "step" | "isAlone" | "isAgain">
  ): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (kind === "step") this.begun.add(key)
      return this.hold({ what: `wants ${quoted(useOf(kind, key))}`, ...held, isRest: false })
    })
  }

  /** Waits until what is recorded has been given out, for a run that is about to rest. */
  readonly rest: Effect.Effect<void> = Effect.suspend(() =>
    this.hold({ what: "pauses", step: undefined, isAlone: () => false, isAgain: false, isRest: true })
  )

  private hold(held: Omit<Held, "turn">): Effect.Effect<void> {
    const isFree = this.left.size === 0 && this.waiting.length === 0
    if (isFree && (!held.isRest || this.held.length === 0)) return Effect.void
    const turn = Deferred.makeUnsafe<void>()
    this.held.push({ ...held, turn })
    this.watch()
    return Deferred.await(turn)
  }

  /** How a handler that has come to its end has parted from what is recorded. */
  get parted(): string | undefined {
    const missing = this.missing(undefined)
    return missing === undefined ? undefined : `ends, and ${quoted(missing)} is recorded`
  }

  private isBeforeAny(order: number) {
    while (this.first < this.line.length && !this.left.has(this.line[this.first]?.[0] ?? "")) this.first++
    const [, next = Infinity] = this.line[this.first] ?? []
    return next < order || this.waiting.some((other) => other.order < order)
  }

  private watch() {
    if (this.isWatching) return
    this.isWatching = true
    this.run.fork(this.untilOver)
  }

  /** Gives out the next one each time that nothing has moved for a turn of the event loop. */
  private readonly untilOver = Effect.gen({ self: this }, function*() {
    while ((this.waiting.length > 0 || this.held.length > 0) && !this.run.isOver()) {
      let seen = -1
      while (seen !== this.run.moves()) {
        seen = this.run.moves()
        yield* Effect.yieldNow
        yield* Effect.yieldNow
      }
      yield* this.next() ? Effect.yieldNow : this.run.pause(lookMillis)
    }
    this.isWatching = false
  })

  /** Returns whether something was given out, or the handler was found to have parted. */
  private next(): boolean {
    const first = this.waiting.toSorted((a, b) => a.order - b.order)[0]
    return first === undefined ? this.begin() : this.giveOut(first)
  }

  private giveOut(first: (typeof this.waiting)[number]): boolean {
    // A branch that sleeps may come to what was committed earlier.
    if (this.run.isBusy()) {
      const skipped = [...this.left].filter(([use, order]) => order < first.order && !this.isWithin(use, undefined))
      if (skipped.length > 0 && !this.isLate()) return false
      for (const [use] of skipped) this.left.delete(use)
    }
    this.since = undefined
    this.waiting.splice(this.waiting.indexOf(first), 1)
    Deferred.doneUnsafe(first.turn, Effect.void)
    return true
  }

  /** Lets work begin for which nothing recorded is missing. */
  private begin(): boolean {
    if (this.held.some(({ isAgain }) => isAgain)) this.left.clear()
    const all = this.held.filter(({ step }) => this.missing(step) === undefined)
    const work = all.filter(({ isRest }) => !isRest)
    const free = work.length > 0 ? work : all
    for (const one of free) {
      this.held.splice(this.held.indexOf(one), 1)
      Deferred.doneUnsafe(one.turn, Effect.void)
    }
    if (free.length > 0) return true
    const alone = this.held.find(({ isAlone }) => isAlone())
    if (alone !== undefined) return this.part(alone)
    if (!this.isLate()) return false
    const beside = this.held.find(({ step }) => step === undefined)
    if (beside !== undefined && !this.run.isBusy()) return this.part(beside)
    // Other branches may still come to it: nothing says that the handler has changed.
    for (const { step } of this.held) {
      for (let use = this.missing(step); use !== undefined; use = this.missing(step)) this.left.delete(use)
    }
    return true
  }

  private part({ step, what }: Held): boolean {
    this.run.parted(`${what} where ${quoted(this.missing(step) ?? "")} is recorded`)
    return true
  }

  /** The first that a place has recorded and not asked for, outside of steps that have begun. */
  private missing(step: string | undefined): string | undefined {
    for (const [use] of this.left) {
      // A pause that lost a race may be open still, and is not asked for again.
      const mayHaveLost = this.open.has(use) && !(this.isSequential && this.open.get(use) === true)
      if (!mayHaveLost && !this.isWithin(use, step)) return use
    }
    return undefined
  }

  /** Whether a use is no use of this place: it belongs to another step, or into a step that has begun. */
  private isWithin(use: string, step: string | undefined): boolean {
    const key = use.slice(use.indexOf(" ") + 1)
    const from = step === undefined ? 0 : step.length + separator.length
    if (step !== undefined && !key.startsWith(step + separator)) return true
    const end = key.indexOf(separator, from)
    return end !== -1 && this.begun.has(key.slice(0, end))
  }

  private isLate() {
    this.since ??= this.run.now()
    return this.run.now() - this.since >= patienceMillis
  }
}

const useOf = (kind: NameKind, key: string) => `${kind} ${key}`

const quoted = (use: string) => use.replace(/^(\S+) (.*)$/su, "$1 \"$2\"")

const isInside = (key: string, recorded: ReadonlyMap<string, number>) => {
  for (let at = key.lastIndexOf(separator); at > 0; at = key.lastIndexOf(separator, at - 1)) {
    if (recorded.has(key.slice(0, at))) return true
  }
  return false
}

const isSleep = (key: string) => /(?:^|\/| › )sleep /u.test(key)

/**
 * Whether hooks or a framework may skip on a replay what they have recorded under this name. An adapter that keeps
 * checkpoints of its own does not enter a part again that is through.
 */
export const mayBeLeft = (key: string): boolean => /(?:^|\/| › )(?:told|interrupt) |(?:^|\/| › )~[^]*\//u.test(key)

/** Whether a replay asks this question again. An approval is over with its call, and a message is no question. */
export const isUsed = (one: Interrupt): boolean =>
  one.kind === "input" && one.resolution?.decision !== "withdraw" && !isMessage(one) && !mayBeLeft(one.name)
