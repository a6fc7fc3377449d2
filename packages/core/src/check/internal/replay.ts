// Drives a handler with recorded steps in a throwaway store; Replay calls it. Nothing outside of the recording is done.
import { Cause, Clock, Context, Duration, Effect, Exit, Fiber, Random, type Schema } from "effect"
import { canonical } from "../../base/internal/canonical.ts"
import { unlimited } from "../../budget/Budget.ts"
import { openToolDoor } from "../../door/internal/toolDoor.ts"
import type { OutputGuards } from "../../hook/internal/outputGuards.ts"
import { type Event, isSaid, type RunEvent, visible } from "../../run/Event.ts"
import type { Interrupt } from "../../run/Interrupt.ts"
import * as Principal from "../../run/Principal.ts"
import type { CurrentRun } from "../../run/Run.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import { isSame } from "../../runtime/internal/earlierWords.ts"
import { isUsed, mayBeLeft } from "../../runtime/internal/handout.ts"
import { Hub } from "../../runtime/internal/hub.ts"
import { LiveRun } from "../../runtime/internal/liveRun.ts"
import { type Place, separator } from "../../runtime/internal/names.ts"
import { timesIn } from "../../runtime/internal/outcome.ts"
import type { RegisteredCallable } from "../../runtime/internal/runSupervisor.ts"
import { handle } from "../../runtime/internal/segment.ts"
import { StoreWriter } from "../../runtime/internal/storeWriter.ts"
import { endingKey } from "../../runtime/internal/undoRows.ts"
import { withCalls } from "../../runtime/internal/withCalls.ts"
import type { Files } from "../../store/Files.ts"
import { makeMemoryRunStore } from "../../store/internal/memoryRunStore.ts"
import type { StoredStep } from "../../store/RunStore.ts"
import { Metrics } from "../../telemetry/internal/metrics.ts"
import type { ThreadStore } from "../../thread/ThreadStore.ts"
import { Order } from "./replayOrder.ts"

/** All that is known of a run; `complete` when its handler has come to its end. */
export interface Recording {
  readonly run: RunRecord
  readonly complete: boolean
  /** Whether values are compared too, and waits cut short. */
  readonly strict: boolean
  /** Whether the names of its branches were kept apart. */
  readonly places: boolean
  readonly steps: ReadonlyArray<StoredStep>
  readonly interrupts: ReadonlyArray<Interrupt>
  readonly events: ReadonlyArray<RunEvent>
  readonly files: Files["Service"]
  /** The store that has the messages of the run's thread. */
  readonly threads: ThreadStore
}

/** Up to where a handler and a recording agree, and how they part, if they do. */
export interface Replayed {
  readonly place: string
  readonly divergence: string | undefined
}

/** How often is looked whether a handler still moves, in milliseconds, and how long one may do something else. */
const look = 20
const waitLimitMillis = 5_000

/** How long a handler stands still that waits for a recorded pause, in milliseconds. */
const quietMillis = 1_000

/** How long something is held that comes before its time, when nothing else moves. */
const hold = 500

/**
 * Drives a handler with what is recorded, as a restart would, in a store that is thrown away. Work that is not recorded is not
 * done: a step does not run, a run is not started, a model is not called, and the handler never hears of it again.
 */
