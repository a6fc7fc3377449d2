import { Clock, Effect, type Fiber, type Schema } from "effect"
import type { Budget, RunContext } from "../../budget/Budget.ts"
import { direct, type Dispatch, dispatch, type HookWithHandler } from "../../hook/internal/dispatch.ts"
import { guardsOf, OutputGuards } from "../../hook/internal/outputGuards.ts"
import { tracingHooks } from "../../hook/internal/tracingHooks.ts"
import * as Event from "../../run/Event.ts"
import type { Interrupt, Request } from "../../run/Interrupt.ts"
import type { Principal } from "../../run/Principal.ts"
import { CurrentRun } from "../../run/Run.ts"
import { type HookBlocked, StoreUnavailable } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import { changed, type Changes, type Commit, type Written } from "../../store/RunStore.ts"
import type { Metrics } from "../../telemetry/internal/metrics.ts"
import * as Tracing from "../../telemetry/Tracing.ts"
import { type Children, delegate } from "./delegation.ts"
import type { Hub } from "./hub.ts"
import { sideEffect } from "./sideEffect.ts"
import type { StoreWriter } from "./storeWriter.ts"
import { interrupt, sleep } from "./suspensions.ts"

/** Why a segment stopped before its handler was through. */
export type Stop =
  | { readonly _tag: "Suspended" }
  /** The node goes away: another one, or the next start, goes on from here. */
  | { readonly _tag: "Drained" }
  | { readonly _tag: "Cancelled"; readonly reason: string }
  /** A guard let nothing more out. */
  | { readonly _tag: "Cut"; readonly error: HookBlocked }
  /** The store refused this owner or cannot be reached: nothing more can be written. */
  | { readonly _tag: "Lost"; readonly error: StoreUnavailable | undefined }

/** What is known from earlier attempts. */
export interface Past {
  readonly steps: ReadonlyMap<string, Schema.Json>
  readonly interrupts: ReadonlyMap<string, Interrupt>
}

export const noPast: Past = { steps: new Map(), interrupts: new Map() }

/** Between the name of a step and what is inside of it. */
export const separator = " › "

/** How many events may wait in one write. */
const tailLimit = 256

type Parts = Pick<Commit, "events" | "set" | "steps" | "open">

/**
 * A run while this node owns it: one attempt, from its claim to its end or its pause.
 */
export class LiveRun {
  run: RunRecord
  stop: Stop | undefined
  fiber: Fiber.Fiber<void> | undefined
  readonly dispatch: Dispatch
  readonly service: CurrentRun["Service"]
  /** Where what the handler says passes its guards; nothing when it has none. */
  readonly outlet: OutputGuards | undefined
  readonly principal: Principal
  readonly children: Children
  readonly past: Past
  /** Whether the run has started others. */
  hasChildren = false
  private draining = false
  private readonly hub: Hub
  private readonly journal: StoreWriter
  private readonly clock: Clock.Clock
  private readonly budget: Budget["Service"]
  private readonly metrics: Metrics
  private readonly traced: boolean
  private readonly uses = new Map<string, number>()
  private toSkip: number
  private emitted: number
  usage: Event.Usage | undefined
  private tail: { readonly turn: number; readonly events: Array<Event.Event>; set: Changes } | undefined

  constructor(options: {
    readonly run: RunRecord
    readonly principal: Principal
    readonly children: Children
    readonly hub: Hub
    readonly journal: StoreWriter
    readonly past: Past
    readonly hooks: ReadonlyArray<HookWithHandler>
    readonly budget: Budget["Service"]
    readonly metrics: Metrics
    /** Whether anybody looks at spans. */
    readonly traced: boolean
    readonly clock: Clock.Clock
  }) {
    this.run = options.run
    this.principal = options.principal
    this.children = options.children
    this.hub = options.hub
    this.journal = options.journal
    this.past = options.past
    this.clock = options.clock
    this.budget = options.budget
    this.metrics = options.metrics
    this.traced = options.traced
    this.toSkip = options.run.emitted
    this.emitted = options.run.emitted
    this.usage = options.run.usage
    const { kind, runId } = options.run
    const isPast = (toolCallId: string) => this.past.steps.has(`tool ${toolCallId}`)
    const points = options.traced ? tracingHooks({ kind, isPast }) : undefined
    this.dispatch = dispatch(options.hooks, runId, (decision) => this.decided(decision), points)
    const guards = guardsOf(options.hooks)
    this.outlet = guards === undefined ? undefined : this.outletOf(guards)
    this.service = this.serviceIn("", this.outlet, (event) => this.emit(event))
  }

  private outletOf(guards: ConstructorParameters<typeof OutputGuards>[0]["guards"]): OutputGuards {
    const { agent, kind, runId } = this.run
    return new OutputGuards({
      guards,
      about: { runId, kind, agent, principal: this.principal },
      // What an earlier attempt has said was decided then.
      decided: (decision) => Effect.suspend(() => this.toSkip > 0 ? Effect.void : this.decided(decision)),
      write: (event) => this.emit(event),
      cut: (error) => Effect.andThen(Effect.sync(() => this.halt({ _tag: "Cut", error })), Effect.interrupt)
    })
  }

