// A run while this node owns it: one attempt, from its claim to its end or its pause. The supervisor makes it, segment.ts
// drives it. Everything that it writes carries its attempt, so that nothing is written once another owner has the run.
import { Cause, Clock, Context, Duration, Effect, Fiber, Random, type Schema, Semaphore } from "effect"
import type { Threads } from "../../app/Agent.ts"
import type { Shape } from "../../app/Fusion.ts"
import type { Entry } from "../../audit/Audit.ts"
import { NotedFact } from "../../audit/internal/notedFact.ts"
import { HandlerClock, type Read } from "../../base/internal/handlerClock.ts"
import type { Budget } from "../../budget/Budget.ts"
import type { RunTools, ToolDoor } from "../../door/internal/toolDoor.ts"
import { type Dispatch, dispatch, type HookWithHandler } from "../../hook/internal/dispatch.ts"
import { guardsOf, OutputGuards } from "../../hook/internal/outputGuards.ts"
import { tracingHooks } from "../../hook/internal/tracingHooks.ts"
import * as Event from "../../run/Event.ts"
import { fileIdsIn } from "../../run/internal/filePlaces.ts"
import type { Interrupt } from "../../run/Interrupt.ts"
import type { Principal } from "../../run/Principal.ts"
import type { CurrentRun } from "../../run/Run.ts"
import {
  AmbiguousName,
  type DeadlineExceeded,
  type HookBlocked,
  InvalidContent,
  StoreUnavailable
} from "../../run/RunError.ts"
import { isFinal, type RunRecord } from "../../run/RunRecord.ts"
import type { Files } from "../../store/Files.ts"
import {
  changed,
  type Changes,
  type Commit,
  type Fact,
  type ReadError,
  type Step,
  type Written
} from "../../store/RunStore.ts"
import type { Metrics } from "../../telemetry/internal/metrics.ts"
import type { Message } from "../../thread/Message.ts"
import { Undos } from "./compensate.ts"
import { checkContent, fitContent } from "./contentEvents.ts"
import { serviceIn } from "./currentRun.ts"
import type { Children } from "./delegation.ts"
import type { EarlierWords, Range } from "./earlierWords.ts"
import { EventTail } from "./eventTail.ts"
import { HandlerTimes, timesLimit } from "./handlerTimes.ts"
import { Handout } from "./handout.ts"
import type { Hub } from "./hub.ts"
import { type NameKind, Names, type Place, top } from "./names.ts"
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
import { Resting, type RestOptions } from "./resting.ts"
import { runEntry, settles } from "./runEntry.ts"
import { makeRunFiles, type RunFiles } from "./runFiles.ts"
import { seededRandom } from "./seededRandom.ts"
import { untilStored } from "./storeAway.ts"
import type { StoreWriter } from "./storeWriter.ts"
import { type Ending, endingIn, endingKey } from "./undoRows.ts"
import { addUsage, countedUsage } from "./usageSum.ts"

/** Why a segment stopped before its handler was through. */
export type Stop =
  /** It rests and leaves memory. */
  | { readonly _tag: "Suspended" }
  | { readonly _tag: "Ended" }
  /** The node shuts down: another one, or the next start, resumes from here. */
  | { readonly _tag: "Drained" }
  | { readonly _tag: "Cancelled"; readonly reason: string; readonly facts?: ReadonlyArray<Fact> }
  /** A guard let nothing more out. */
  | { readonly _tag: "Cut"; readonly error: HookBlocked | DeadlineExceeded }
  /** The store refused this owner or cannot be reached: nothing more can be written. */
  | { readonly _tag: "Lost"; readonly error: StoreUnavailable | undefined }

/** The recorded history of earlier attempts. */
export interface Past {
  readonly steps: ReadonlyMap<string, Schema.Json>
  readonly interrupts: ReadonlyMap<string, Interrupt>
  /** Whether the names of its branches were kept apart; earlier versions did not. */
  readonly places: boolean
  /** The words that earlier attempts said, by place. */
  readonly words?: ReadonlyMap<string, EarlierWords>
  /** The recorded outcomes in the order of their commits. */
  readonly order?: ReadonlyMap<string, number>
}

export const noPast: Past = { places: true, steps: new Map(), interrupts: new Map() }