export const replay = Effect.fnUntraced(function*(bound: RegisteredCallable, recording: Recording) {
  const watch = new Watch(recording)
  const { finishedAt: _finishedAt, wakeAt: _wakeAt, waitsFor: _waitsFor, ...rest } = recording.run
  // The throwaway store has none of its events.
  const run: RunRecord = { ...rest, state: "running", attempt: rest.attempt + 1, seq: 0 }
  const store = {
    ...makeMemoryRunStore(1),
    threads: recording.threads,
    // The handler reads the message of the run there.
    events: (_runId: string, after: number, limit: number) =>
      Effect.succeed(recording.events.filter(({ seq }) => seq > after).slice(0, limit)),
    transact: () => Effect.never
  }
  store.writeNow([{ _tag: "Admit", run, events: [], steps: recording.steps, interrupts: recording.interrupts }])
  const { claims, roles, scopes } = run.grants
  const principal = new Principal.Principal({ id: run.owner, tenant: run.tenant, scopes, roles, claims })
  const metrics = new Metrics("replay", Context.empty())
  const live = new Replaying({
    run,
    principal,
    tools: openToolDoor,
    children: {
      start: () => Effect.never,
      rootMessage: () => Effect.undefined,
      settled: () => Effect.never,
      ended: () => Effect.never,
      abandon: () => Effect.void
    },
    hub: new Hub(run),
    journal: new StoreWriter(store, metrics),
    files: recording.files,
    metrics,
    traced: false,
    content: false,
    history: {
      places: recording.places,
      steps: new Asked(
        recording.steps.map(({ name, value }) => [name, value] as const),
        (name, known) => watch.asked("step", name, known)
      ),
      interrupts: new Asked(
        recording.interrupts.map((interrupt) => [interrupt.name, interrupt] as const),
        (name, known) => watch.asked("interrupt", name, known)
      )
    },
    // Observers are left out: this is no real run.
    hooks: bound.hooks.filter(({ points }) => points !== undefined),
    errors: bound.callable.errors.length === 0 ? undefined : bound.callable.error,
    signals: bound.callable.signals,
    threads: bound.callable.threads,
    model: bound.callable.model,
    clientTools: bound.callable.clientTools,
    budget: {
      ...unlimited,
      spend: () => Effect.andThen(Effect.sync(() => watch.blocked("a call of a model")), Effect.never)
    },
    clock: recording.strict ? hasty(yield* Clock.Clock) : yield* Clock.Clock,
    random: yield* Random.Random,
    rest: {
      idleMillis: 0,
      fork: Effect.runForkWith(yield* Effect.context<never>()),
      onRest: () => Effect.void,
      reclaimed: () => {},
      refusal: undefined
    }
  }, watch)
  const call = { runId: run.runId, kind: run.kind, agent: run.agent, principal, payload: run.payload }
  let exit: Exit.Exit<Schema.Json, unknown> | undefined
  const handled = Effect.onExit(
    handle(live, call, bound.invoke),
    (ended) =>
      Effect.sync(() => {
        exit = ended
      })
  )
  const fiber = yield* Effect.forkDetach(Effect.ignoreCause(handled))
  live.fiber = fiber
  yield* Effect.raceFirst(Fiber.await(fiber), watch.standsStill(() => live.resting.activity.isQuiet))
  const ended = live.stop === undefined && !watch.still ? exit : undefined
  // A handler that goes away with its node takes nothing back; one that does not let itself be stopped is left alone.
  live.halt({ _tag: "Drained" })
  yield* Effect.timeoutOption(Fiber.await(fiber), waitLimitMillis)
  return watch.verdict(ended)
})

/** Notes what a handler asks for. */
class Watch {
  readonly steps = new Set<string>()
  readonly interrupts = new Set<string>()
  /** Whether the handler was stopped because it did not move any more. */
  still = false
  readonly order: Order
  private readonly recording: Recording
  private readonly missing: Array<string> = []
  private last = "its start"
  private moves = 0
  private readonly said = new Map<string, Array<RunEvent>>()
  private problem: string | undefined

  constructor(recording: Recording) {
    this.recording = recording
    this.order = new Order(recording)
  }

  asked(kind: "step" | "interrupt", name: string, known: boolean) {
    this.moves++
    if (!known) return this.missing.push(`${kind} "${name}"`)
    this[`${kind}s`].add(name)
    this.last = `${kind} "${name}"`
    this.order.ask(this.last)
  }

  blocked(by: string) {
    this.moves++
    this.missing.push(by)
  }

  /** A restart says again in each place what was said there, so it has to be the same. */
  emitted({ address }: Place, event: Event) {
    const { type } = event
    this.moves++
    if (this.problem !== undefined) return
    const left = this.said.get(address) ?? this.saidIn(address)
    this.said.set(address, left)
    if (left.length === 0) return
    const index = left.findIndex((earlier) => earlier.type === type)
    if (index === -1) this.problem = `emits ${type}, which the journal does not have there`
    else if (!this.recording.strict) left.splice(0, this.recording.places ? 1 : index + 1)
    else if (type !== "usage") this.compare(left, event)
  }

  private compare(left: Array<RunEvent>, event: Event) {
    const index = left.findIndex((earlier) => isSame(earlier, event))
    if (index === -1) this.problem = `emits ${event.type} with other data than the journal has there`
    else left.splice(index, 1)
  }

  private saidIn(address: string): Array<RunEvent> {
    const { events, places, run } = this.recording
    if (places) {
      return visible(events).filter((event) => isSaid(event) && (event.place ?? "") === address)
    }
    // Earlier versions only counted what was said, all in one place.
    return address === "" ? events.slice(0, run.emitted === 0 ? 0 : undefined) : []
  }

