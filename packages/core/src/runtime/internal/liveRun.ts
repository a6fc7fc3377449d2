// A run while this node owns it: one attempt, from its claim to its end or its pause. The supervisor makes it, segment.ts
// drives it. It consists of what it says (RunWords), the outcomes of its steps (RunOutcomes), what it writes (RunWrites) and
// when it rests (Resting); here are its names, its clock and how it stops.
import { Clock, Context, Duration, Effect, Fiber, Random, type Schema, Semaphore } from "effect"
import type { Threads } from "../../app/Agent.ts"
import type { Shape } from "../../app/Fusion.ts"
import { HandlerClock } from "../../base/internal/handlerClock.ts"
import type { Budget } from "../../budget/Budget.ts"
import type { RunTools, ToolDoor } from "../../door/internal/toolDoor.ts"
import { type Dispatch, dispatch, type HookWithHandler } from "../../hook/internal/dispatch.ts"
import { guardsOf, OutputGuards } from "../../hook/internal/outputGuards.ts"
import { noteContent } from "../../hook/internal/spanContent.ts"
import { tracingHooks } from "../../hook/internal/tracingHooks.ts"
import type * as Event from "../../run/Event.ts"
import { fileIdsIn } from "../../run/internal/filePlaces.ts"
import type { Interrupt } from "../../run/Interrupt.ts"
import type { Principal } from "../../run/Principal.ts"
import { CurrentRun } from "../../run/Run.ts"
import {
  AmbiguousName,
  type DeadlineExceeded,
  type HookBlocked,
  InvalidContent,
  type StoreUnavailable
} from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import type { Files } from "../../store/Files.ts"
import type { Fact } from "../../store/RunStore.ts"
import type { Metrics } from "../../telemetry/internal/metrics.ts"
import type { Message } from "../../thread/Message.ts"
import { Undos } from "./compensate.ts"
import { checkContent, fitContent } from "./contentEvents.ts"
import { serviceIn } from "./currentRun.ts"
import type { Children } from "./delegation.ts"
import type { History } from "./history.ts"
import type { Hub } from "./hub.ts"
import { type NameKind, Names, type Place, top } from "./names.ts"
import { Resting, type RestOptions } from "./resting.ts"
import { makeRunFiles, type RunFiles } from "./runFiles.ts"
import { RunOutcomes } from "./runOutcomes.ts"
import { RunWords } from "./runWords.ts"
import { RunWrites } from "./runWrites.ts"
import { SeededRandom } from "./seededRandom.ts"
import { untilStored } from "./storeAway.ts"
import type { StoreWriter } from "./storeWriter.ts"
import { type Ending as KeptEnding, endingIn, endingKey } from "./undoRows.ts"

/** How a run is ended from outside of its handler. */
export type Ending =
  | { readonly _tag: "Cancelled"; readonly reason: string; readonly facts?: ReadonlyArray<Fact> }
  /** Policy ends it: a guard, or its deadline. */
  | { readonly _tag: "Cut"; readonly error: HookBlocked | DeadlineExceeded }

/** Why a segment stopped before its handler was through. */
export type Stop =
  | Ending
  /** It rests and leaves memory. */
  | { readonly _tag: "Suspended" }
  | { readonly _tag: "Ended" }
  /** The node shuts down: another one, or the next start, resumes from here. */
  | { readonly _tag: "Drained" }
  /** The handler does something else than is recorded. */
  | { readonly _tag: "Parted"; readonly how: string }
  /**
   * The store refused this owner or cannot be reached: nothing more can be written. With `ending`, the run is ended from
   * outside, in this way.
   */
  | { readonly _tag: "Lost"; readonly error: StoreUnavailable | undefined; readonly ending?: Ending }

export class LiveRun {
  run: RunRecord
  stop: Stop | undefined
  /** The time of the first stop. */
  stoppedAt: number | undefined
  /** Whether the handler's code has stopped. */
  isOver = false
  fiber: Fiber.Fiber<void> | undefined
  readonly dispatch: Dispatch
  readonly service: CurrentRun["Service"]
  /** The guards over what the handler says; nothing when it has none. */
  readonly guards: OutputGuards | undefined
  readonly principal: Principal
  readonly launchedAt: number
  readonly children: Children
  readonly history: History
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
  readonly clientTools: boolean
  readonly resting: Resting
  readonly outcomes: RunOutcomes
  readonly words: RunWords
  readonly writes: RunWrites
  /** How the run ends once its undos are through: then nothing is done that is not recorded. */
  readonly ending: KeptEnding | undefined
  private ownUndos: Undos | undefined
  private ownMailbox: Semaphore.Semaphore | undefined
  private ownTools: RunTools | undefined
  private readonly toolDoor: ToolDoor
  /** Whether the segment ends with the next step that is committed. */
  isDraining = false
  private isLeaving = false
  private readonly fileStore: Files["Service"]
  private ownFiles: RunFiles | undefined
  private readonly clock: Clock.Clock
  /** The random numbers of steps, and of the runtime's own work for the handler. */
  private readonly random: typeof Random.Random.Service
  private readonly names = new Names()
  private lastReal: { readonly from: unknown; readonly made: unknown } | undefined

