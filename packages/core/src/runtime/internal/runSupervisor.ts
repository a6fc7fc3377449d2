import { type Clock, Context, Duration, Effect, Fiber, Latch, References, type Scope, Stream, Tracer } from "effect"
import type { Callable } from "../../app/Fusion.ts"
import type { Audit } from "../../audit/Audit.ts"
import type { Budget } from "../../budget/Budget.ts"
import type { HookWithHandler } from "../../hook/internal/dispatch.ts"
import { RunEndedWith } from "../../run/internal/runEndedWith.ts"
import type { Interrupt } from "../../run/Interrupt.ts"
import type { Principal } from "../../run/Principal.ts"
import type { StoreUnavailable } from "../../run/RunError.ts"
import { isFinal, type RunRecord } from "../../run/RunRecord.ts"
import { changed, type Commit, type ReadError, type RunStore } from "../../store/RunStore.ts"
import { spanOf } from "../../telemetry/internal/genAiAttributes.ts"
import { Metrics } from "../../telemetry/internal/metrics.ts"
import * as Tracing from "../../telemetry/Tracing.ts"
import type { EngineSchedule } from "../RunEngine.ts"
import type { Children } from "./delegation.ts"
import { Hub, type Page, pages, recentCapacity } from "./hub.ts"
import { LiveRun, noPast, type Past } from "./liveRun.ts"
import { type Invoke, runSegment } from "./segment.ts"
import { StoreWriter } from "./storeWriter.ts"

/** A callable with what it needs to run. */
export interface RegisteredCallable {
  readonly callable: Callable
  readonly hooks: ReadonlyArray<HookWithHandler>
  readonly invoke: Invoke
}

/** How often a node looks for runs whose time has come, in milliseconds. */
const pollIntervalMillis = 1_000

/**
 * This process: the runs it owns, the hubs of the runs that are followed here, one journal for each store.
 */
export class RunSupervisor {
  closing = false
  /** How runs start others. */
  children: Children = noChildren
  /** What follows when a run has ended or pauses, here or by this node's hand. */
  onSettled: (run: RunRecord, hasChildren: boolean) => Effect.Effect<void> = () => Effect.void
  /** Where runs are driven, when that is not for this node to say. */
  engineSchedule: EngineSchedule | undefined
  private readonly reservedClaims = new Map<string, number>()
  private readonly pollLatch = Latch.makeUnsafe(false)
  private stopped = false
  readonly durable: StoreWriter
  readonly ephemeral: StoreWriter
  readonly metrics: Metrics
  private readonly live = new Map<string, LiveRun>()
  private readonly hubs = new Map<string, Hub>()
  private readonly services: Context.Context<never>
  private readonly budget: Budget["Service"]
  private readonly audit: Audit["Service"]
  private readonly clock: Clock.Clock
  private readonly grace: Duration.Input
  /** Whether anybody looks at spans. */
  readonly traced: boolean

  constructor(options: {
    readonly app: string
    readonly durable: RunStore["Service"]
    readonly ephemeral: RunStore["Service"]
    readonly services: Context.Context<never>
    readonly budget: Budget["Service"]
    readonly audit: Audit["Service"]
    readonly clock: Clock.Clock
    readonly grace: Duration.Input
  }) {
    this.metrics = new Metrics(options.app, options.services)
    this.durable = new StoreWriter(options.durable, this.metrics)
    this.ephemeral = new StoreWriter(options.ephemeral, this.metrics)
    this.services = options.services
    this.budget = options.budget
    this.audit = options.audit
    this.clock = options.clock
    this.grace = options.grace
    this.traced = Context.get(options.services, Tracer.Tracer) !== Tracer.nativeTracer
  }