  wants({ kind, name, responseSchema = null }: Parameters<CurrentRun["Service"]["interrupt"]>[0]) {
    const open = this.recording.interrupts.find((one) =>
      one.state === "open" && one.name.replace(/#\d+$/u, "") === name && one.kind === kind
    )
    if (open !== undefined && canonical(open.responseSchema ?? null) !== canonical(responseSchema)) {
      this.problem ??= `wants another answer to interrupt "${name}" than was asked for`
    }
  }

  /** Returns when the handler waits for what it cannot get. */
  readonly standsStill = Effect.fnUntraced({ self: this }, function*(isQuiet: () => boolean) {
    const limit = () => this.missing.length > 0 ? 3 * look : isQuiet() ? quietMillis : waitLimitMillis
    for (let [still, seen] = [0, -1]; still < limit();) {
      yield* Effect.sleep(look)
      still = seen === this.moves ? still + look : 0
      seen = this.moves
      if (!this.order.holds || still < (this.missing.length > 0 ? 2 * look : hold)) continue
      this.order.giveUp()
      this.moves++
    }
    this.still = true
  })

  verdict(exit: Exit.Exit<Schema.Json, unknown> | undefined): Replayed {
    return { place: this.missing[0] ?? (exit === undefined ? this.last : "its end"), divergence: this.divergence(exit) }
  }

  private divergence(exit: Exit.Exit<Schema.Json, unknown> | undefined): string | undefined {
    const problem = this.problem ?? this.order.problem
    if (problem !== undefined) return problem
    const { complete, run, strict } = this.recording
    const [wanted] = this.missing
    const recorded = this.left()[0] ?? (complete ? `its end, ${run.state},` : undefined)
    const defect = exit !== undefined && Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isDieReason) : undefined
    if (defect !== undefined) return `fails after ${this.last}: ${firstLine(String(defect.defect))}`
    if (wanted !== undefined) {
      return recorded === undefined
        ? undefined
        : `wants ${wanted} where ${recorded} is recorded`
    }
    if (exit === undefined) {
      return recorded === undefined ? undefined : `waits after ${this.last}, and ${recorded} is recorded`
    }
    if (this.left().length > 0) return `ends after ${this.last}, and ${recorded} is recorded`
    if (!complete || run.state !== "completed") return undefined
    if (Exit.isFailure(exit)) return `fails after ${this.last}: ${firstLine(String(Cause.squash(exit.cause)))}`
    return strict && canonical(exit.value) !== canonical(run.output ?? null)
      ? `answers something else after ${this.last} than is recorded`
      : undefined
  }

  /** The recorded steps that were not requested, oldest first. Work inside of a step is not requested again. */
  private left(): ReadonlyArray<string> {
    const { interrupts, steps } = this.recording
    const outer = [...steps.map(({ name }) => `step "${name}`), ...this.missing.map((name) => name.slice(0, -1))]
    const inside = (name: string) => outer.some((step) => `step "${name}`.startsWith(step + separator))
    return [
      ...steps.toSorted((a, b) => a.seq - b.seq)
        .filter(({ name, value }) =>
          !this.steps.has(name) && !inside(name) && !mayBeLeft(name) && name !== endingKey &&
          timesIn(value) === undefined
        )
        .map(({ name }) => `step "${name}"`),
      ...interrupts.filter((one) => isUsed(one) && !this.interrupts.has(one.name) && !inside(one.name)).map((
        { name }
      ) => `interrupt "${name}"`)
    ]
  }
}

/** A part of what is known, that says when it is asked. */
class Asked<Value> extends Map<string, Value> {
  private readonly tell: (name: string, known: boolean) => void

  constructor(known: ReadonlyArray<readonly [string, Value]>, tell: (name: string, known: boolean) => void) {
    super(known)
    this.tell = tell
  }

  override get(name: string) {
    this.tell(name, this.has(name))
    return super.get(name)
  }
}

class Replaying extends LiveRun {
  private readonly watch: Watch

  constructor(options: ConstructorParameters<typeof LiveRun>[0], watch: Watch) {
    super(options)
    this.watch = watch
  }

  override emit(place: Place, event: Event) {
    this.watch.emitted(place, event)
    return super.emit(place, event)
  }

  override serviceIn(place: Place, guards: OutputGuards | undefined) {
    return restrained(super.serviceIn(place, guards), () => this.watch)
  }
}

/** The run as ever, but for a step that is not recorded: it never ends. */
const restrained = (service: CurrentRun["Service"], watch: () => Watch): CurrentRun["Service"] => {
  const inTurn = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.tap(effect, () => watch().order.turn)
  return withCalls(service, {
    step: (name, _effect, after) => inTurn(service.step(name, Effect.never, after)),
    sideEffect: (name, effect) => inTurn(service.sideEffect(name, effect)),
    sleep: (name, millis) => inTurn(service.sleep(name, millis)),
    delegate: (agent, payload) => inTurn(service.delegate(agent, payload)),
    interrupt: (request) =>
      Effect.suspend(() => {
        watch().wants(request)
        return inTurn(service.interrupt(request))
      })
  })
}

/** A clock whose sleeps are short, and end in the same order. */
const hasty = (clock: Clock.Clock): Clock.Clock => ({
  currentTimeMillis: clock.currentTimeMillis,
  currentTimeNanos: clock.currentTimeNanos,
  monotonicTimeNanos: clock.monotonicTimeNanos,
  currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
  currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
  monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
  sleep: (duration) => clock.sleep(Duration.millis(look * Math.log2(1 + Duration.toMillis(duration) / look)))
})

const firstLine = (text: string) => text.split("\n")[0] ?? text