  /** The run as its handler sees it, or a step: inside of a step names are the step's own. */
  private serviceIn(
    place: string,
    outlet: OutputGuards | undefined,
    emit: (event: Event.Event) => Effect.Effect<void>
  ): CurrentRun["Service"] {
    // What the handler says next comes after what it has said: nothing is held over a commit.
    const flushed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      outlet === undefined ? effect : Effect.andThen(outlet.flush, effect)
    const pause = (request: Request) => flushed(interrupt(this, { ...request, name: place + request.name }))
    const spender: RunContext = {
      record: this.run,
      tell: (event) => Effect.suspend(() => this.append(event)),
      interrupt: pause,
      past: () => this.past.interrupts.values()
    }
    return {
      record: this.run,
      principal: this.principal,
      emit: outlet === undefined
        ? (event) => Effect.suspend(() => emit(event))
        : (event) => outlet.say(event),
      idempotencyKey: place === "" ? this.run.runId : `${this.run.runId}/${place.slice(0, -separator.length)}`,
      step: (name, effect, after) => flushed(this.step(place + name, effect, after, outlet)),
      sideEffect: (name, effect) => flushed(sideEffect(this, this.journal, place + name, effect)),
      sleep: (name, millis) => flushed(sleep(this, `${place}sleep ${name}`, millis)),
      interrupt: pause,
      delegate: (agent, payload) => flushed(delegate(this, emit, `${place}delegate ${agent}`, agent, payload)),
      spend: (request) => this.spend(spender, request),
      hooks: this.dispatch,
      decided: (decision) => this.decided(decision)
    }
  }

  private spend(spender: RunContext, request: Parameters<Budget["Service"]["spend"]>[1]) {
    const granted = Effect.suspend(() => this.budget.spend(spender, request))
    if (!this.traced) return granted
    const { provider = "unknown" } = request
    // What a call was and what it has cost belongs to the span of the call, in which this is asked.
    return Tracing.note(() => ({ "gen_ai.provider.name": provider })).pipe(
      Effect.andThen(Tracing.within(granted, "budget")),
      Effect.map((grant) => ({
        ...grant,
        settle: (usage: Event.Usage | undefined) =>
          Effect.tap(grant.settle(usage), (settled) =>
            settled?.costUsd === undefined
              ? Effect.void
              : Tracing.note(() => ({ "gen_ai.usage.cost": settled.costUsd, "operation.cost": settled.costUsd })))
      }))
    )
  }

  private decided(decision: Event.Data<"hook_decision">): Effect.Effect<void> {
    return Effect.suspend(() => this.append({ type: "hook_decision", data: decision }))
  }

  /** Emits unless an earlier attempt has emitted this very event. */
  emit(event: Event.Event): Effect.Effect<void> {
    if (this.toSkip > 0) {
      this.toSkip--
      return Effect.void
    }
    this.emitted++
    return this.append(event)
  }

  /** Adds to the events that wait for their commit; waits only when too much is in line. */
  append(event: Event.Event): Effect.Effect<void> {
    if (this.stop !== undefined) return Effect.void
    if (event.type === "usage") {
      this.usage = add(this.usage, event.data)
      this.metrics.used(this.run, { ...event.data, ...pick(event.data) })
    }
    if (this.tail?.turn === this.journal.turn && this.tail.events.length < tailLimit) {
      this.tail.events.push(event)
      Object.assign(this.tail.set, this.progress())
      return Effect.void
    }
    this.tail = { turn: this.journal.turn, events: [event], set: this.progress() }
    const write = this.commitOf(this.tail)
    this.journal.enqueue(write, (written) => this.accept(write, written))
    return this.journal.room
  }

  private progress(): Changes {
    return this.usage === undefined ? { emitted: this.emitted } : { emitted: this.emitted, usage: this.usage }
  }

  /** Commits and waits. What cannot be committed ends the segment and never returns to the handler. */
  commit(parts: Parts): Effect.Effect<void> {
    return Effect.andThen(
      Effect.suspend(() => this.stop === undefined ? this.conclude(parts) : Effect.void),
      // A handler may be in a region that cannot be interrupted from outside.
      Effect.suspend(() => this.stop === undefined ? Effect.void : Effect.interrupt)
    )
  }

  /** Commits without waiting: for what would be lost with the process anyway. */
  private post(parts: Parts) {
    this.tail = undefined
    const write = this.commitOf({ ...parts, set: { ...this.progress(), ...parts.set } })
    this.journal.enqueue(write, (written) => this.accept(write, written))
    return this.journal.room
  }

