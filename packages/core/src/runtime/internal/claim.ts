// Makes this node the owner of a run by compare-and-set, under a new attempt, and launches it. Losing the race writes nothing.
import { Effect, Tracer } from "effect"
import { asRunError } from "../../run/internal/runErrors.ts"
import * as Principal from "../../run/Principal.ts"
import type { JournalDamaged, RunError } from "../../run/RunError.ts"
import type { RunRecord, RunState } from "../../run/RunRecord.ts"
import type { Changes, Commit, Fact } from "../../store/RunStore.ts"
import * as Tracing from "../../telemetry/Tracing.ts"
import { holding } from "./holdRun.ts"
import { committed, type Resolve, resolvedBy } from "./resting.ts"
import type { RegisteredCallable, RunSupervisor } from "./runSupervisor.ts"
import { pinning, upgradeOf } from "./upgrades.ts"

/**
 * Lets a suspended run resume, with the decision that it waits for: where it is in memory its branch wakes; elsewhere it is
 * claimed at once, or in its turn when its agent takes only so many. A run that moves or stands in line only gets the
 * decision.
 *
 * Returns false when somebody else was faster: nothing was written then.
 */
export const suspendAsDue = Effect.fnUntraced(
  function*(
    node: RunSupervisor,
    bound: RegisteredCallable,
    run: RunRecord,
    resolve?: Resolve,
    set: Changes = {},
    facts: ReadonlyArray<Fact> = []
  ): Effect.fn.Return<boolean, RunError> {
    // Rights hold from a claim on: a run that rests in memory leaves it first.
    if (set.grants !== undefined) yield* node.runs.evict(run.runId)
    const woken = node.runs.wake(run.runId, resolve, set, facts)
    if (woken !== undefined) return yield* woken
    if (run.state !== "suspended") {
      const only = { ...commitOf(node, run, [run.state], resolve), set, facts }
      return (yield* asRunError(node.commit(run, only))) !== undefined
    }
    if (bound.callable.limits === undefined && !isPlaced(node, bound, run)) {
      const options = { from: ["suspended"], set, facts, ...(resolve === undefined ? {} : { resolve }) } as const
      return yield* claim(node, bound, run, options)
    }
    const queued = yield* asRunError(node.commit(run, {
      ...commitOf(node, run, ["suspended"], resolve),
      set: { ...set, state: "queued", wakeAt: node.now() },
      facts
    }))
    if (queued !== undefined) yield* resumeInLine(node, bound, queued)
    return queued !== undefined
  }
)

/** Whether the engine says where a run is driven. */
export const isPlaced = (node: RunSupervisor, { callable }: RegisteredCallable, run: RunRecord): boolean =>
  node.engineSchedule !== undefined && run.durable && callable.kind === "agent" && callable.limits === undefined

/** Lets a queued run go on: at once, or in its turn where others of its tenant wait or room has just become free for others. */
export const resumeInLine = Effect.fnUntraced(
  function*(
    node: RunSupervisor,
    bound: RegisteredCallable,
    run: RunRecord,
    isAdmitted = false
  ): Effect.fn.Return<void, RunError> {
    const line = bound.callable.limits?.agent === undefined ? undefined : node.lines.of(run.agent)
    if (line !== undefined && (line.freed !== line.looked || line.waiting.has(run.tenant))) {
      // Another node may have served those that were seen to wait.
      return yield* node.poll.at(node.now() + lineMillis)
    }
    if (!(yield* resume(node, bound, run, { from: ["queued"], isAdmitted }))) line?.waiting.add(run.tenant)
  }
)

/** How long a run that joins a line waits at most for the next look at it, in milliseconds. */
const lineMillis = 250

/** Lets a run go on that nobody drives: where the engine says, or here. Returns false when there is no room for it. */
export const resume: typeof claim = Effect.fnUntraced(function*(node, bound, run, options) {
  const { engineSchedule: place } = node
  if (place === undefined || !isPlaced(node, bound, run)) return yield* claim(node, bound, run, options)
  const { attempt, runId, wakeAt = Infinity } = run
  if (run.state !== "running" && wakeAt > node.now()) {
    // It is time now, also for whoever looks when the engine has forgotten it.
    const due = { ...commitOf(node, run, options.from, undefined), set: { wakeAt: node.now() } }
    if ((yield* asRunError(node.commit(run, due))) === undefined) return false
  }
  return (yield* place({ runId, attempt })) || (yield* claim(node, bound, run, options))
})

/**
 * Makes this node the owner of a run that has none, when there is room for it, in the same commit as the decision that
 * lets it go on. A run that does not fit the definition that is here is kept until one comes that it fits.
 *
 * Returns false when somebody else was faster or there is no room: nothing was written then.
 */