export type Parts = Pick<Commit, "events" | "set" | "steps" | "open" | "turn" | "facts">

export class LiveRun {
  run: RunRecord
  stop: Stop | undefined
  fiber: Fiber.Fiber<void> | undefined
  readonly dispatch: Dispatch
  readonly service: CurrentRun["Service"]
  /** The guards over what the handler says; nothing when it has none. */
  readonly outlet: OutputGuards | undefined
  readonly principal: Principal
  readonly launchedAt: number
  readonly children: Children
  readonly tools: RunTools
  readonly past: Past
  /** Reads and writes the declared errors of the agent. */
  readonly errors: Shape | undefined
  readonly budget: Budget["Service"]
  readonly journal: StoreWriter
  readonly traced: boolean
  /** Whether the run has started others. */
  hasChildren = false
  usage: Event.Usage | undefined
  /** The messages that the run has for its thread: they are written with its end, and made again by a replay. */
  said: Array<Message> | undefined
  readonly top = top()
  /** The declared messages of the agent. */
  readonly signals: ReadonlyMap<string, Shape>
  readonly threads: Threads
  /** The model that the agent declares. */
  readonly model: string | undefined
  /** Messages are taken one after the other. */
  readonly mailbox = Semaphore.makeUnsafe(1)
  readonly resting: Resting
  /** Whether another node has written events to this run that were not read here yet. */
  isBehind = false
  /** How the run ends once its undos are through: then nothing is done that is not recorded. */
  readonly ending: Ending | undefined
  private ownUndos: Undos | undefined
  private draining = false
  private isLeaving = false
  private readonly handout: Handout | undefined
  private readonly hub: Hub
  private readonly fileStore: Files["Service"]
  private ownFiles: RunFiles | undefined
  private readonly clock: Clock.Clock
  /** The clock and the random numbers of steps, and of the runtime's own work for the handler. */
  private readonly real: Context.Context<never>
  /** The times that the handler has read; nothing when it has read none. */
  private times: HandlerTimes | undefined
  private readonly metrics: Metrics
  private readonly names = new Names()
  private readonly tail = new EventTail()
  /** Outcomes that go with the next commit: by then the handler has gone on from them. */
  private pending: Array<Step> = []
  /** Calls of tools that begin now: their lines of the audit log go with the next commit. */
  private called: Array<Fact> = []
  /** The failures that the handler was given, and what it has given up, in their order. */
  private readonly given: Array<{ readonly key: string; readonly error: unknown }> = []
  private toSkip: number
  private emitted: number

  constructor(options: {
    readonly run: RunRecord
    readonly principal: Principal
    readonly children: Children
    readonly tools: ToolDoor
    readonly hub: Hub
    readonly journal: StoreWriter
    readonly past: Past
    readonly hooks: ReadonlyArray<HookWithHandler>
    readonly errors: Shape | undefined
    readonly signals: ReadonlyMap<string, Shape>
    readonly threads: Threads
    readonly model: string | undefined
    readonly budget: Budget["Service"]
    readonly files: Files["Service"]
    readonly metrics: Metrics
    /** Whether anybody looks at spans. */
    readonly traced: boolean
    readonly clock: Clock.Clock
    /** The clock and the random numbers of steps. */
    readonly real: Context.Context<never>
    readonly rest: RestOptions
  }) {
    this.run = options.run
    this.principal = options.principal
    this.children = options.children
    this.tools = options.tools(() => this.run, options.principal, (entry) => this.noteCall(entry))
    this.hub = options.hub
    this.journal = options.journal
    this.past = options.past
    this.ending = options.past.steps.has(endingKey) ? endingIn(options.past.steps.get(endingKey)) : undefined
    this.errors = options.errors
    this.signals = options.signals
    this.threads = options.threads
    this.model = options.model
    this.clock = options.clock
    this.real = options.real
    this.launchedAt = this.now()
    this.budget = options.budget
    this.fileStore = options.files
    this.metrics = options.metrics
    this.traced = options.traced
    // Runs of earlier versions only say how many events they have emitted.
    this.toSkip = options.past.places ? 0 : options.run.emitted
    this.emitted = options.run.emitted
    this.usage = options.run.usage
    this.resting = new Resting(this, options.rest)
    const { order } = options.past
    this.handout = order === undefined || order.size === 0
      ? undefined
      : new Handout(order, { moves: () => this.resting.activity.moves, fork: options.rest.fork })
    const { kind, runId } = options.run
    const isPast = (toolCallId: string) => this.past.steps.has(`tool ${toolCallId}`)
    const points = options.traced ? tracingHooks({ kind, isPast }) : undefined
    this.dispatch = dispatch(options.hooks, runId, (decision) => this.decided(decision), points)
    const guards = guardsOf(options.hooks)
    this.outlet = guards === undefined ? undefined : this.outletOf(guards)
    this.service = this.serviceIn(this.top, this.outlet)
  }

