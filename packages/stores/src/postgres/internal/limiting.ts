import { PgTypes } from "@effect/sql-pg"
import type { Limits, Written } from "@fastagentic/core/store/RunStore"
import { Effect, Result } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { hasRoom, selectBusy } from "../../sql/runLimits.ts"
import { another, refused } from "../../sql/runReads.ts"
import { type Admission, selectHolders } from "./admitting.ts"
import type { Commitment } from "./committing.ts"

export type Entry = Admission | Commitment

/** Whether what becomes of a write depends on other runs. */
export const isLimited = (entry: Entry): boolean =>
  entry._tag === "Admission" ? entry.write.alone === true : entry.write.within !== undefined

/** What is counted for a run: no commit changes it. */
interface LimitKey {
  readonly kind: string
  readonly agent: string
  readonly tenant: string
  readonly owner: string
  readonly threadId?: string | null | undefined
}

type Answers = ReadonlyMap<Entry, Written>

/**
 * Makes writes of which some are limited, inside a transaction. Nodes that count the same runs take turns: whoever comes
 * second counts after the first has committed. All rows first, in the order of their ids, then all turns in theirs, so
 * that no two wait for each other.
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
    return (yield* hasRoom(sql, entry.runId, entry.write.within ?? {})) ? yield* one(entry) : refused
  })

  return Effect.fnUntraced(function*(entries: ReadonlyArray<Entry>): Effect.fn.Return<Answers, SqlError> {
    const places = new Map<string, LimitKey>()
    for (const { runId, write } of entries) if (write._tag === "Admit") places.set(runId, write.run)
    for (const { runId, ...place } of yield* lockRuns(sql, entries)) places.set(runId, place)
    yield* takeTurns(sql, entries, places)

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
      // A run that was not there when turns were taken is admitted after this.
      else if (entry !== undefined) answers.set(entry, places.has(entry.runId) ? yield* commitWithin(entry) : refused)
      rest = rest.slice(before.length + 1)
    }
    return answers
  })
}

/** In the order in which commits lock them. */
const lockRuns = (sql: SqlClient, entries: ReadonlyArray<Entry>) => {
  const ids = new Set(entries.filter(({ _tag }) => _tag === "Commitment").map(({ runId }) => runId))
  return ids.size === 0 ? Effect.succeed([]) : sql<LimitKey & { readonly runId: string }>`
    SELECT asked.run_id AS "runId", run.* FROM (
      SELECT run_id FROM unnest(${texts(ids)}::text[]) AS run_id ORDER BY run_id
    ) AS asked, LATERAL (
      SELECT kind, agent, tenant, owner, thread_id AS "threadId" FROM runs WHERE runs.run_id = asked.run_id FOR UPDATE
    ) AS run`
}

const takeTurns = (sql: SqlClient, entries: ReadonlyArray<Entry>, places: ReadonlyMap<string, LimitKey>) => {
  const turns = new Set<string>()
  for (const { runId, write } of entries) {
    const place = places.get(runId)
    const { agent, tenant, thread } = limitsOf(write)
    if (place === undefined) continue
    if (agent !== undefined || tenant !== undefined) turns.add(JSON.stringify([place.kind, place.agent]))
    if (thread === true) turns.add(JSON.stringify([place.tenant, place.owner, place.threadId]))
  }
  return turns.size === 0 ? Effect.void : sql`
    SELECT pg_advisory_xact_lock(hashtextextended(turn, 0)) FROM unnest(${texts([...turns].sort())}::text[]) AS turn`
}

const limitsOf = (write: Entry["write"]): { readonly [Name in keyof Limits]?: Limits[Name] | undefined } =>
  write._tag === "Admit" ? { thread: write.alone } : write.within ?? {}

const texts = (values: Iterable<string>) => Result.getOrThrow(PgTypes.array([...values], PgTypes.OID.text))
