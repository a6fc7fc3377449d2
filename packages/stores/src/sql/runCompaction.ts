// `RunStore.compact` for both SQL databases: journals of ended runs in fewer rows, with every event unchanged.
import { chunkSize } from "@fastagentic/core/run/PackedEvents"
import type { Compacted, CompactQuery, RunStore } from "@fastagentic/core/store/RunStore"
import { Effect, Result } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Row } from "effect/sql/SqlConnection"
import type { Fragment } from "effect/sql/Statement"
import { rows } from "./runReads.ts"
import * as Rows from "./runRows.ts"
import { unavailable } from "./unavailable.ts"
import { endedPlaces, isListed, type Unlisted } from "./unlisted.ts"

/** The most rows that one transaction reads: on SQLite every other write waits for it. */
const rowsAtOnce = 250

/** About how many characters of JSON one row holds at most. */
const charactersInRow = 65_536

/**
 * Merges the rows of journals. `runs.compacted` is the number of the last event that was read, since a long journal
 * takes several transactions, and -1 in the end. `lock` keeps other nodes from compacting the same run.
 */
export const makeCompact = (
  sql: SqlClient,
  { lock = sql``, unlisted }: { readonly lock?: Fragment; readonly unlisted?: Unlisted }
): RunStore["Service"]["compact"] => {
  // The open states are excluded: with the final states listed, SQLite would scan all ended runs.
  const find = ({ finishedBefore, limit }: CompactQuery, among: Fragment, lock: Fragment) =>
    sql`
      SELECT run_id AS "runId", compacted, finished_at AS "finishedAt" FROM runs
      WHERE ${among} AND compacted >= 0 AND finished_at < ${finishedBefore}
        AND state NOT IN ('queued', 'running', 'suspended')
      ORDER BY finished_at, run_id LIMIT ${limit} ${lock}`.pipe(rows("runs to compact"))

  /** The same without a change, also among runs that no index has yet. */
  const look = (query: CompactQuery) =>
    Effect.map(
      Effect.all(endedPlaces(sql, unlisted).map((place) => find(query, place, sql``))),
      (found) =>
        found.flat()
          .sort((a, b) =>
            Number(a["finishedAt"]) - Number(b["finishedAt"]) || (String(a["runId"]) < String(b["runId"]) ? -1 : 1)
          )
          .slice(0, query.limit)
    )

  const read = (runId: string, after: number, limit: number) =>
    sql`
      SELECT ${sql.literal(Rows.eventColumns)} FROM run_events WHERE run_id = ${runId} AND last_seq > ${after}
      ORDER BY last_seq LIMIT ${limit}`.pipe(rows(`events of run ${runId}`))

  const replace = (runId: string, { body, rows }: Group) => {
    if (body === undefined) return Effect.succeed([])
    const { attempt, first, last, ts } = spanOf(rows)
    return Effect.andThen(
      sql`DELETE FROM run_events WHERE run_id = ${runId} AND last_seq >= ${first} AND last_seq <= ${last}`,
      sql`
        INSERT INTO run_events (run_id, last_seq, first_seq, attempt, ts, body)
        VALUES (${runId}, ${last}, ${first}, ${attempt}, ${ts}, ${body})`
    )
  }

  const compact = Effect.fnUntraced(function*(query: CompactQuery, dryRun: boolean) {
    const found: Array<Compacted> = []
    let left = rowsAtOnce
    if (!dryRun && unlisted !== undefined) yield* unlisted.listEnded
    for (const run of yield* dryRun ? look(query) : find(query, isListed(sql, unlisted), lock)) {
      const runId = String(run["runId"])
      for (let after: number | undefined = Number(run["compacted"]); after !== undefined;) {
        const seen: number = after
        const page: ReadonlyArray<Row> = yield* read(runId, seen, left)
        // A damaged journal is not changed.
        const groups = Result.getOrElse(Result.try(() => grouped(runId, page, seen)), () => undefined)
        found.push({ runId, before: page.length, after: groups?.length ?? page.length })
        after = page.length < left || groups === undefined ? undefined : spanOf(page).last
        if (dryRun) continue
        for (const group of groups ?? []) yield* replace(runId, group)
        yield* sql`UPDATE runs SET compacted = ${after ?? -1} WHERE run_id = ${runId}`
        left -= page.length
        if (left <= 0) return found
      }
    }
    return found
  })

  return ({ dryRun = false, ...query }) =>
    (dryRun ? compact(query, true) : sql.withTransaction(compact(query, false))).pipe(unavailable("compact runs"))
}

/** Rows that are merged into one with this body; without a body a row stays unchanged. */
interface Group {
  readonly rows: ReadonlyArray<Row>
  readonly body: string | undefined
}

const grouped = (runId: string, page: ReadonlyArray<Row>, after: number): ReadonlyArray<Group> => {
  const groups: Array<Array<Row>> = []
  let [events, characters, last] = [Infinity, Infinity, after]
  for (const row of page) {
    if (Number(row["firstSeq"]) !== last + 1) throw new Error(`event ${last + 1} is missing`)
    last = Number(row["lastSeq"])
    const [count, length] = [Number(row["lastSeq"]) - Number(row["firstSeq"]) + 1, String(row["body"]).length]
    if (events + count > chunkSize || characters + length > charactersInRow) {
      groups.push([])
      ;[events, characters] = [0, 0]
    }
    groups.at(-1)?.push(row)
    events += count
    characters += length
  }
  return groups.map((rows) => {
    const body = Rows.packedBody(runId, rows)
    const characters = rows.reduce((sum, row) => sum + String(row["body"]).length, 0)
    return rows.length > 1 || body.length < characters ? { rows, body } : { rows, body: undefined }
  })
}

const spanOf = (rows: ReadonlyArray<Row>) => ({
  first: Number(rows[0]?.["firstSeq"]),
  last: Number(rows.at(-1)?.["lastSeq"]),
  attempt: Number(rows.at(-1)?.["attempt"]),
  ts: Number(rows.at(-1)?.["ts"])
})