  /** The files of the run, made when it first uses one. */
  get files(): RunFiles {
    return this.ownFiles ??= makeRunFiles(this.fileStore, this.run, this.principal)
  }

  /** The undos of the run. */
  get undos(): Undos {
    return this.ownUndos ??= new Undos(this)
  }

  /** Whether the run has to undo something before it ends. */
  get hasUndos(): boolean {
    return (this.ownUndos !== undefined || this.past.steps.size > 0) && this.undos.open.size > 0
  }

  /** Keeps the files that a value names for as long as the run. */
  holdFiles(value: Schema.Json | undefined): Effect.Effect<void> {
    return value === undefined || !this.fileStore.areKept
      ? Effect.void
      : Effect.forEach(
        fileIdsIn(value),
        (fileId) => Effect.orDie(untilStored(this.fileStore.hold(this.run.runId, fileId))),
        { discard: true }
      )
  }

  /** The run as its handler sees it in a place. */
  serviceIn(place: Place, outlet: OutputGuards | undefined) {
    return serviceIn(this, place, outlet)
  }

  private outletOf(guards: ConstructorParameters<typeof OutputGuards>[0]["guards"]): OutputGuards {
    const { agent, kind, runId } = this.run
    return new OutputGuards({
      guards,
      about: { runId, kind, agent, principal: this.principal },
      // The output of an earlier attempt was decided then.
      decided: (decision) => Effect.suspend(() => this.isRepeating ? Effect.void : this.decided(decision)),
      write: (event) => this.emit(this.top, event),
      cut: (error) => Effect.andThen(Effect.sync(() => this.halt({ _tag: "Cut", error })), Effect.interrupt)
    })
  }

  /** Journals what a hook has decided. */
  decided(decision: Event.Data<"hook_decision">): Effect.Effect<void> {
    return Effect.suspend(() => this.append({ type: "hook_decision", data: decision }))
  }

  /** Whether the handler says at its top what an earlier attempt has said. */
  private get isRepeating() {
    return this.toSkip > 0 || this.past.words?.get("")?.isOpen === true
  }

  /** Emits in a place, unless an earlier attempt has said this there. The first event that differs supersedes the rest. */
  emit(place: Place, event: Event.Event): Effect.Effect<void> {
    if (this.stop !== undefined || this.ending !== undefined) return Effect.void
    const checked = this.outlet === undefined ? checkContent(event) : fitContent(event)
    if (checked instanceof InvalidContent) return Effect.die(checked)
    return this.emitChecked(place, checked)
  }

  private emitChecked(place: Place, event: Event.Event): Effect.Effect<void> {
    const isInStep = place.step !== undefined
    if (this.toSkip > 0 && !isInStep) {
      this.toSkip--
      return Effect.void
    }
    const earlier = this.past.words?.get(place.address)
    if (earlier === undefined || !earlier.isOpen || (isInStep && event.type === "usage")) return this.say(place, event)
    const superseded = earlier.say(event, Fiber.getCurrent())
    if (superseded === undefined) {
      this.resting.activity.moves++
      return Effect.void
    }
    return Effect.andThen(
      Effect.forEach(supersededBy(place.address, superseded), (one) => this.append(one), { discard: true }),
      Effect.suspend(() => this.say(place, event))
    )
  }

  private say(place: Place, event: Event.Event) {
    if (place.step === undefined) this.emitted++
    if (place.address !== "") return this.append({ ...event, place: place.address })
    return this.append(Event.isSaid(event) ? event : { ...event, place: "" })
  }

