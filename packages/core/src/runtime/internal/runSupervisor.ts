// Launches runs in this process, with what they need: writers, hubs, metrics and the clock. Everything that admits, claims or
// decides a run goes through it; it is complete when it is made, so a run can be launched at any time after that. The runs
// that are in memory are in LiveRuns, which wakes and stops them.
import { Clock, Context, type Duration, Effect, Latch, Random, References, type Scope, Stream, Tracer } from "effect"
import type { Callable } from "../../app/Fusion.ts"
import type { Audit } from "../../audit/Audit.ts"
import { AuditOutbox } from "../../audit/internal/auditOutbox.ts"
import * as Timings from "../../base/Timings.ts"
import type { Budget } from "../../budget/Budget.ts"
import type { Authority } from "../../door/internal/authority.ts"
import type { CredentialWatch, Held } from "../../door/internal/credentialWatch.ts"
import type { ToolDoor } from "../../door/internal/toolDoor.ts"
import { OpenCount, type OpenLimits } from "../../door/OpenLimits.ts"
import type { HookWithHandler } from "../../hook/internal/dispatch.ts"
import type { Type } from "../../run/Event.ts"
import type { Principal } from "../../run/Principal.ts"
import type { StoreUnavailable } from "../../run/RunError.ts"
import { isFinal, type RunRecord } from "../../run/RunRecord.ts"
import type { Files } from "../../store/Files.ts"
import { changed, type Commit, type ReadError, type RunStore } from "../../store/RunStore.ts"
import { Metrics } from "../../telemetry/internal/metrics.ts"
import { TelemetryContent } from "../../telemetry/TelemetryContent.ts"
import type { EngineSchedule } from "../RunEngine.ts"
import type { Children } from "./delegation.ts"
import { type History, noHistory, readHistory } from "./history.ts"
import { type FollowError, type Hub, type Page, pages, type Until } from "./hub.ts"
import { Hubs } from "./hubs.ts"
import { Lines } from "./lines.ts"
import { LiveRun } from "./liveRun.ts"
import { LiveRuns } from "./liveRuns.ts"
import { PollLatch } from "./pollLatch.ts"
import { runEntry, settles } from "./runEntry.ts"
import { type Invoke, runSegment, settle, type Surroundings } from "./segment.ts"
import { shownText, type Subject } from "./shownTexts.ts"
import { StoreWriter } from "./storeWriter.ts"
import { traced } from "./tracedSegment.ts"

/** A callable with what it needs to run. */
export interface RegisteredCallable {
  readonly callable: Callable
  readonly hooks: ReadonlyArray<HookWithHandler>
  readonly invoke: Invoke
}

/** The functions that the supervisor calls and that are made from the supervisor. */
export interface Wiring {
  /** How runs start others. */
  readonly children: Children
  /** The door for the tool calls of runs. */
  readonly tools: ToolDoor
  /** Work after a run has ended or paused, here or by this node's hand. */
  readonly onSettled: (run: RunRecord, hasChildren: boolean) => Effect.Effect<void>
  /** The engine that decides where runs are driven, if there is one. */
  readonly engineSchedule: EngineSchedule | undefined
}

export interface Options {
  readonly app: string
  readonly durable: RunStore["Service"]
  readonly ephemeral: RunStore["Service"]
  readonly services: Context.Context<never>
  readonly budget: Budget["Service"]
  readonly audit: Audit["Service"]
  readonly clock: Clock.Clock
  readonly grace: Duration.Input
  readonly open: OpenLimits
  readonly files: Files["Service"]
  readonly weightOf: (tenant: string) => number
  readonly authority: Authority | undefined
  readonly credentials: CredentialWatch | undefined
  /** The longest time from now until a start, in milliseconds. */
  readonly longestDelay: number
  /** The hooks of the callable behind a run. */
  readonly hooksOf: (run: Pick<RunRecord, "agent" | "kind">) => ReadonlyArray<HookWithHandler>
}

/** How long a run that rests stays in memory, in milliseconds: what wakes it by then needs no replay. */
const idleMillis = 2_000