  /** Starts the writers; when the scope closes, runs stop first and what they wrote is flushed last. */
  readonly run: Effect.Effect<void, never, Scope.Scope> = Effect.suspend(() =>
    this.durable.run.pipe(
      Effect.andThen(this.ephemeral.run),
      Effect.andThen(Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep("15 seconds"), this.heartbeat)))),
      Effect.andThen(Effect.addFinalizer(() => this.stop))
    )
  )

  /** Whether this process drives the run, or is about to: then nobody else here takes it. */
  has(runId: string): boolean {
    return this.live.has(runId) || this.reservedClaims.has(runId)
  }

  /** Admits or claims a run: for the time that takes the store says that it is running, and it is not live yet. */
  reserveClaim<A, E, R>(runId: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const count = (more: number) =>
      Effect.sync(() => {
        const left = (this.reservedClaims.get(runId) ?? 0) + more
        if (left === 0) this.reservedClaims.delete(runId)
        else this.reservedClaims.set(runId, left)
      })
    // Many may try, and one that is refused is not the last.
    return Effect.uninterruptible(Effect.andThen(count(1), Effect.ensuring(effect, count(-1))))
  }

  writerOf(run: Pick<RunRecord, "durable">): StoreWriter {
    return run.durable ? this.durable : this.ephemeral
  }

  /** A run's record, from memory when it is live here. */
  get(runId: string): Effect.Effect<RunRecord | undefined, ReadError> {
    return Effect.suspend(() => {
      const live = this.live.get(runId)
      if (live !== undefined) return Effect.succeed(live.run)
      return Effect.flatMap(
        this.ephemeral.store.get(runId),
        (run) => run === undefined ? this.durable.store.get(runId) : Effect.succeed(run)
      )
    })
  }

  /** Takes a run that the store says is this node's, and drives it. */
  launch(
    run: RunRecord,
    principal: Principal,
    bound: RegisteredCallable,
    past: Past = noPast,
    origin: Pick<Tracer.SpanOptionsNoTrace, "parent" | "links"> = {}
  ) {
    // Its place in the store says what is left to do, for whoever starts next.
    if (this.stopped) return
    const hub = this.hubOf(run)
    hub.run = run
    const live = new LiveRun({
      run,
      principal,
      children: this.children,
      hub,
      past,
      journal: this.writerOf(run),
      hooks: bound.hooks,
      errors: bound.callable.errors.length === 0 ? undefined : bound.callable.error,
      budget: this.budget,
      metrics: this.metrics,
      traced: this.traced,
      clock: this.clock
    })
    this.live.set(run.runId, live)
    this.metrics.active(1)
    const around = {
      callable: bound.callable,
      principal,
      budget: this.budget,
      audit: this.audit,
      onSettled: Effect.suspend(() => {
        this.metrics.ended(live.run)
        return this.onSettled(live.run, live.hasChildren)
      })
    }
    const segment = Effect.ensuring(
      this.traced
        ? traced(live, runSegment(live, around, bound.invoke), origin)
        : runSegment(live, around, bound.invoke),
      Effect.sync(() => {
        this.metrics.active(-1)
        if (this.live.get(run.runId) === live) this.live.delete(run.runId)
        this.dropHub(hub)
      })
    )
    // Every line that is logged for a run names it.
    const { runId, traceId } = run
    const annotations = { ...Context.get(this.services, References.CurrentLogAnnotations), runId, traceId }
    live.fiber = Effect.runForkWith(Context.add(this.services, References.CurrentLogAnnotations, annotations))(segment)
    // A run that ended at once, before its fiber was known, has nothing left to be stopped.
    if (live.stop !== undefined) live.fiber.interruptUnsafe()
  }

  /** What earlier attempts left behind. */
  past(run: RunRecord): Effect.Effect<Past, ReadError> {
    const { store } = this.writerOf(run)
    return Effect.map(
      Effect.all([store.steps(run.runId), store.interrupts(run.runId)]),
      ([steps, interrupts]) => ({
        steps: new Map(steps.map((step) => [step.name, step.value])),
        interrupts: new Map(interrupts.map((interrupt: Interrupt) => [interrupt.name, interrupt]))
      })
    )
  }

  /** Writes to a run that nobody owns; its followers here see it. */
  commit(run: RunRecord, write: Commit): Effect.Effect<RunRecord | undefined, StoreUnavailable> {
    let after: RunRecord | undefined
    const written = this.writerOf(run).write(write, (written) => {
      if (written._tag !== "Committed") return
      const last = written.events.at(-1)?.seq ?? run.seq
      after = changed(run, write.set, { seq: last, ts: write.ts })
      this.hubs.get(run.runId)?.publish(after, written.events)
      this.metrics.ended(after)
    })
    return Effect.map(written, () => after)
  }

  /** Removes a run that has ended, with all that belongs to it. */
  forget({ durable, runId, state, tenant }: RunRecord): Effect.Effect<void, StoreUnavailable> {
    const query = { runIds: [runId], tenant, states: [state], finishedBefore: Number.MAX_SAFE_INTEGER, limit: 1 }
    return Effect.asVoid(this.writerOf({ durable }).store.remove(query))
  }

  /** Stops a run if it is live here, and waits until it has stopped. */
  cancel(runId: string, reason: string): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      const live = this.live.get(runId)
      if (live === undefined) return Effect.succeed(false)
      live.halt({ _tag: "Cancelled", reason })
      return live.fiber === undefined ? Effect.succeed(true) : Effect.as(Fiber.await(live.fiber), true)
    })
  }

  follow(run: RunRecord, after: number, until: "final" | "settled"): Stream.Stream<Page, ReadError> {
    return Stream.unwrap(Effect.map(this.hub(run), (hub) => pages(hub, this.writerOf(run).store, after, until)))
  }

  settled(run: RunRecord): Effect.Effect<RunRecord, ReadError> {
    return Effect.scoped(Effect.flatMap(this.hub(run), (hub) => hub.settled))
  }

  /** The hub of a run, held until the scope closes. */
  private hub(run: RunRecord): Effect.Effect<Hub, ReadError, Scope.Scope> {
    return Effect.suspend(() => {
      if (isFinal(run.state)) return Effect.succeed(new Hub(run))
      const fresh = this.hubs.get(run.runId)
      const hold = Effect.acquireRelease(
        Effect.sync(() => {
          const hub = this.hubOf(run)
          hub.holders++
          return hub
        }),
        (hub) =>
          Effect.sync(() => {
            hub.holders--
            this.dropHub(hub)
          })
      )
      return Effect.tap(hold, (hub) => hub === fresh ? Effect.void : this.refreshHub(hub))
    })
  }

  /**
   * A run may have moved on between its record was read and its hub was made, or on another node. What is new is read once
   * for all who follow it here.
   */
  private refreshHub(hub: Hub): Effect.Effect<void, ReadError> {
    return Effect.gen({ self: this }, function*() {
      const { runId, seq } = hub.run
      const { store } = this.writerOf(hub.run)
      const stored = yield* store.get(runId)
      if (stored === undefined || stored.seq <= seq) return
      const missing = stored.seq - seq
      const events = missing > recentCapacity ? [] : yield* store.events(runId, seq, missing)
      // Somebody else has looked at the same time, or there is too much to keep at hand.
      if (hub.run.seq !== seq || events.length < missing) return hub.run.seq < stored.seq ? hub.jump(stored) : undefined
      hub.publish(stored, events.slice(0, missing))
    })
  }

  /**
   * Reads a run that is followed or driven here again, unless this number of events is known. What is driven here and was
   * taken or ended by another node stops.
   */
  refresh(runId: string, seq: number): Effect.Effect<void, ReadError> {
    return Effect.suspend(() => {
      const live = this.live.get(runId)
      if (live !== undefined) return this.confirm(live, seq)
      const hub = this.hubs.get(runId)
      return hub === undefined || hub.run.seq >= seq ? Effect.void : this.refreshHub(hub)
    })
  }

  private confirm(live: LiveRun, seq: number): Effect.Effect<void, ReadError> {
    if (live.run.seq >= seq || live.run.durable === false) return Effect.void
    return Effect.gen({ self: this }, function*() {
      // The notice of a commit can be faster than the answer to it.
      yield* Effect.sleep("50 millis")
      if (live.run.seq >= seq) return
      const stored = yield* this.durable.store.get(live.run.runId)
      if (stored?.attempt !== live.run.attempt || isFinal(stored.state)) live.halt({ _tag: "Lost", error: undefined })
    })
  }

  /** Reads everything again that is followed here and driven elsewhere. */
  readonly refreshAll: Effect.Effect<void, ReadError> = Effect.suspend(() =>
    Effect.forEach(this.hubs.values(), (hub) => this.live.has(hub.run.runId) ? Effect.void : this.refreshHub(hub), {
      discard: true
    })
  )

  /** A hub that had to close early is replaced: whoever comes back starts again from the store. */
  private hubOf(run: RunRecord): Hub {
    const known = this.hubs.get(run.runId)
    if (known !== undefined && (!known.closing || this.closing)) return known
    const hub = new Hub(run)
    hub.closing = this.closing
    this.hubs.set(run.runId, hub)
    return hub
  }

  private dropHub(hub: Hub) {
    const { runId } = hub.run
    if (hub.holders === 0 && !this.live.has(runId) && this.hubs.get(runId) === hub) this.hubs.delete(runId)
  }

  /** Wakes whoever looks for runs whose time has come, at that time if it is near. */
  pollAt(time: number): Effect.Effect<void> {
    const wait = time - this.now()
    if (wait <= 0) return Effect.sync(() => this.pollLatch.openUnsafe())
    return wait > pollIntervalMillis
      ? Effect.void
      : Effect.asVoid(Effect.forkDetach(Effect.delay(this.pollLatch.open, wait)))
  }

  /** Returns after a while, or when there is something to look for. */
  readonly awaitPoll: Effect.Effect<void> = Effect.suspend(() =>
    Effect.andThen(
      Effect.timeoutOption(this.pollLatch.await, pollIntervalMillis),
      Effect.sync(() => this.pollLatch.closeUnsafe())
    )
  )

  private readonly heartbeat = Effect.sync(() => {
    for (const hub of this.hubs.values()) hub.wake()
  })

  /** Ends all streams with the word that the server goes away, and admits nothing more. */
  readonly drain: Effect.Effect<void> = Effect.sync(() => {
    this.closing = true
    for (const hub of this.hubs.values()) hub.close()
  })

  /** Lets what runs come to its next commit, and stops the rest when the time is up. */
  private readonly stop = Effect.suspend(() => {
    this.stopped = true
    const fibers: Array<Fiber.Fiber<void>> = []
    for (const live of this.live.values()) {
      live.drain()
      if (live.fiber !== undefined) fibers.push(live.fiber)
    }
    return this.drain.pipe(
      Effect.andThen(Effect.race(Fiber.awaitAll(fibers), realTime(this.grace))),
      Effect.andThen(Fiber.interruptAll(fibers))
    )
  })

  now() {
    return this.clock.currentTimeMillisUnsafe()
  }
}

/** A segment within its span, which says how the run stands at its end. */
const traced = (
  live: LiveRun,
  segment: Effect.Effect<void>,
  origin: Pick<Tracer.SpanOptionsNoTrace, "parent" | "links">
): Effect.Effect<void> => {
  const { attributes, name } = spanOf(live.run)
  const body = segment.pipe(
    Effect.andThen(Tracing.note(() => ({ "fastagentic.run.state": live.run.state }))),
    Effect.andThen(
      Effect.suspend(() =>
        live.run.error === undefined ? Effect.void : Effect.fail(new RunEndedWith({ tag: live.run.error.tag }))
      )
    )
  )
  return Effect.ignore(Tracing.within(body, name, () => ({ ...origin, attributes })))
}

/** How long a process has to stop is not for the clock of its runs to say. */
const realTime = (duration: Duration.Input) =>
  Effect.callback<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), Duration.toMillis(Duration.fromInputUnsafe(duration)))
    return Effect.sync(() => clearTimeout(timer))
  })

const noChildren: Children = { start: () => Effect.never, settled: () => Effect.never }
