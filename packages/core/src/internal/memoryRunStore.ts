import { Effect, type Schema } from "effect"
import { type RunEvent, stamp } from "../Event.ts"
import type { Interrupt } from "../Interrupt.ts"
import { isFinal, type RunRecord } from "../RunRecord.ts"
import type * as RunStore from "../RunStore.ts"

interface Stored {
  run: RunRecord
  readonly events: Array<RunEvent>
  readonly steps: Map<string, Schema.Json>
  readonly interrupts: Map<string, Interrupt>
}

/** A store that can also be written without waiting. */
export type MemoryRunStore = RunStore.RunStore["Service"] & {
  readonly writeNow: (writes: ReadonlyArray<RunStore.Write>) => ReadonlyArray<RunStore.Written>
}

/** Keeps the last `retain` finished runs. */
export const makeMemoryRunStore = (retain: number): MemoryRunStore => {
  const runs = new Map<string, Stored>()
  const keys = new Map<string, string>()
  const finished = new Set<string>()

  const evict = () => {
    for (const runId of finished) {
      if (finished.size <= retain) return
      const stored = runs.get(runId)
      if (stored !== undefined) keys.delete(keyOf(stored.run))
      finished.delete(runId)
      runs.delete(runId)
    }
  }

  const admit = (write: RunStore.Admit): RunStore.Written => {
    const key = keyOf(write.run)
    const holder = write.run.idempotencyKey === undefined ? undefined : runs.get(keys.get(key) ?? "")
    if (holder !== undefined) return { _tag: "Attached", run: holder.run }
    const { attempt, createdAt, runId, state } = write.run
    if (runs.has(runId)) return { _tag: "Refused" }
    const events = stamp(write.events, { runId, attempt, ts: createdAt, lastSeq: 0 })
    const run = { ...write.run, seq: events.length }
    runs.set(runId, { run, events: [...events], steps: new Map(), interrupts: new Map() })
    if (write.run.idempotencyKey !== undefined) keys.set(key, runId)
    if (isFinal(state)) finished.add(runId)
    return { _tag: "Admitted", run, events }
  }

  const commit = (write: RunStore.Commit): RunStore.Written => {
    const stored = runs.get(write.runId)
    if (stored === undefined || stored.run.attempt !== write.attempt || !write.from.includes(stored.run.state)) {
      return { _tag: "Refused" }
    }
    if (write.resolve !== undefined) {
      const open = stored.interrupts.get(write.resolve.id)
      if (open?.state !== "open") return { _tag: "Refused" }
      stored.interrupts.set(open.id, { ...open, state: "resolved", resolution: write.resolve.resolution })
    }
    for (const interrupt of write.open ?? []) stored.interrupts.set(interrupt.id, interrupt)
    for (const step of write.steps ?? []) stored.steps.set(step.name, step.value)
    const { runId, ts } = write
    const attempt = write.set?.attempt ?? write.attempt
    const events = stamp(write.events, { runId, attempt, ts, lastSeq: stored.run.seq })
    stored.events.push(...events)
    stored.run = { ...stored.run, ...write.set, seq: stored.run.seq + events.length, updatedAt: ts }
    if (isFinal(stored.run.state)) {
      finished.add(runId)
      evict()
    }
    return { _tag: "Committed", events }
  }

  const writeNow = (writes: ReadonlyArray<RunStore.Write>) =>
    writes.map((write) => write._tag === "Admit" ? admit(write) : commit(write))

  return {
    writeNow,
    write: (writes) => Effect.sync(() => writeNow(writes)),
    get: (runId) => Effect.sync(() => runs.get(runId)?.run),
    list: (query) =>
      Effect.sync(() =>
        Array.from(runs.values(), (stored) => stored.run)
          .filter((run) => matches(run, query))
          .sort((a, b) => a.runId < b.runId ? 1 : -1)
          .slice(0, query.limit)
      ),
    events: (runId, after, limit) => Effect.sync(() => runs.get(runId)?.events.slice(after, after + limit) ?? []),
    steps: (runId) => Effect.sync(() => Array.from(runs.get(runId)?.steps ?? [], ([name, value]) => ({ name, value }))),
    interrupts: (runId) => Effect.sync(() => [...(runs.get(runId)?.interrupts.values() ?? [])]),
    abandoned: Effect.succeed([]),
    unfinished: Effect.sync(() =>
      Array.from(runs.values(), (stored) => stored.run)
        .filter((run) => run.state === "queued" || run.state === "running")
        .sort((a, b) => a.runId < b.runId ? -1 : 1)
    )
  }
}

const keyOf = (run: RunRecord) => JSON.stringify([run.tenant, run.owner, run.kind, run.agent, run.idempotencyKey])

const matches = (run: RunRecord, query: RunStore.Query) =>
  run.tenant === query.tenant &&
  (query.owner === undefined || run.owner === query.owner) &&
  (query.agent === undefined || run.agent === query.agent) &&
  (query.kind === undefined || run.kind === query.kind) &&
  (query.state === undefined || run.state === query.state) &&
  (query.threadId === undefined || run.threadId === query.threadId) &&
  (query.before === undefined || run.runId < query.before)