/** How many services are added to those of a run before all of them are copied: more than a step in a tool call adds. */
const additions = 16

export class RunSupervisor {
  closing = false
  private stopped = false
  readonly durable: StoreWriter
  readonly ephemeral: StoreWriter
  /** Takes the entries of the audit log about changes, which are written with the change. */
  readonly outbox: AuditOutbox
  readonly metrics: Metrics
  readonly hooksOf: Options["hooksOf"]
  readonly files: Files["Service"]
  readonly openRuns: OpenCount
  readonly openStreams: OpenCount
  readonly poll: PollLatch
  readonly lines: Lines
  /** The credentials of what is open; nothing where streams outlive them. */
  readonly credentials: CredentialWatch | undefined
  readonly longestDelay: number
  /** Whether principals may still act; nothing in an app without authentication. */
  readonly authority: Authority | undefined
  /** Open once the supervisor is complete: what comes from outside earlier waits for it. */
  readonly wired = Latch.makeUnsafe(false)
  /** The runs that are in memory here. */
  readonly runs: LiveRuns
  private readonly hubs: Hubs
  private readonly wiring: () => Wiring
  private readonly services: Context.Context<never>
  private readonly budget: Budget["Service"]
  private readonly clock: Clock.Clock
  /** The random numbers of steps. */
  private readonly random: typeof Random.Random.Service
  private readonly grace: Duration.Input
  /** Whether anybody looks at spans. */
  readonly traced: boolean
  /** Whether spans carry content. */
  readonly content: boolean

  /**
   * Starts the writers, then makes what needs them. `wire` may write, and nothing is launched before it is through. When the
   * scope closes, runs stop first and what they wrote is flushed last.
   */
  static make<W extends Wiring, E, R>(
    options: Options,
    wire: (node: RunSupervisor) => Effect.Effect<W, E, R>
  ): Effect.Effect<{ readonly node: RunSupervisor; readonly wired: W }, E, R | Scope.Scope> {
    return Effect.suspend(() => {
      let wiring: Wiring | undefined
      const node = new RunSupervisor(options, () => {
        if (wiring === undefined) throw new Error("a run was launched before its supervisor was complete")
        return wiring
      })
      return node.run.pipe(
        Effect.andThen(wire(node)),
        Effect.map((wired) => {
          wiring = wired
          node.wired.openUnsafe()
          return { node, wired }
        })
      )
    })
  }

  private constructor(options: Options, wiring: () => Wiring) {
    this.wiring = wiring
    this.metrics = new Metrics(options.app, options.services)
    this.outbox = new AuditOutbox(options.durable, options.audit, options.services)
    this.durable = new StoreWriter(options.durable, this.metrics, this.outbox)
    this.ephemeral = new StoreWriter(options.ephemeral, this.metrics, this.outbox)
    this.runs = new LiveRuns(this.durable.store, () => this.now())
    this.services = Context.makeUnsafe(options.services.mapUnsafe, { maxDepth: additions })
    this.budget = options.budget
    this.clock = options.clock
    this.random = Context.get(options.services, Random.Random)
    this.grace = options.grace
    this.hooksOf = options.hooksOf
    this.files = options.files
    this.openRuns = new OpenCount("open-runs", options.open.runs)
    this.openStreams = new OpenCount("open-streams", options.open.streams)
    this.traced = Context.get(options.services, Tracer.Tracer) !== Tracer.nativeTracer
    this.content = Context.get(options.services, TelemetryContent)
    this.authority = options.authority
    this.credentials = options.credentials
    this.longestDelay = options.longestDelay
    this.lines = new Lines(options.weightOf)
    this.poll = new PollLatch(() => this.now())
    this.hubs = new Hubs((run) => this.writerOf(run).store)
  }

  get onSettled(): Wiring["onSettled"] {
    return this.wiring().onSettled
  }

  get engineSchedule(): EngineSchedule | undefined {
    return this.wiring().engineSchedule
  }