  /** Supersedes the words of earlier attempts that this one does not say, in all places that begin like this. */
  unsaid(prefix: string, address?: string): ReadonlyArray<Event.Event> {
    if (this.past.words === undefined) return []
    return [...this.past.words].flatMap(([place, words]) =>
      place === address || place.startsWith(prefix) ? supersededBy(place, words.end()) : []
    )
  }

  /** Supersedes all that was said in a place, once it is committed and has its numbers. */
  retract({ address }: Place): Effect.Effect<void> {
    return this.ending !== undefined ? Effect.void : Effect.andThen(
      this.commit({ events: [] }),
      Effect.suspend(() => this.append({ type: "superseded", data: { place: address, from: 1, to: this.run.seq } }))
    )
  }

  /** Adds to the events that wait for their commit; waits only when too much is in line. */
  append(event: Event.Event): Effect.Effect<void> {
    if (this.stop !== undefined || this.ending !== undefined) return Effect.void
    if (this.resting.phase !== "running") {
      return Effect.andThen(this.resting.awake, Effect.suspend(() => this.append(event)))
    }
    this.resting.activity.moves++
    if (event.type === "usage") {
      this.usage = addUsage(this.usage, event.data)
      this.metrics.used(this.run, { ...event.data, ...countedUsage(event.data) })
    }
    // Output after an outcome shows that the handler continued from it.
    if (this.hasPending || this.called.length > 0) return this.post({ events: [event] })
    const write = this.tail.add(event, this.progress(), this.journal.turn)
    if (write === undefined) return Effect.void
    this.enqueue(this.commitOf(write))
    return this.journal.room
  }

  private progress(): Changes {
    return this.usage === undefined ? { emitted: this.emitted } : { emitted: this.emitted, usage: this.usage }
  }

  /** Commits and waits. What cannot be committed ends the segment and never returns to the handler. */
  commit(parts: Parts): Effect.Effect<void> {
    return Effect.andThen(
      Effect.suspend(() => this.stop === undefined ? this.conclude(this.withPending(parts)) : Effect.void),
      // A handler may be in a region that cannot be interrupted from outside.
      Effect.suspend(() => this.stop === undefined ? Effect.void : Effect.interrupt)
    )
  }

  /** Commits without waiting: for what would be lost with the process anyway. */
  post(parts: Parts): Effect.Effect<void> {
    this.tail.close()
    const whole = this.withPending(parts)
    this.enqueue(this.commitOf({ ...whole, set: { ...this.progress(), ...whole.set } }))
    return this.journal.room
  }

  private enqueue(write: Commit) {
    this.journal.enqueue(write, (written) => this.accept(write, written))
  }