  constructor(options: {
    readonly run: RunRecord
    readonly principal: Principal
    readonly children: Children
    readonly tools: ToolDoor
    readonly hub: Hub
    readonly journal: StoreWriter
    readonly history: History
    readonly hooks: ReadonlyArray<HookWithHandler>
    readonly errors: Shape | undefined
    readonly signals: ReadonlyMap<string, Shape>
    readonly threads: Threads
    readonly model: string | undefined
    readonly clientTools: boolean
    readonly budget: Budget["Service"]
    readonly files: Files["Service"]
    readonly metrics: Metrics
    /** Whether anybody looks at spans. */
    readonly traced: boolean
    /** Whether spans carry content. */
    readonly content: boolean
    readonly clock: Clock.Clock
    /** The random numbers of steps. */
    readonly random: typeof Random.Random.Service
    readonly rest: RestOptions
  }) {
    this.run = options.run
    this.principal = options.principal
    this.children = options.children
    this.toolDoor = options.tools
    this.journal = options.journal
    this.history = options.history
    this.ending = options.history.steps.has(endingKey) ? endingIn(options.history.steps.get(endingKey)) : undefined
    this.errors = options.errors
    this.signals = options.signals
    this.threads = options.threads
    this.model = options.model
    this.clientTools = options.clientTools
    this.clock = options.clock
    this.random = options.random
    this.launchedAt = this.now()
    this.budget = options.budget
    this.fileStore = options.files
    this.traced = options.traced
    this.usage = options.run.usage
    this.resting = new Resting(this, options.rest)
    this.outcomes = new RunOutcomes(this, options.rest.fork)
    this.words = new RunWords(this)
    this.writes = new RunWrites(this, options.hub, options.metrics)
    const { kind, runId } = options.run
    const isPast = (toolCallId: string) => this.history.steps.has(`tool ${toolCallId}`)
    const content = options.traced && options.content ? noteContent(options.hooks, () => this.about) : undefined
    const points = options.traced ? tracingHooks({ kind, isPast, content }) : undefined
    this.dispatch = dispatch(options.hooks, runId, (decision) => this.decided(decision), points)
    const guards = guardsOf(options.hooks)
    this.guards = guards === undefined ? undefined : this.guardsFor(guards)
    this.service = this.serviceIn(this.top, this.guards)
  }

  /** The files of the run, made when it first uses one. */
  get files(): RunFiles {
    return this.ownFiles ??= makeRunFiles(this.fileStore, this.run, this.principal, this.tools.saw)
  }

  /** The door for the tool calls of the run. */
  get tools(): RunTools {
    return this.ownTools ??= this.toolDoor(() => this.run, this.principal, (entry) => this.writes.noteCall(entry))
  }

  /** Messages are taken one after the other. */
  get mailbox(): Semaphore.Semaphore {
    return this.ownMailbox ??= Semaphore.makeUnsafe(1)
  }

  /** The undos of the run. */
  get undos(): Undos {
    return this.ownUndos ??= new Undos(this)
  }

  /** Whether the run has to undo something before it ends. */
  get hasUndos(): boolean {
    return (this.ownUndos !== undefined || this.history.steps.size > 0) && this.undos.open.size > 0
  }

  /** Keeps the files that a value names for as long as the run, or another holder. */
  holdFiles(value: Schema.Json | undefined, holder = this.run.runId): Effect.Effect<void> {
    return value === undefined || !this.fileStore.areKept
      ? Effect.void
      : Effect.forEach(
        fileIdsIn(value),
        (fileId) => Effect.orDie(untilStored(this.fileStore.hold(holder, fileId))),
        { discard: true }
      )
  }

  /** The run as its handler sees it in a place. */
  serviceIn(place: Place, guards: OutputGuards | undefined) {
    return serviceIn(this, place, guards)
  }

  /** The run as its guards see it. */
  private get about() {
    const { agent, kind, runId } = this.run
    return { runId, kind, agent, principal: this.principal }
  }

  private guardsFor(guards: ConstructorParameters<typeof OutputGuards>[0]["guards"]): OutputGuards {
    return new OutputGuards({
      guards,
      about: this.about,
      // The output of an earlier attempt was decided then.
      decided: (decision) => Effect.suspend(() => this.words.isRepeating ? Effect.void : this.decided(decision)),
      write: (event) => this.emit(this.top, event),
      cut: (error) => Effect.andThen(Effect.sync(() => this.halt({ _tag: "Cut", error })), Effect.interrupt)
    })
  }

