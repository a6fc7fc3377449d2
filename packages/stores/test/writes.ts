/** Short constructors of writes, and readers of stored runs, for tests of run stores. */
import { assert } from "@effect/vitest"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import type { Admit, Commit, RunStore } from "@fastagentic/core/store/RunStore"
import { Effect } from "effect"

export const token = (delta: string) => ({ type: "token", data: { delta } }) as const

export const admit = (run: RunRecord, ...deltas: ReadonlyArray<string>): Admit => ({
  _tag: "Admit",
  run,
  events: deltas.map(token)
})

export const commit = (run: RunRecord, parts: Partial<Commit> = {}): Commit => ({
  _tag: "Commit",
  runId: run.runId,
  attempt: run.attempt,
  from: ["running"],
  ts: run.createdAt,
  events: [],
  ...parts
})

export const tagsOf = (written: ReadonlyArray<{ readonly _tag: string }>) => written.map((one) => one._tag)

export const ids = (runs: ReadonlyArray<Pick<RunRecord, "runId">>) => runs.map((run) => run.runId)

/** The events of a run, after asserting that they are numbered from 1 to the record's `seq`. */
export const wholeJournal = Effect.fnUntraced(function*(store: RunStore["Service"], runId: string) {
  const events = yield* store.events(runId, 0, 1_000_000)
  assert.deepStrictEqual(events.map((event) => event.seq), events.map((_, index) => index + 1))
  assert.strictEqual((yield* store.get(runId))?.seq, events.length)
  return events
})
