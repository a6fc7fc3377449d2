// Writes that concurrency limits apply to; `batch.ts` sends a batch here when it contains one.
import { PgTypes } from "@effect/sql-pg"
import type { Limits, Written } from "@fastagentic/core/store/RunStore"
import { Effect, Result } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { fitsLimits, selectBusy } from "../../sql/runLimits.ts"
import { another, refused } from "../../sql/runReads.ts"
import { type Admission, selectHolders } from "./admitting.ts"
import type { Commitment } from "./committing.ts"

export type Entry = Admission | Commitment

/** Whether the answer to a write depends on other runs. */
export const isLimited = (entry: Entry): boolean =>
  entry._tag === "Admission" ? entry.write.alone === true : entry.write.within !== undefined

/** The fields of a run by which limits count it; no commit changes them. */
interface LimitKey {
  readonly kind: string
  readonly agent: string
  readonly tenant: string
  readonly owner: string
  readonly threadId?: string | null | undefined
}

type Answers = ReadonlyMap<Entry, Written>

/**
 * Makes writes of which some are limited, inside a transaction. Advisory locks make nodes that count the same runs do
 * so one after the other. All rows are locked first, in the order of their ids, then all advisory locks in theirs, so
 * that no two transactions wait for each other.
 */
export const makeLimited = (
  sql: SqlClient,
  unlimited: (entries: ReadonlyArray<Entry>) => Effect.Effect<Answers, SqlError>
) => {
  const one = (entry: Entry) => Effect.map(unlimited([entry]), (answers) => answers.get(entry) ?? refused)

  const admitAlone = Effect.fnUntraced(function*(entry: Admission): Effect.fn.Return<Written, SqlError> {
    const busy = yield* selectBusy(sql, entry.write.run)
    if (busy === undefined) return yield* one(entry)
    const [holder] = entry.key === undefined ? [] : yield* selectHolders(sql, [entry])
    if (holder !== undefined) return yield* another("Attached", holder)
    const taken = yield* sql`SELECT 1 FROM runs WHERE run_id = ${entry.runId}`
    return taken.length > 0 ? refused : yield* another("Busy", busy)
  })

  const commitWithin = Effect.fnUntraced(function*(entry: Commitment): Effect.fn.Return<Written, SqlError> {
    return (yield* fitsLimits(sql, entry.runId, entry.write.within ?? {})) ? yield* one(entry) : refused
  })

  return Effect.fnUntraced(function*(entries: ReadonlyArray<Entry>): Effect.fn.Return<Answers, SqlError> {
    const limitKeys = new Map<string, LimitKey>()
    for (const { runId, write } of entries) if (write._tag === "Admit") limitKeys.set(runId, write.run)
    for (const { runId, ...key } of yield* lockRuns(sql, entries)) limitKeys.set(runId, key)
    yield* lockLimits(sql, entries, limitKeys)

    const answers = new Map<Entry, Written>()
    let rest: ReadonlyArray<Entry> = entries
    while (rest.length > 0) {
      const next = rest.findIndex(isLimited)
      const before = next === -1 ? rest : rest.slice(0, next)
      if (before.length > 0) {
        for (const [entry, answer] of yield* unlimited(before)) answers.set(entry, answer)
      }
      const entry = rest[before.length]
      if (entry?._tag === "Admission") answers.set(entry, yield* admitAlone(entry))
      // A run that did not exist when the locks were taken is admitted later.
      else if (entry !== undefined) {
        answers.set(entry, limitKeys.has(entry.runId) ? yield* commitWithin(entry) : refused)
      }
      rest = rest.slice(before.length + 1)
    }
    return answers
  })
}

/** Locks runs in the order in which commits lock them. */
const lockRuns = (sql: SqlClient, entries: ReadonlyArray<Entry>) => {
  const ids = new Set(entries.filter(({ _tag }) => _tag === "Commitment").map(({ runId }) => runId))
  return ids.size === 0 ? Effect.succeed([]) : sql<LimitKey & { readonly runId: string }>`
    SELECT requested.run_id AS "runId", run.* FROM (
      SELECT run_id FROM unnest(${texts(ids)}::text[]) AS run_id ORDER BY run_id
    ) AS requested, LATERAL (
      SELECT kind, agent, tenant, owner, thread_id AS "threadId" FROM runs WHERE runs.run_id = requested.run_id FOR UPDATE
    ) AS run`
}

const lockLimits = (sql: SqlClient, entries: ReadonlyArray<Entry>, limitKeys: ReadonlyMap<string, LimitKey>) => {
  const locks = new Set<string>()
  for (const { runId, write } of entries) {
    const key = limitKeys.get(runId)
    const { agent, tenant, thread } = limitsOf(write)
    if (key === undefined) continue
    if (agent !== undefined || tenant !== undefined) locks.add(JSON.stringify([key.kind, key.agent]))
    if (thread === true) locks.add(JSON.stringify([key.tenant, key.owner, key.threadId]))
  }
  return locks.size === 0 ? Effect.void : sql`
    SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest(${texts([...locks].sort())}::text[]) AS name`
}

const limitsOf = (write: Entry["write"]): { readonly [Name in keyof Limits]?: Limits[Name] | undefined } =>
  write._tag === "Admit" ? { thread: write.alone } : write.within ?? {}

const texts = (values: Iterable<string>) => Result.getOrThrow(PgTypes.array([...values], PgTypes.OID.text))
