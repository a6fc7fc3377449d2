// The run store in memory, for runs that are not durable and for tests. Each write is atomic.
import { Array as Arr, Effect } from "effect"
import { type RunEvent, stamp } from "../../run/Event.ts"
import type { Interrupt } from "../../run/Interrupt.ts"
import * as PackedEvents from "../../run/PackedEvents.ts"
import { isFinal, matchesFilter, type RunRecord } from "../../run/RunRecord.ts"
import { makeMemoryThreads } from "../../thread/internal/memoryThreads.ts"
import type { ThreadKey } from "../../thread/ThreadStore.ts"
import { toSummary } from "../RecordFields.ts"
import type * as RunStore from "../RunStore.ts"
import { applyChanges } from "./applyChanges.ts"
import { recentPage } from "./recentPage.ts"
import { makeRunIndex } from "./runIndex.ts"
import { inTenantTurns } from "./tenantTurns.ts"

interface Stored {
  run: RunRecord
  readonly events: Array<RunEvent>
  /** The compact form that replaces the events. */
  packed?: ReadonlyArray<ReadonlyArray<PackedEvents.Entry>>
  readonly steps: Map<string, RunStore.StoredStep>
  readonly interrupts: Map<string, Interrupt>
}

/** A store that can also be written without waiting. */
export type MemoryRunStore = RunStore.RunStore["Service"] & {
  readonly writeNow: (writes: ReadonlyArray<RunStore.Write>) => ReadonlyArray<RunStore.Written>
}