  /** The commit of a segment that is over: there is nobody left to stop. */
  conclude(parts: Parts): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.tail = undefined
      // Who brings a run to a rest was not lost: the row of those that were ends.
      const rests = parts.set?.state !== undefined && this.run.crashes > 0
      const write = this.commitOf({
        ...parts,
        set: { ...this.progress(), ...(rests ? { crashes: 0 } : {}), ...parts.set }
      })
      return Effect.ignore(
        Effect.tapError(
          this.journal.write(write, (written) => this.accept(write, written)),
          (error) => Effect.sync(() => this.accept(write, error))
        )
      )
    })
  }

  /** The next step is the last one of this segment, when the run can go on elsewhere. */
  drain() {
    this.draining = this.run.durable
  }

  commitOf(parts: Parts): Commit {
    return {
      _tag: "Commit",
      runId: this.run.runId,
      attempt: this.run.attempt,
      from: ["running"],
      ts: this.now(),
      ...parts
    }
  }

  accept(write: Commit, written: Written | StoreUnavailable) {
    if (!(written instanceof StoreUnavailable) && written._tag === "Committed") {
      const seq = this.run.seq + written.events.length
      this.run = changed(this.run, write.set, { seq, ts: write.ts })
      this.hub.publish(this.run, written.events)
      if (this.run.state === "suspended") this.halt({ _tag: "Suspended" })
      else if (this.draining && write.steps !== undefined) this.halt({ _tag: "Drained" })
      return
    }
    // What comes after a pause belongs to the next attempt.
    if (this.run.state === "suspended") return
    this.halt({ _tag: "Lost", error: written instanceof StoreUnavailable ? written : undefined })
    this.hub.close()
  }

  /** Ends the segment from outside of its handler, which sees an interruption. */
  halt(stop: Stop) {
    this.stop ??= stop
    this.fiber?.interruptUnsafe()
  }

  private step<E, R>(
    name: string,
    effect: Effect.Effect<Schema.Json, E, R>,
    after: ((value: Schema.Json) => ReadonlyArray<Event.Event>) | undefined,
    outlet: OutputGuards | undefined
  ): Effect.Effect<Schema.Json, E, R> {
    return Effect.suspend(() => {
      const key = this.use("step", name)
      const stored = this.past.steps.get(key)
      if (stored !== undefined) return Effect.succeed(stored)
      // Nothing is skipped inside of a step: a stored step does not run at all.
      const emit = (event: Event.Event) => this.append(event)
      const within = outlet?.beside(emit)
      const once = Effect.provideService(effect, CurrentRun, this.serviceIn(key + separator, within, emit))
      return Effect.tap(once, (value) => {
        const events = after?.(value) ?? []
        const keep = (passed: ReadonlyArray<Event.Event>) => {
          const parts = this.stepped(key, value, passed)
          return this.checkpoint(key, value, this.run.durable ? this.commit(parts) : this.post(parts))
        }
        return within === undefined
          ? keep(events)
          : Effect.andThen(within.flush, Effect.flatMap(within.pass(events), keep))
      })
    })
  }

  /**
   * A step to be committed, which shows that the run can be driven. Each has an event at least: its number says from where
   * the run could be forked.
   */
  stepped(name: string, value: Schema.Json, told: ReadonlyArray<Event.Event> = []): Parts {
    const events = told.length > 0 || !this.run.durable ? told : [checkpointOf(name, value)]
    const steps = [{ name, value }]
    return this.run.crashes === 0 ? { events, steps } : { events, steps, set: { crashes: 0 } }
  }

  /** The commit of a step is what a run goes on from: hooks stand around it, and one that refuses ends the run. */
  private checkpoint(step: string, value: Schema.Json, commit: Effect.Effect<void>): Effect.Effect<void> {
    const traced = this.traced
      ? Tracing.within(commit, "checkpoint", () => ({ attributes: { "fastagentic.step": step } }))
      : commit
    if (this.dispatch.checkpoint === direct.checkpoint) return traced
    const call = checkpointOf(step, value).data
    return Effect.orDie(this.dispatch.checkpoint(call, () => traced))
  }

  /** The name of this use of a name: the second `plan` of a run is `plan#2`, which nobody else can be called. */
  use(kind: "step" | "interrupt", name: string) {
    const count = (this.uses.get(`${kind} ${name}`) ?? 0) + 1
    this.uses.set(`${kind} ${name}`, count)
    return count === 1 && !/#\d+$/u.test(name) ? name : `${name}#${count}`
  }

  now() {
    return this.clock.currentTimeMillisUnsafe()
  }
}

const checkpointOf = (checkpointId: string, value: Schema.Json) =>
  Event.make("checkpoint", { checkpointId, format: "step", bytes: JSON.stringify(value).length })

/** Sums tokens and costs; what neither side reports stays unknown. */
const add = (total: Event.Usage | undefined, more: Event.Usage): Event.Usage => {
  if (total === undefined) return pick(more)
  const sum: Record<string, number> = { ...total }
  for (const [key, value] of Object.entries(pick(more))) sum[key] = (sum[key] ?? 0) + value
  return { ...total, ...sum }
}

/** A number that cannot be true counts as none: a handler, a hook or an adapter may report anything. */
const pick = (usage: Event.Usage): Event.Usage => Event.checkUsage(usage) ?? { inputTokens: 0, outputTokens: 0 }