  /** The commit of a segment that is over: there is nobody left to stop. `rule` is what refused the run. */
  conclude(parts: Parts, rule?: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const write = this.concluding(parts, rule)
      return Effect.ignore(
        Effect.tapError(
          this.journal.write(write, (written) => this.accept(write, written)),
          (error) => Effect.sync(() => this.accept(write, error))
        )
      )
    })
  }

  private concluding(parts: Parts, rule?: string): Commit {
    this.tail.close()
    // A run that comes to rest was not lost: the row of lost owners ends.
    const rests = parts.set?.state !== undefined && this.run.crashes > 0
    return this.commitOf({
      ...parts,
      set: { ...this.progress(), ...(rests ? { crashes: 0 } : {}), ...parts.set }
    }, rule)
  }

  /**
   * Suspends the run unless another node has written an event that was not read here: it may be a message or a decision,
   * which nobody would deliver if this process ended now. Returns false then; nothing was written.
   */
  suspendIfRead(parts: Parts): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      if (this.isBehind) return Effect.succeed(false)
      const write = { ...this.concluding(this.withPending(parts)), ifSeq: this.run.seq }
      const committed = (written: Written) => written._tag === "Committed" ? this.accept(write, written) : undefined
      return this.journal.write(write, committed).pipe(
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
    return Effect.map(this.journal.store.get(write.runId), (stored) => {
      if (stored?.attempt !== write.attempt || stored.state !== "running" || stored.seq === write.ifSeq) {
        this.accept(write, written)
        return true
      }
      this.giveBack(write)
      this.pending = [...write.steps ?? [], ...this.pending]
      // Otherwise writes of its own were still in line.
      if (stored.seq > this.run.seq) {
        this.run = { ...this.run, seq: stored.seq }
        this.isBehind = true
      }
      return false
    })
  }

  /** The next step is the last one of this segment, when the run can resume elsewhere. What rests leaves at once. */
  drain() {
    this.draining = this.run.durable
    this.isLeaving = true
    if (this.resting.phase === "suspended") this.halt({ _tag: "Suspended" })
  }

  commitOf(parts: Parts, rule?: string): Commit {
    const ts = this.now()
    const facts = this.factsOf(parts, ts, rule)
    return {
      _tag: "Commit",
      runId: this.run.runId,
      attempt: this.run.attempt,
      from: ["running"],
      ts,
      ...parts,
      ...(facts === undefined ? {} : { facts })
    }
  }

  /** The facts of a commit: the calls of tools before it, its own, and the end or the pause that it is. */
  private factsOf({ facts, set }: Parts, ts: number, rule: string | undefined): ReadonlyArray<Fact> | undefined {
    const { outbox } = this.journal
    const isEnd = settles(set)
    if (outbox === undefined || (!isEnd && this.called.length === 0)) return facts
    const called = this.called
    this.called = []
    return [...called, ...(facts ?? []), ...(isEnd ? [outbox.note(runEntry(this.run, set, ts, rule))] : [])]
  }

  /** The line of the audit log about a call of a tool that begins: it goes with the run's own commit where it is kept. */
  private noteCall(entry: Entry): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { keepsFacts, outbox } = this.journal
      if (this.ending !== undefined) return Effect.never
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
    if (called.length > 0) this.journal.outbox?.committed(called, this.journal.keepsFacts)
  }

  accept(write: Commit, written: Written | StoreUnavailable) {
    if (!(written instanceof StoreUnavailable) && written._tag === "Committed") {
      // Another node may have written in between.
      const seq = written.events.at(-1)?.seq ?? this.run.seq
      if (seq !== this.run.seq + written.events.length) this.isBehind = true
      this.run = changed(this.run, write.set, { seq, ts: write.ts })
      this.hub.publish(this.run, written.events)
      if (this.draining && write.steps !== undefined) this.halt({ _tag: "Drained" })
      return
    }
    this.giveBack(write)
    if (isFinal(this.run.state)) return
    this.lose(written instanceof StoreUnavailable ? written : undefined)
  }

  /** A run that cannot be written or read cannot be driven here any more. */
  lose(error: ReadError | undefined) {
    this.halt({ _tag: "Lost", error: error instanceof StoreUnavailable ? error : undefined })
    this.hub.close()
  }

  /** Ends the segment from outside of its handler, which sees an interruption. */
  halt(stop: Stop) {
    this.stop ??= stop
    this.fiber?.interruptUnsafe()
  }

  /** Uses a name in a place; `use` gets its key. */
  named<A, E, R>(
    kind: NameKind,
    place: Place,
    name: string,
    use: (key: string) => Effect.Effect<A, E, R>,
    implied = false
  ): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      if (this.resting.phase !== "running") {
        return Effect.andThen(this.resting.awake, this.named(kind, place, name, use, implied))
      }
      this.resting.activity.moves++
      const key = this.names.use(kind, place, name, implied)
      return key instanceof AmbiguousName ? Effect.die(key) : use(key)
    })
  }

  /** Runs what happens in a place, in the fiber that enters it. */
  entering<A, E, R>(place: Place, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      place.fiber = Fiber.getCurrent()
      // A step runs once, so its time and its random numbers are the real ones.
      return Effect.provideContext(effect, place.step === undefined ? this.repeatable(place.address) : this.real)
    })
  }

  /** Gives the runtime's own work for a handler the real time. */
  inRealTime<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.provideContext(effect, this.real)
  }

  /** A clock and random numbers that are the same on a replay. */
  private repeatable(address: string): Context.Context<never> {
    return Context.add(
      Context.make(Random.Random, seededRandom(`${this.run.runId}/${address}`)),
      Clock.Clock,
      new HandlerClock(this.clock, address, this.readTime)
    )
  }

  private readonly readTime: Read = (kind, place, present) =>
    Effect.suspend(() => {
      const times = this.times ??= new HandlerTimes(this.past.steps.values())
      const time = times.next(kind, place, present)
      return times.waiting < timesLimit ? Effect.succeed(time) : Effect.as(this.post({ events: [] }), time)
    })

  private get hasPending() {
    return this.pending.length > 0 || (this.times !== undefined && this.times.waiting > 0)
  }

  /** Writes the outcomes that the handler has gone on from, without waiting. */
  get flushed(): Effect.Effect<void> {
    return Effect.suspend(() => this.hasPending ? this.post({ events: [] }) : Effect.void)
  }

  /** The outcome of a step in an earlier attempt. */
  outcome(key: string): Outcome | undefined {
    const row = this.past.steps.get(key)
    const outcome = row === undefined ? undefined : outcomeOf(row)
    return outcome?._tag === "Forgotten" ? undefined : outcome
  }

  /** Whether the next step of this name has an outcome from an earlier attempt. */
  isRecorded(place: Place, name: string): boolean {
    return this.outcome(this.names.next("step", place, name)) !== undefined
  }

  /** The decision that an earlier attempt got under this name, which is then used; nothing is asked. */
  recall(place: Place, name: string): Interrupt | undefined {
    const known = this.past.interrupts.get(this.names.next("interrupt", place, name))
    if (known?.resolution !== undefined) this.names.use("interrupt", place, name)
    return known?.resolution === undefined ? undefined : known
  }

  /** The payload for the handler: as its hooks changed it in the first attempt, whatever they would say now. */
  admit(payload: Schema.Json, admitted: Schema.Json): Schema.Json {
    const known = this.past.steps.has(payloadKey) ? this.past.steps.get(payloadKey) : undefined
    if (known !== undefined) return changedPayload(known) ?? admitted
    if (admitted !== payload) this.pending.push({ name: payloadKey, value: payloadRow(admitted) })
    return admitted
  }

  /** Notes how a step failed: it is stored with the next commit, by when the handler has gone on. */
  failed(key: string, cause: Cause.Cause<unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.stop !== undefined || this.ending !== undefined) return Effect.void
      if (Cause.hasInterruptsOnly(cause)) {
        this.given.push({ key, error: undefined })
        this.pending.push({ name: key, value: withdrawn })
        return Effect.void
      }
      return Effect.map(keep(this.errors, cause), (failure) => {
        this.seen(key, cause)
        this.pending.push({ name: key, value: failedRow(failure) })
      })
    })
  }

  /** Notes that the handler was given this failure of a step. */
  seen(key: string, cause: Cause.Cause<unknown>) {
    this.given.push({ key, error: Cause.squash(cause) })
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

  /** Gives a recorded outcome in its turn. */
  handOut<A, E, R>(key: string, outcome: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return this.handout === undefined ? outcome : this.handout.give(key, outcome)
  }

  /** Work that is not recorded begins once all that is recorded has been given out. */
  get caughtUp(): Effect.Effect<void> {
    if (this.ending !== undefined) return Effect.never
    return this.handout === undefined ? Effect.void : this.handout.over
  }

  /** Notes an outcome that is stored with the next commit. */
  settle(key: string, row: Schema.Json): Effect.Effect<void> {
    return Effect.sync(() => {
      this.pending.push({ name: key, value: row })
    })
  }

  /** Stores that the handler itself has given up what it waited for. */
  giveUp(key: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.ending !== undefined) return Effect.void
      this.given.push({ key, error: undefined })
      return this.post({ events: [], steps: [{ name: key, value: withdrawn }] })
    })
  }

  /** Waits until a time. */
  until(time: number): Effect.Effect<void> {
    return Effect.suspend(() => this.clock.sleep(Duration.millis(Math.max(0, time - this.now()))))
  }

  /** Waits for so long, unless the node goes away. */
  pause(millis: number): Effect.Effect<void> {
    return Effect.suspend(() => this.isLeaving ? Effect.void : this.clock.sleep(Duration.millis(millis)))
  }

  now() {
    return this.clock.currentTimeMillisUnsafe()
  }
}

const isCall = (fact: Fact) => fact instanceof NotedFact && fact.entry.action === "call"

const supersededBy = (place: string, ranges: ReadonlyArray<Range>): ReadonlyArray<Event.Event> =>
  ranges.map(({ from, to }) => ({ type: "superseded", data: { place, from, to } }))
