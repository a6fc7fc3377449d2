import { Clock, type Context, Effect, Fiber, type Scope, Stream } from "effect"
import type { Audit } from "../Audit.ts"
import type { Budget } from "../Budget.ts"
import type { Callable } from "../Fusion.ts"
import type { Interrupt } from "../Interrupt.ts"
import type { Principal } from "../Principal.ts"
import type { StoreUnavailable } from "../RunError.ts"
import { isFinal, type RunRecord } from "../RunRecord.ts"
import type { Commit, RunStore, Written } from "../RunStore.ts"
import type { BoundHook } from "./dispatch.ts"
import { Hub, type Page, pages } from "./hub.ts"
import { Journal } from "./journal.ts"
import { LiveRun, noPast, type Past } from "./liveRun.ts"
import { drive, type Invoke } from "./segment.ts"

/** A callable with what it needs to run. */
export interface Bound {
  readonly callable: Callable
  readonly hooks: ReadonlyArray<BoundHook>
  readonly invoke: Invoke
}

/**
 * This process: the runs it owns, the hubs of the runs that are followed here, one journal for each store.
 */
export class Node {
  closing = false
  readonly durable: Journal
  readonly ephemeral: Journal
  private readonly live = new Map<string, LiveRun>()
  private readonly hubs = new Map<string, Hub>()
  private readonly services: Context.Context<never>
  private readonly budget: Budget["Service"]
  private readonly audit: Audit["Service"]
  private readonly clock: Clock.Clock

  constructor(options: {
    readonly durable: RunStore["Service"]
    readonly ephemeral: RunStore["Service"]
    readonly services: Context.Context<never>
    readonly budget: Budget["Service"]
    readonly audit: Audit["Service"]
    readonly clock: Clock.Clock
  }) {
    this.durable = new Journal(options.durable)
    this.ephemeral = new Journal(options.ephemeral)
    this.services = options.services
    this.budget = options.budget
    this.audit = options.audit
    this.clock = options.clock
  }

  /** Starts the writers; when the scope closes, runs stop first and what they wrote is flushed last. */
  readonly run: Effect.Effect<void, never, Scope.Scope> = Effect.suspend(() =>
    this.durable.run.pipe(
      Effect.andThen(this.ephemeral.run),
      Effect.andThen(Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep("15 seconds"), this.heartbeat)))),
      Effect.andThen(Effect.addFinalizer(() => this.stop))
    )
  )

  journalOf(run: Pick<RunRecord, "durable">): Journal {
    return run.durable ? this.durable : this.ephemeral
  }

  /** A run's record, from memory when it is live here. */
  get(runId: string): Effect.Effect<RunRecord | undefined, StoreUnavailable> {
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
  launch(run: RunRecord, principal: Principal, bound: Bound, past: Past = noPast) {
    const hub = this.hubs.get(run.runId) ?? new Hub(run)
    this.hubs.set(run.runId, hub)
    hub.run = run
    const live = new LiveRun({
      run,
      principal,
      hub,
      past,
      journal: this.journalOf(run),
      hooks: bound.hooks,
      clock: this.clock
    })
    this.live.set(run.runId, live)
    const around = { callable: bound.callable, principal, budget: this.budget, audit: this.audit }
    const segment = Effect.ensuring(
      drive(live, around, bound.invoke),
      Effect.sync(() => {
        if (this.live.get(run.runId) === live) this.live.delete(run.runId)
        this.release(hub)
      })
    )
    live.fiber = Effect.runForkWith(this.services)(segment)
    // A run that ended at once, before its fiber was known, has nothing left to be stopped.
    if (live.stop !== undefined) live.fiber.interruptUnsafe()
  }

  /** What earlier attempts left behind. */
  past(run: RunRecord): Effect.Effect<Past, StoreUnavailable> {
    const { store } = this.journalOf(run)
    return Effect.map(
      Effect.all([store.steps(run.runId), store.interrupts(run.runId)]),
      ([steps, interrupts]) => ({
        steps: new Map(steps.map((step) => [step.name, step.value])),
        interrupts: new Map(interrupts.map((interrupt: Interrupt) => [interrupt.name, interrupt]))
      })
    )
  }

  /** Writes to a run that nobody owns; its followers here see it. */
  commit(run: RunRecord, write: Commit): Effect.Effect<Written, StoreUnavailable> {
    return this.journalOf(run).write(write, (written) => {
      if (written._tag !== "Committed") return
      const last = written.events.at(-1)?.seq ?? run.seq
      this.hubs.get(run.runId)?.publish({ ...run, ...write.set, seq: last, updatedAt: write.ts }, written.events)
    })
  }

  /** Asks a run that is live here to stop. */
  cancel(runId: string, reason: string): boolean {
    const live = this.live.get(runId)
    live?.halt({ _tag: "Cancelled", reason })
    return live !== undefined
  }

  follow(run: RunRecord, after: number, until: "final" | "settled"): Stream.Stream<Page, StoreUnavailable> {
    return Stream.unwrap(Effect.map(this.hub(run), (hub) =>
      Stream.ensuring(
        pages(hub, this.journalOf(run).store, after, until),
        Effect.sync(() => this.release(hub))
      )))
  }

  settled(run: RunRecord): Effect.Effect<RunRecord, StoreUnavailable> {
    return Effect.flatMap(this.hub(run), (hub) => Effect.ensuring(hub.settled, Effect.sync(() => this.release(hub))))
  }

  /** The hub of a run. A new one looks at the store again: the run may have moved on since its record was read. */
  private hub(run: RunRecord): Effect.Effect<Hub, StoreUnavailable> {
    return Effect.suspend(() => {
      if (isFinal(run.state)) return Effect.succeed(new Hub(run))
      const known = this.hubs.get(run.runId)
      if (known !== undefined) return Effect.succeed(known)
      const hub = new Hub(run)
      hub.closing = this.closing
      this.hubs.set(run.runId, hub)
      return Effect.map(this.journalOf(run).store.get(run.runId), (fresh) => {
        if (fresh !== undefined && fresh.seq > hub.run.seq) hub.run = fresh
        return hub
      })
    })
  }

  private release(hub: Hub) {
    const { runId } = hub.run
    if (hub.followers > 0 || this.live.has(runId) || this.hubs.get(runId) !== hub) return
    if (hub.waiters === 0) this.hubs.delete(runId)
  }

  private readonly heartbeat = Effect.sync(() => {
    for (const hub of this.hubs.values()) hub.wake()
  })

  /** Ends all streams with the word that the server goes away, and admits nothing more. */
  readonly drain: Effect.Effect<void> = Effect.sync(() => {
    this.closing = true
    for (const hub of this.hubs.values()) hub.close()
  })

  private readonly stop = Effect.suspend(() =>
    Effect.andThen(
      this.drain,
      Fiber.interruptAll(Array.from(this.live.values()).flatMap((live) => live.fiber === undefined ? [] : [live.fiber]))
    )
  )

  now() {
    return this.clock.currentTimeMillisUnsafe()
  }
}