  private readonly run: Effect.Effect<void, never, Scope.Scope> = Effect.suspend(() =>
    this.outbox.run.pipe(
      Effect.andThen(this.durable.run),
      Effect.andThen(this.ephemeral.run),
      Effect.andThen(
        Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(Timings.heartbeatMillis), this.heartbeat)))
      ),
      Effect.andThen(Effect.addFinalizer(() => this.stop))
    )
  )

  writerOf(run: Pick<RunRecord, "durable">): StoreWriter {
    return run.durable ? this.durable : this.ephemeral
  }

  /**
   * A run's record as its store has it. What this process knows of a run that it drives is behind its own commits, and behind
   * all that another node has written since this one lost the run.
   */
  get(runId: string): Effect.Effect<RunRecord | undefined, ReadError> {
    return Effect.flatMap(
      this.ephemeral.store.get(runId),
      (run) => run === undefined ? this.durable.store.get(runId) : Effect.succeed(run)
    )
  }

  /** Takes a run that the store says is this node's, and drives it. Returns where it is followed. */
  launch(
    run: RunRecord,
    principal: Principal,
    bound: RegisteredCallable,
    history: History = noHistory,
    origin: Pick<Tracer.SpanOptionsNoTrace, "parent" | "links"> = {}
  ): Hub | undefined {
    // Its place in the store says what is left to do, for the process that starts next.
    if (this.stopped) return undefined
    const hub = this.hubs.hold(run)
    hub.run = run
    // Every line that is logged for a run names it.
    const { runId, traceId } = run
    const annotations = { ...Context.get(this.services, References.CurrentLogAnnotations), runId, traceId }
    const fork = Effect.runForkWith(Context.add(this.services, References.CurrentLogAnnotations, annotations))
    const around: Surroundings = {
      callable: bound.callable,
      principal,
      budget: this.budget,
      onSettled: (live) =>
        Effect.suspend(() => {
          if (live.stop?._tag === "Lost") return this.afterLoss(live)
          this.metrics.ended(live.run)
          return this.onSettled(live.run, live.hasChildren)
        })
    }
    // A run that rests in memory moves nothing: it is neither active nor open.
    let release = () => {}
    const moves = () => {
      release = this.openRuns.take(principal)
      this.metrics.active(1)
    }
    const stopped = () => {
      release()
      this.metrics.active(-1)
    }
    const live = new LiveRun({
      run,
      principal,
      children: this.wiring().children,
      tools: this.wiring().tools,
      hub,
      history,
      journal: this.writerOf(run),
      hooks: bound.hooks,
      errors: bound.callable.errors.length === 0 ? undefined : bound.callable.error,
      signals: bound.callable.signals,
      threads: bound.callable.threads,
      model: bound.callable.model,
      clientTools: bound.callable.clientTools,
      budget: this.budget,
      files: this.files,
      metrics: this.metrics,
      traced: this.traced,
      content: this.content,
      clock: this.clock,
      random: this.random,
      rest: {
        // A run that has to wait for its turn, or for an engine, is taken back in the store alone.
        idleMillis: bound.callable.limits === undefined && this.engineSchedule === undefined ? idleMillis : 0,
        fork,
        onRest: (live) => {
          stopped()
          return settle(live, around)
        },
        reclaimed: () => moves(),
        refusal: this.authority?.refusal
      }
    })
    this.runs.add(live)
    moves()
    const segment = Effect.ensuring(
      this.traced
        ? traced(live, runSegment(live, around, bound.invoke), origin)
        : runSegment(live, around, bound.invoke),
      Effect.sync(() => {
        if (live.resting.phase !== "suspended") stopped()
        this.runs.remove(live)
        this.hubs.release(hub)
      })
    )
    live.fiber = fork(segment)
    // A run that ended at once, before its fiber was known, has nothing left to be stopped.
    if (live.stop !== undefined) live.fiber.interruptUnsafe()
    return hub
  }

  /** Ends the children that the code of a lost run has started, when the run has ended meanwhile. */
  private afterLoss({ hasChildren, run }: LiveRun): Effect.Effect<void> {
    const stored = hasChildren ? Effect.orElseSucceed(this.get(run.runId), () => undefined) : Effect.undefined
    return Effect.flatMap(stored, (now = run) => this.onSettled(now, isFinal(now.state) && hasChildren))
  }

  /** The recorded history of earlier attempts. */
  history(run: RunRecord): Effect.Effect<History, ReadError> {
    return readHistory(this.writerOf(run).store, run)
  }

  /** Writes to a run that nobody owns; its followers here see it. An end or a pause brings its line of the audit log. */
  commit(run: RunRecord, commit: Commit, rule?: string): Effect.Effect<RunRecord | undefined, StoreUnavailable> {
    let after: RunRecord | undefined
    const { facts = [], set } = commit
    const write = settles(set)
      ? { ...commit, facts: [...facts, this.outbox.note(runEntry(run, set, commit.ts, rule))] }
      : commit
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
  forget(
    { durable, runId, state, tenant }: Pick<RunRecord, "durable" | "runId" | "state" | "tenant">
  ): Effect.Effect<void, StoreUnavailable> {
    const query = { runIds: [runId], tenant, states: [state], finishedBefore: Number.MAX_SAFE_INTEGER, limit: 1 }
    return Effect.asVoid(this.writerOf({ durable }).store.remove(query))
  }

  /** A reason or a name as it may leave. */
  shownText(run: Subject, text: string, type: Type): Effect.Effect<string> {
    return shownText(this, run, text, type)
  }

  /** Waits until a run has ended. */
  ended(run: RunRecord): Effect.Effect<RunRecord, ReadError> {
    return this.hubs.during(run, "final", undefined, (hub) => hub.ended)
  }

  /** The pages of a run for one follower, until the scope closes. */
  follow(
    run: RunRecord,
    after: number,
    until: Until,
    known?: Hub,
    credentials?: Held
  ): Effect.Effect<Stream.Stream<Page, FollowError>, ReadError, Scope.Scope> {
    return Effect.map(
      this.hubs.join(run, until, known),
      (hub) => pages(hub, this.writerOf(run).store, after, until, credentials)
    )
  }

  /** Ends what was opened with credentials that are not valid any more. */
  checkCredentials(watch: CredentialWatch): Effect.Effect<void> {
    return Effect.map(watch.check, (ended) => {
      if (ended) this.hubs.beat()
    })
  }

  settled(run: RunRecord, known?: Hub): Effect.Effect<RunRecord, ReadError> {
    return this.hubs.during(run, "settled", known, (hub) => hub.settled)
  }

  /**
   * Reads a run that is followed or driven here again, unless this number of events is known. What is driven here and was
   * taken or ended by another node stops.
   */
  refresh(runId: string, seq: number): Effect.Effect<void, ReadError> {
    return Effect.suspend(() => {
      const confirmed = this.runs.confirm(runId, seq)
      if (confirmed !== undefined) return confirmed
      const hub = this.hubs.get(runId)
      return hub === undefined || hub.run.seq >= seq ? Effect.void : this.hubs.refresh(hub)
    })
  }

  /** Reads everything again that is followed here and driven elsewhere. */
  readonly refreshAll: Effect.Effect<void, ReadError> = Effect.suspend(() =>
    Effect.andThen(
      this.hubs.refreshAll((runId) => this.runs.isHere(runId)),
      this.runs.refresh
    )
  )

  private readonly heartbeat = Effect.sync(() => this.hubs.beat())

  /** Ends all streams with the word that the server goes away, and admits nothing more. */
  readonly drain: Effect.Effect<void> = Effect.sync(() => {
    this.closing = true
    this.hubs.close()
  })

  /** Lets what runs come to its next commit, and stops the rest when the time is up. */
  private readonly stop = Effect.suspend(() => {
    this.stopped = true
    const fibers = this.runs.drain()
    return Effect.andThen(this.drain, this.runs.stopped(fibers, this.grace))
  })

  now() {
    return this.clock.currentTimeMillisUnsafe()
  }
}