  /** Journals what a hook has decided. */
  decided(decision: Event.Data<"hook_decision">): Effect.Effect<void> {
    return Effect.suspend(() => this.writes.append({ type: "hook_decision", data: decision }))
  }

  /** Emits in a place what fits its schema, unless an earlier attempt has said this there. */
  emit(place: Place, event: Event.Event): Effect.Effect<void> {
    if (this.stop !== undefined || this.ending !== undefined) return Effect.void
    const checked = this.guards === undefined ? checkContent(event) : fitContent(event)
    if (checked instanceof InvalidContent) return Effect.die(checked)
    return this.words.say(place, checked)
  }

  /** The next step is the last one of this segment, when the run can resume elsewhere. What rests leaves at once. */
  drain() {
    this.isDraining = this.run.durable
    this.isLeaving = true
    if (this.resting.phase === "suspended") this.halt({ _tag: "Suspended" })
  }

  /** Lets the run go from inside of its handler; one that rests is stored already. */
  get leave(): Effect.Effect<never> {
    return Effect.suspend(() => {
      this.halt(this.resting.phase === "suspended" ? { _tag: "Suspended" } : { _tag: "Drained" })
      // A handler may be in a region that cannot be interrupted from outside.
      return Effect.interrupt
    })
  }

  /** Ends the segment from outside of its handler, which sees an interruption. */
  halt(stop: Stop) {
    this.stop ??= stop
    this.stoppedAt ??= this.now()
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
      // A handler may be in a region that cannot be interrupted from outside: it begins nothing more.
      if (this.stop !== undefined) return Effect.interrupt
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
    return Effect.updateContext(effect, (context: Context.Context<R>) => this.enter(place, context))
  }

  /** The same for a new place, with the run as it is seen there. `onEnter` is called in the fiber that enters it. */
  enteringAs<A, E, R>(
    place: Place,
    service: CurrentRun["Service"],
    effect: Effect.Effect<A, E, R | CurrentRun>,
    onEnter?: () => void
  ): Effect.Effect<A, E, Exclude<R, CurrentRun>> {
    return Effect.updateContext(
      effect,
      (context: Context.Context<Exclude<R, CurrentRun>>) => {
        onEnter?.()
        // cast: the context of the place has the run, and everything else that `effect` needs.
        return Context.add(this.enter(place, context), CurrentRun, service) as Context.Context<R | CurrentRun>
      }
    )
  }

  private enter<R>(place: Place, context: Context.Context<R>): Context.Context<R> {
    place.fiber = Fiber.getCurrent()
    // A step runs once, so its time and its random numbers are the real ones.
    if (place.step !== undefined) return this.real(context)
    const clock = new HandlerClock(this.clock, place.address, this.outcomes)
    return withTime(context, clock, new SeededRandom(`${this.run.runId}/${place.address}`))
  }

  /** Gives the runtime's own work for a handler the real time. */
  inRealTime<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.updateContext(effect, (context: Context.Context<R>) => this.real(context))
  }

  /** Steps that follow each other begin in the same context, which is made once. */
  private real<R>(context: Context.Context<R>): Context.Context<R> {
    if (this.lastReal?.from === context) {
      // cast: it was made of this very context.
      return this.lastReal.made as Context.Context<R>
    }
    const made = withTime(context, this.clock, this.random)
    this.lastReal = { from: context, made }
    return made
  }

  /** Whether nothing else in the step around a place, or in the whole handler, can ask for something. */
  isAlone(place: Place, fiber: Fiber.Fiber<unknown, unknown> | undefined): boolean {
    return fiber !== undefined && this.names.isAlone(place, fiber)
  }

  /** Whether the next step of this name has an outcome from an earlier attempt. */
  isRecorded(place: Place, name: string): boolean {
    return this.outcomes.recorded(this.names.next("step", place, name)) !== undefined
  }

  /** The decision that an earlier attempt got under this name, which is then used; nothing is asked. */
  recall(place: Place, name: string): Interrupt | undefined {
    const known = this.history.interrupts.get(this.names.next("interrupt", place, name))
    if (known?.resolution === undefined) return undefined
    this.names.use("interrupt", place, name)
    this.outcomes.use("interrupt", known.name)
    return known
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

/** Adding to a context is cheap; merging two copies every service of the app. */
const withTime = <R>(
  context: Context.Context<R>,
  clock: Clock.Clock,
  random: typeof Random.Random.Service
): Context.Context<R> => Context.add(Context.add(context, Random.Random, random), Clock.Clock, clock)