/** Keeps `retain` finished runs; beyond that the tenant with the most of them loses its oldest. */
export const makeMemoryRunStore = (retain: number): MemoryRunStore => {
  const runs = new Map<string, Stored>()
  const index = makeRunIndex()
  const keys = new Map<string, string>()
  const facts = new Map<string, RunStore.Fact>()
  const finished = new Map<string, Set<string>>()
  let count = 0
  const note = (kept: ReadonlyArray<RunStore.Fact> | undefined) => kept?.forEach((fact) => facts.set(fact.id, fact))

  const threads = makeMemoryThreads({
    retain,
    note,
    isOpen: (key) =>
      Array.from(index.smallest({ ...key, limit: 1 }), (runId) => runs.get(runId)?.run).some((run) =>
        run !== undefined && isOpen(run) && isOf(run, key)
      )
  })

  const finish = ({ runId, tenant }: RunRecord) => {
    const own = finished.get(tenant) ?? new Set()
    finished.set(tenant, own)
    if (own.has(runId)) return
    own.add(runId)
    count++
    while (count > retain) {
      const [oldest = ""] = largest(own)
      const stored = runs.get(oldest)
      if (stored === undefined) return
      forget(stored.run)
    }
  }

  /** The tenant of the new run pays when it has more than its share, so that most calls look at one tenant only. */
  const largest = (own: Set<string>) => {
    if (own.size * finished.size > retain) return own
    let most = own
    for (const other of finished.values()) if (other.size > most.size) most = other
    return most
  }

  const unfinish = ({ runId, tenant }: RunRecord) => {
    const own = finished.get(tenant)
    if (own?.delete(runId) !== true) return
    count--
    if (own.size === 0) finished.delete(tenant)
  }

  const forget = (run: RunRecord) => {
    if (run.idempotencyKey !== undefined) {
      const key = keyOf(run)
      if (keys.get(key) === run.runId) keys.delete(key)
    }
    unfinish(run)
    runs.delete(run.runId)
    index.remove(run)
  }

  const admit = (write: RunStore.Admit): RunStore.Written => {
    const key = write.run.idempotencyKey === undefined ? undefined : keyOf(write.run)
    const holder = key === undefined ? undefined : runs.get(keys.get(key) ?? "")
    if (holder !== undefined) return { _tag: "Attached", run: holder.run }
    const { attempt, createdAt, runId, state } = write.run
    if (runs.has(runId)) return { _tag: "Refused" }
    const other = write.alone === true ? others(write.run, isOpen) : undefined
    if (other !== undefined) return { _tag: "Busy", run: other }
    const events = stamp(write.events, { runId, attempt, ts: createdAt, lastSeq: 0 })
    const run = { ...write.run, seq: events.length }
    const steps = (write.steps ?? []).map((step) => [step.name, { ...step, seq: events.length }] as const)
    const interrupts = (write.interrupts ?? []).map((interrupt) => [interrupt.id, interrupt] as const)
    runs.set(runId, { run, events: [...events], steps: new Map(steps), interrupts: new Map(interrupts) })
    index.add(run, write.interrupts ?? [])
    if (key !== undefined) keys.set(key, runId)
    if (isFinal(state)) finish(run)
    note(write.facts)
    return { _tag: "Admitted", run, events }
  }

  const commit = (write: RunStore.Commit): RunStore.Written => {
    const stored = runs.get(write.runId)
    if (stored === undefined || stored.run.attempt !== write.attempt || !write.from.includes(stored.run.state)) {
      return { _tag: "Refused" }
    }
    if (stored.packed !== undefined && write.events.length > 0) return { _tag: "Refused" }
    if (write.ifSeq !== undefined && write.ifSeq !== stored.run.seq) return { _tag: "Refused" }
    if (write.within !== undefined && !makeFits(write.within)(stored.run)) return { _tag: "Refused" }
    if (write.resolve !== undefined) {
      const open = stored.interrupts.get(write.resolve.id)
      if (open?.state !== "open") return { _tag: "Refused" }
      stored.interrupts.set(open.id, { ...open, state: "resolved", resolution: write.resolve.resolution })
    }
    for (const interrupt of write.open ?? []) stored.interrupts.set(interrupt.id, interrupt)
    const { runId, ts } = write
    const attempt = write.set?.attempt ?? write.attempt
    const events = stamp(write.events, { runId, attempt, ts, lastSeq: stored.run.seq })
    stored.events.push(...events)
    const before = stored.run
    stored.run = applyChanges(before, write.set, { seq: before.seq + events.length, ts })
    const moves = before.state !== stored.run.state || before.waitsFor !== stored.run.waitsFor
    if (moves || write.resolve !== undefined || write.open !== undefined) {
      index.update(before, stored.run, stored.interrupts.values())
    }
    for (const step of write.steps ?? []) stored.steps.set(step.name, { ...step, seq: stored.run.seq })
    if (write.turn !== undefined) threads.add(write.turn, runId, ts)
    if (isFinal(stored.run.state)) {
      finish(stored.run)
    }
    note(write.facts)
    return { _tag: "Committed", events }
  }

  const others = (run: RunRecord, matches: (other: RunRecord) => boolean) => {
    let first: RunRecord | undefined
    for (const { run: other } of runs.values()) {
      if (other.runId === run.runId || !sameThread(run, other) || !matches(other)) continue
      if (first === undefined || other.runId < first.runId) first = other
    }
    return first
  }

  /** Whether there is room for a run beside all others, found in one pass over them. */
  const makeFits = ({ agent = Infinity, tenant = Infinity, thread = false }: RunStore.Limits) => {
    const running = new Map<string, number>()
    const threads = new Map<string, Array<RunRecord>>()
    const add = (key: string) => running.set(key, (running.get(key) ?? 0) + 1)
    for (const { run } of runs.values()) {
      if (run.state === "running") placesOf(run).forEach(add)
      if (!thread || run.threadId === undefined || isFinal(run.state)) continue
      const key = threadOf(run)
      const open = threads.get(key)
      if (open === undefined) threads.set(key, [run])
      else open.push(run)
    }
    return (run: RunRecord) => {
      const itself = run.state === "running" ? 1 : 0
      const [inAgent = 0, inTenant = 0] = placesOf(run).map((key) => (running.get(key) ?? 0) - itself)
      if (inAgent >= agent || inTenant >= tenant) return false
      if (run.parentRunId !== undefined) return true
      return threads.get(threadOf(run))?.some((other) => other.runId !== run.runId && isBefore(other, run)) !== true
    }
  }

  const hasParent = ({ parentRunId }: RunRecord) => parentRunId !== undefined && runs.has(parentRunId)

  const byId = (runIds: Iterable<Stored>, matches: (run: RunRecord) => boolean) =>
    Array.from(runIds, (stored) => stored.run).filter(matches).sort((a, b) => a.runId < b.runId ? -1 : 1)

  const writeNow = (writes: ReadonlyArray<RunStore.Write>) =>
    writes.map((write) => write._tag === "Admit" ? admit(write) : commit(write))

  const recordsOf = (runIds: Iterable<string>) =>
    Array.from(runIds, (runId) => runs.get(runId)?.run).filter((run) => run !== undefined)

  /** The runs of a list, newest first, from the smallest index that a query names. */
  const listed = (query: RunStore.SummaryQuery) =>
    recordsOf(query.runIds ?? index.smallest(query))
      .filter((run) => isListed(run, query))
      .sort((a, b) => a.runId < b.runId ? 1 : -1)
      .slice(0, query.limit)

  const identity = globalThis.crypto.randomUUID()
  let boundTo: string | undefined

  return {
    writeNow,
    threads: threads.store,
    identity: Effect.succeed(identity),
    bind: (app) => Effect.sync(() => boundTo ??= app),
    app: Effect.sync(() => boundTo),
    write: (writes) => Effect.sync(() => writeNow(writes)),
    facts: ({ before, limit }) =>
      Effect.sync(() =>
        [...facts.values()].filter(({ at }) => at < before).sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1))
          .slice(0, limit)
      ),
    removeFacts: (ids) => Effect.sync(() => ids.forEach((id) => facts.delete(id))),
    get: (runId) => Effect.sync(() => runs.get(runId)?.run),
    list: (query) => Effect.sync(() => listed(query)),
    summaries: (query) => Effect.sync(() => listed(query).map(toSummary)),
    recent: ({ before, ...query }) =>
      Effect.sync(() =>
        recentPage(recordsOf(index.smallest(query)), before === undefined ? query : { ...query, before })
      ),
    pending: (query) =>
      Effect.sync(() =>
        Array.from(index.pending(query), (runId) => runs.get(runId))
          .filter((stored) => stored !== undefined)
          .filter((stored) => isPending(stored, query))
          .map(({ run }) => run.runId)
          .sort((a, b) => a < b ? 1 : -1)
          .slice(0, query.limit)
      ),
    scan: ({ agent, before, except, limit, states }) =>
      Effect.sync(() =>
        byId(runs.values(), (run) =>
          states.includes(run.state) && (agent === undefined || run.agent === agent) &&
          (before === undefined || run.runId < before) &&
          (except === undefined || run.waitsFor === "migration" || !except.includes(run.fingerprint)))
          .reverse()
          .slice(0, limit)
      ),
    events: (runId, after, limit) => Effect.sync(() => eventsOf(runs.get(runId), after, limit)),
    steps: (runId) => Effect.sync(() => [...(runs.get(runId)?.steps.values() ?? [])]),
    interrupts: (runId) => Effect.sync(() => [...(runs.get(runId)?.interrupts.values() ?? [])]),
    abandoned: Effect.succeed([]),
    unfinished: Effect.sync(() => byId(runs.values(), (run) => run.state === "running")),
    due: ({ limit, within, ...query }) =>
      Effect.sync(() => {
        const fits = within === undefined ? () => true : makeFits(within)
        const due = byId(runs.values(), (run) => isDue(run, query) && (run.waitsFor === "interrupt" || fits(run)))
        return inTenantTurns(due).slice(0, limit)
      }),
    countDue: (query) => Effect.sync(() => byId(runs.values(), (run) => isDue(run, query)).length),
    overdue: ({ limit, now }) =>
      Effect.sync(() =>
        byId(
          runs.values(),
          (run) => (run.state === "queued" || run.state === "suspended") && (run.deadline ?? Infinity) <= now
        )
          .sort((a, b) => (a.deadline ?? 0) - (b.deadline ?? 0))
          .slice(0, limit)
      ),
    remove: (query) =>
      Effect.sync(() => {
        const found = byId(runs.values(), (run) =>
          isRemovable(run, query) && (query.runIds !== undefined || !hasParent(run)))
          .sort((a, b) =>
            (a.finishedAt ?? 0) - (b.finishedAt ?? 0)
          )
          .slice(0, query.limit)
        if (query.dryRun !== true) found.forEach(forget)
        return found
      }),
    compact: ({ dryRun, finishedBefore, limit }) =>
      Effect.sync(() =>
        Array.from(runs.values())
          .filter(({ packed, run }) =>
            packed === undefined && isFinal(run.state) && (run.finishedAt ?? Infinity) < finishedBefore
          )
          .sort((a, b) => (a.run.finishedAt ?? 0) - (b.run.finishedAt ?? 0))
          .slice(0, limit)
          .map((stored) => {
            const { events, run: { runId } } = stored
            const packed = Arr.chunksOf(events, PackedEvents.chunkSize).map((chunk) =>
              PackedEvents.pack(chunk.map(({ runId: _runId, seq: _seq, ...event }) => event))
            )
            const compacted = { runId, before: events.length, after: packed.flat().length }
            if (dryRun !== true) {
              stored.packed = packed
              stored.events.length = 0
            }
            return compacted
          })
      )
  }
}