export const claim = Effect.fnUntraced(
  function*(node: RunSupervisor, bound: RegisteredCallable, run: RunRecord, options: {
    readonly from: ReadonlyArray<RunState>
    readonly resolve?: Resolve
    readonly crashes?: number
    readonly set?: Changes
    readonly facts?: ReadonlyArray<Fact>
    /** Whether its principal was admitted just now. */
    readonly isAdmitted?: boolean
  }): Effect.fn.Return<boolean, RunError> {
    const woken = options.from.includes("suspended")
      ? node.runs.wake(run.runId, options.resolve, options.set, options.facts)
      : undefined
    const { facts = [] } = options
    const base = { ...commitOf(node, run, options.from, options.resolve), facts }
    if (woken !== undefined && (yield* woken)) return true
    // A run in memory that may not go on has left it, and is held below.
    if (woken !== undefined && (node.authority === undefined || node.runs.isLive(run.runId))) return false
    // A run undoes its work whatever its principal may do by then.
    const refusal = node.authority === undefined || options.isAdmitted === true || run.waitsFor === "undo"
      ? undefined
      : yield* asRunError(node.authority.refusal({ ...run, ...options.set }))
    if (refusal !== undefined) {
      if (run.waitsFor === "principal" && run.wakeAt === undefined && options.resolve === undefined) return true
      const held = yield* asRunError(node.commit(
        run,
        holding(base, run, refusal, options.set)
      ))
      if (held !== undefined) yield* node.onSettled(held, false)
      return held !== undefined
    }
    const attempt = run.attempt + 1
    const resumed = attempt > 1 ? { resumed: true } : {}
    const { limits } = bound.callable
    // A run that was running holds its concurrency slot already.
    const isLimited = limits !== undefined && !options.from.includes("running")
    const within = isLimited ? node.runs.roomFor(run, limits) : undefined
    if (isLimited && within === undefined) return false
    const upgrade = yield* asRunError(upgradeOf(bound.callable, run, stepsOf(node, run)))
    if (upgrade._tag === "Pinned") return yield* pin(node, run, base, upgrade.why)
    const { events, set, steps } = upgrade.parts
    const crashes = options.crashes === undefined ? {} : { crashes: options.crashes }
    const write: Commit = {
      ...base,
      events: [...base.events, { type: "run_started", data: { agent: run.agent, ...resumed } }, ...events],
      set: { ...options.set, ...set, ...crashes, state: "running", attempt },
      ...(steps.length === 0 ? {} : { steps }),
      ...(within === undefined ? {} : { within })
    }
    const taken = Effect.tap(
      node.commit(run, write),
      (claimed) => claimed === undefined ? Effect.void : takeOver(node, bound, claimed)
    )
    return (yield* asRunError(node.runs.reserveClaim(run.runId, taken))) !== undefined
  }
)

const stepsOf = (node: RunSupervisor, run: RunRecord) => Effect.suspend(() => node.writerOf(run).store.steps(run.runId))

const pin = Effect.fnUntraced(function*(node: RunSupervisor, run: RunRecord, base: Commit, why: string) {
  if (run.waitsFor === "migration" && base.resolve === undefined) return true
  return (yield* asRunError(node.commit(run, pinning(base, run, why)))) !== undefined
})

/** Reads what there is to go on from only now: until it was fenced, the owner before could still commit a step. */
const takeOver = Effect.fnUntraced(
  function*(node: RunSupervisor, bound: RegisteredCallable, claimed: RunRecord) {
    // The record is read from the store: the segment before may still be winding up here, and knows nothing of later commits.
    const run = yield* node.writerOf(claimed).store.get(claimed.runId)
    if (run?.attempt !== claimed.attempt || run.state !== "running") return
    node.launch(run, ownerOf(run), bound, yield* node.history(run), node.traced ? yield* originOf(node, run) : {})
  },
  (effect, node: RunSupervisor, _bound: RegisteredCallable, claimed: RunRecord) =>
    Effect.catchTag(effect, "JournalDamaged", (error) => giveUp(node, claimed, error))
)

/** A run that goes on belongs to the trace that it was started in, and names the span that let it go on. */
const originOf = Effect.fnUntraced(function*(node: RunSupervisor, run: RunRecord) {
  const [first] = yield* node.writerOf(run).store.events(run.runId, 0, 1)
  const { traceparent } = first?.type === "run_started" || first?.type === "run_queued" ? first.data : {}
  const { traceId } = run
  const by = yield* Tracing.current
  return {
    parent: Tracing.fromTraceparent(traceparent) ??
      Tracer.externalSpan({ traceId, spanId: run.runId.slice(-17).replace("-", "") }),
    links: by === undefined ? [] : [{ span: by, attributes: {} }]
  }
})

/** Ends a run whose stored data cannot be read. */
const giveUp = Effect.fnUntraced(function*(node: RunSupervisor, run: RunRecord, error: JournalDamaged) {
  const failure = { tag: error._tag, message: `stored ${error.what} is damaged`, status: 500, declared: false }
  const ts = node.now()
  yield* Effect.annotateLogs(Effect.logError("A run cannot go on", error), { runId: run.runId, agent: run.agent })
  const ended = yield* node.commit(run, {
    ...commitOf(node, run, ["running"], undefined),
    events: [{ type: "error", data: failure }],
    set: { state: "failed", error: failure, finishedAt: ts }
  })
  if (ended !== undefined) yield* node.onSettled(ended, true)
})

const commitOf = (
  node: RunSupervisor,
  run: RunRecord,
  from: ReadonlyArray<RunState>,
  resolve: Resolve | undefined
): Commit => ({
  _tag: "Commit",
  runId: run.runId,
  attempt: run.attempt,
  from,
  ts: node.now(),
  events: resolvedBy(resolve),
  ...committed(resolve)
})

/** A resumed run acts for its owner, with what the owner was allowed when it was admitted. */
export const ownerOf = (
  { grants: { claims, roles, scopes }, owner, tenant }: Pick<RunRecord, "grants" | "owner" | "tenant">
) => new Principal.Principal({ id: owner, tenant, scopes, roles, claims })