const eventsOf = (stored: Stored | undefined, after: number, limit: number): ReadonlyArray<RunEvent> => {
  if (stored?.packed === undefined) return stored?.events.slice(after, after + limit) ?? []
  const { packed, run: { runId } } = stored
  const size = PackedEvents.chunkSize
  const first = Math.floor(after / size)
  return packed.slice(first, Math.ceil((after + limit) / size))
    .flatMap((entries, index) => PackedEvents.decode(entries, { runId, first: (first + index) * size + 1 }))
    .filter(({ seq }) => seq > after && seq <= after + limit)
}

const isDue = (
  { agent, state, wakeAt = Infinity }: RunRecord,
  { agents, now }: Pick<RunStore.DueQuery, "agents" | "now">
) => (state === "queued" || state === "suspended") && agents.includes(agent) && wakeAt <= now

const isOpen = (run: RunRecord) => !isFinal(run.state)

/** Whether a run of the same thread has its turn first. */
const isBefore = (other: RunRecord, run: RunRecord) =>
  other.state === "running" || other.state === "suspended" || (other.state === "queued" && other.runId < run.runId)

const placesOf = ({ agent, kind, tenant }: RunRecord) => [
  JSON.stringify([kind, agent]),
  JSON.stringify([kind, agent, tenant])
]

const isOf = (run: RunRecord, { owner, tenant, threadId }: ThreadKey) =>
  run.tenant === tenant && run.owner === owner && run.threadId === threadId

const threadOf = ({ owner, tenant, threadId }: RunRecord) => JSON.stringify([tenant, owner, threadId])

const sameThread = (a: RunRecord, b: RunRecord) =>
  a.threadId !== undefined && a.threadId === b.threadId && a.tenant === b.tenant && a.owner === b.owner

const isRemovable = (
  run: RunRecord,
  { exceptTenants, finishedBefore, runIds, states, tenant }: RunStore.RemoveQuery
) =>
  isFinal(run.state) && states.includes(run.state) && (tenant === undefined || run.tenant === tenant) &&
  exceptTenants?.includes(run.tenant) !== true && runIds?.includes(run.runId) !== false &&
  run.finishedAt !== undefined && run.finishedAt < finishedBefore

const keyOf = (run: RunRecord) => JSON.stringify([run.tenant, run.owner, run.kind, run.agent, run.idempotencyKey])

const isPending = ({ interrupts, run }: Stored, { before, decides, owner, requester, tenant }: RunStore.PendingQuery) =>
  run.tenant === tenant && !isFinal(run.state) && (before === undefined || run.runId < before) &&
  [...interrupts.values()].some(({ approvers, signal, state }) =>
    state === "open" && signal === undefined && (approvers === undefined
      ? owner === undefined || run.owner === owner
      : decides(approvers.scopes) && !(approvers.notRequester && run.owner === requester))
  )

const isListed = (run: RunRecord, query: RunStore.Query) =>
  run.tenant === query.tenant &&
  (query.owner === undefined || run.owner === query.owner) &&
  matchesFilter(run, query) &&
  (query.before === undefined || run.runId < query.before)
