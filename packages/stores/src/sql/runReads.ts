// The reading half of a run store for both SQL databases, with the answers that both writers share.
import { approversOf } from "@fastagentic/core/run/Interrupt"
import { JournalDamaged, StoreUnavailable } from "@fastagentic/core/run/RunError"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import type { RunSummary } from "@fastagentic/core/store/RecordFields"
import { mostCounted, type RunStore, type SummaryQuery, type Written } from "@fastagentic/core/store/RunStore"
import { Effect, Predicate, Result } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import type { Row } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import { countDue, dueTurns } from "./dueTurns.ts"
import { listStatement, page } from "./listStatement.ts"
import { selectAudiences } from "./pendingInterrupts.ts"
import { recentStatements } from "./recentRuns.ts"
import * as Rows from "./runRows.ts"
import { unavailable } from "./unavailable.ts"
import type { Unlisted } from "./unlisted.ts"

/** Conditions on `runs`: runs without a living owner, and those of them whose owner was another node. */
export interface Orphans {
  readonly all: () => Fragment
  readonly others: () => Fragment
}

/** Which store this is. */
export const identityOf = (sql: SqlClient.SqlClient): Effect.Effect<string, StoreUnavailable> =>
  sql`SELECT id FROM store_identity`.pipe(
    rows("identity of the store"),
    Effect.flatMap(([row]) =>
      row === undefined
        ? Effect.fail(new StoreUnavailable({ operation: "identity of the store: there is none" }))
        : Effect.succeed(String(row["id"]))
    )
  )

/**
 * All reads of a run store, in SQL that SQLite and PostgreSQL share. `unindexed` makes a column that the planner finds no
 * index for; `lateral` says whether the database has lateral joins, and `unlisted` where the runs are that no index of a
 * list has yet.
 */
export const makeReads = (
  sql: SqlClient.SqlClient,
  {
    lateral = false,
    orphans = { all: () => sql`TRUE`, others: () => sql`FALSE` },
    unindexed = (column) => column,
    unlisted
  }: {
    readonly orphans?: Orphans
    readonly lateral?: boolean
    readonly unindexed?: (column: string) => string
    readonly unlisted?: Unlisted
  } = {}
): Omit<RunStore["Service"], "write" | "removeFacts" | "remove" | "compact" | "transact" | "threads"> => {
  const records = selectRecords(sql)
  const summaries = sql`SELECT ${sql.literal(Rows.summaryColumns)} FROM runs LEFT JOIN run_values USING (run_id)`
  const known = new Set<string>()
  const list = makeList(recordOf, known)

  const listWith = <A>(
    select: Fragment,
    decode: (row: Row) => Result.Result<A, JournalDamaged>,
    query: SummaryQuery
  ) =>
    query.runIds?.length === 0 ? Effect.succeed([]) : makeList(decode, known)(
      query.limit,
      (limit, offset) =>
        listStatement(sql, { ...query, select, limit, offset }, { unindexed, unlisted }).pipe(rows("list runs"))
    )

  const running = (operation: string, condition: () => Fragment) =>
    list(
      Infinity,
      () =>
        sql`${records} WHERE run_id IN (SELECT run_id FROM runs WHERE state = 'running') AND ${condition()} ORDER BY run_id`
          .pipe(rows(operation))
    )

  return {
    identity: identityOf(sql),

    // One of the nodes that start together writes; a bound store is only read.
    bind: (app) =>
      sql`UPDATE store_identity SET app = ${app} WHERE app IS NULL`.pipe(
        Effect.andThen(sql`SELECT app FROM store_identity`),
        rows("app of the store"),
        Effect.map(([row]) => String(row?.["app"]))
      ),

    app: sql`SELECT app FROM store_identity WHERE app IS NOT NULL`.pipe(
      rows("app of the store"),
      Effect.map(([row]) => row === undefined ? undefined : String(row["app"]))
    ),

    facts: ({ before, limit }) =>
      sql`SELECT id, at, body FROM audit_outbox WHERE at < ${before} ORDER BY at, id LIMIT ${limit}`.pipe(
        rows("facts that wait"),
        Effect.map((found) => found.map(({ at, body, id }) => ({ id: String(id), at: Number(at), body: String(body) })))
      ),

    get: (runId) =>
      sql`${records} WHERE run_id = ${runId}`.pipe(
        rows(`get run ${runId}`),
        Effect.flatMap(([row]) => row === undefined ? Effect.undefined : Effect.fromResult(recordOf(row)))
      ),

    list: (query) => listWith(records, recordOf, query),

    summaries: (query) => listWith(summaries, summaryOf, query),

    recent: (query) => {
      const { count, page } = recentStatements(sql, query, { unindexed, unlisted })
      const found = rows("recent runs")(page)
      const counted = rows("count recent runs")(count)
      return Effect.map(Effect.all([found, counted]), ([found, [row]]) => ({
        runs: found.map(({ changedAt, runId }) => ({ runId: String(runId), changedAt: Number(changedAt) })),
        total: Math.min(Number(row?.["total"] ?? 0), mostCounted)
      }))
    },

    pending: Effect.fnUntraced(function*(query) {
      const { limit, owner, requester, tenant } = query
      const before = query.before === undefined ? sql`TRUE` : sql`run_id < ${query.before}`
      const idsWhere = (condition: Fragment) =>
        sql`
          SELECT DISTINCT run_id AS "runId" FROM pending_interrupts
          WHERE tenant = ${tenant} AND ${condition} AND ${before} ORDER BY run_id DESC LIMIT ${limit}`.pipe(
          rows("pending interrupts")
        )
      const audiences = yield* selectAudiences(sql, tenant).pipe(rows("pending interrupts"))
      const conditions = audiences.flatMap((row): ReadonlyArray<Fragment> => {
        const audience = String(row["audience"])
        // The empty audience is a literal, so that the planner uses its partial index.
        if (audience === "") return [owner === undefined ? sql`audience = ''` : sql`audience = '' AND owner = ${owner}`]
        const approvers = approversOf(audience)
        if (approvers === undefined || !query.decides(approvers.scopes)) return []
        const all = sql`audience = ${audience}`
        return [approvers.notRequester ? sql`${all} AND owner <> ${requester}` : all]
      })
      const found = yield* Effect.forEach(conditions, idsWhere)
      return [...new Set(found.flat().map((row) => String(row["runId"])))].sort().reverse().slice(0, limit)
    }),

    scan: ({ agent, before, except = [], limit, states }) => {
      if (states.length === 0) return Effect.succeed([])
      // The states are literals, so that the planner uses the partial index of a state.
      const filters: Array<Fragment> = [sql.or(states.map((state) => sql`state = ${sql.literal(`'${state}'`)}`))]
      if (agent !== undefined) filters.push(sql`agent = ${agent}`)
      if (except.length > 0) filters.push(sql`(NOT ${sql.in("fingerprint", except)} OR waits_for = 'migration')`)
      if (before !== undefined) filters.push(sql`run_id < ${before}`)
      return list(
        limit,
        (limit, offset) =>
          sql`${records} WHERE ${sql.and(filters)} ORDER BY run_id DESC ${page(sql, limit, offset)}`.pipe(
            rows("scan runs")
          )
      )
    },

    // Reads whole rows up to the one that reaches the limit; a split row would be read again for the next page.
    events: (runId, after, limit) =>
      sql`
        SELECT ${sql.literal(Rows.eventColumns)} FROM run_events
        WHERE run_id = ${runId} AND last_seq > ${after} AND last_seq <= COALESCE(
          (SELECT MIN(last_seq) FROM run_events WHERE run_id = ${runId} AND last_seq >= ${after + Math.max(limit, 1)}),
          ${Number.MAX_SAFE_INTEGER}
        )
        ORDER BY last_seq`.pipe(
        rows(`events of run ${runId}`),
        Effect.flatMap((rows) =>
          Effect.fromResult(decoded(runId, `events after ${after}`, () => Rows.toEvents(runId, rows, after)))
        )
      ),

    steps: (runId) =>
      sql`SELECT name, value, seq FROM run_steps WHERE run_id = ${runId} ORDER BY name`.pipe(
        rows(`steps of run ${runId}`),
        Effect.flatMap(Effect.forEach((row: Row) =>
          Effect.fromResult(decoded(runId, `step ${String(row["name"])}`, () => Rows.toStep(row)))
        ))
      ),

    interrupts: (runId) =>
      sql`
        SELECT ${sql.literal(Rows.interruptColumns)} FROM interrupts
        WHERE run_id = ${runId} ORDER BY created_at, id`.pipe(
        rows(`interrupts of run ${runId}`),
        Effect.flatMap(Effect.forEach((row: Row) =>
          Effect.fromResult(decoded(runId, `interrupt ${String(row["id"])}`, () => Rows.toInterrupt(runId, row)))
        ))
      ),

    // Running runs, and due runs below, are found by an index alone, however many runs there are.
    unfinished: running("unfinished runs", orphans.all),

    abandoned: running("abandoned runs", orphans.others),

    due: ({ agents, limit, now, within = {} }) =>
      agents.length === 0 ?
        Effect.succeed([]) :
        list(limit, (limit, offset) =>
          sql`SELECT ${sql.literal(Rows.recordColumns)} FROM (
          ${dueTurns(sql, { agents, now, within, limit, offset, lateral })}
        ) AS line JOIN runs USING (run_id) LEFT JOIN run_values USING (run_id)
        ORDER BY turn, run_id`.pipe(rows("due runs"))),

    overdue: ({ limit, now }) =>
      list(limit, (limit, offset) =>
        sql`${records} WHERE run_id IN (
          SELECT run_id FROM runs
          WHERE deadline <= ${now} AND state IN ('queued', 'suspended')
          ORDER BY deadline, run_id ${page(sql, limit, offset)}
        ) ORDER BY deadline, run_id`.pipe(rows("overdue runs"))),

    countDue: ({ agents, now }) =>
      agents.length === 0 ? Effect.succeed(0) : Effect.map(
        sql`${countDue(sql, { agents, now })}`.pipe(rows("count due runs")),
        ([counted]) => Number(counted?.["due"])
      )
  }
}

/** Selects whole records; the caller appends a condition. */
export const selectRecords = (sql: SqlClient.SqlClient): Fragment =>
  sql`SELECT ${sql.literal(Rows.recordColumns)} FROM runs LEFT JOIN run_values USING (run_id)`

/**
 * Lists records without damaged ones and reads on to replace them, so that only the last page is short. A damaged
 * record is logged once.
 */
export const makeList = <A>(
  decode: (row: Row) => Result.Result<A, JournalDamaged>,
  known: Set<string> = new Set()
) => {
  const log = ({ runId, what }: JournalDamaged) => {
    if (known.has(runId)) return Effect.void
    known.add(runId)
    return Effect.annotateLogs(Effect.logError("A run is left out of lists because it cannot be read"), { runId, what })
  }
  return Effect.fnUntraced(function*<E>(
    limit: number,
    read: (limit: number, offset: number) => Effect.Effect<ReadonlyArray<Row>, E>
  ): Effect.fn.Return<ReadonlyArray<A>, E> {
    const found: Array<A> = []
    for (let offset = 0;;) {
      const asked = limit - found.length
      const rows = yield* read(asked, offset)
      for (const row of rows) {
        const record = decode(row)
        if (Result.isSuccess(record)) found.push(record.success)
        else yield* log(record.failure)
      }
      if (rows.length < asked || found.length >= limit) return found
      offset += rows.length
    }
  })
}

/** The SQLSTATE of an error. */
export const sqlState = ({ reason: { cause } }: SqlError): string =>
  Predicate.hasProperty(cause, "code") ? String(cause.code) : ""

/** Whether a row with the same key exists: another run's, or the remains of a damaged one. */
export const isTaken = ({ reason: { _tag } }: SqlError): boolean => _tag === "UniqueViolation"

/**
 * Reads rows. A text that the database cannot store matches no row. Integers are read as bigints, so that one out of
 * range does not hide other rows.
 */
export const rows = (operation: string) => <A>(effect: Effect.Effect<ReadonlyArray<A>, SqlError>) =>
  effect.pipe(
    Effect.provideService(SqlClient.SafeIntegers, true),
    Effect.catchIf((error) => sqlState(error) === "22021", () => Effect.succeed([])),
    unavailable(operation)
  )

/** Every failure to decode a row, thrown ones included, is `JournalDamaged`. */
const decoded = <A>(runId: string, what: string, decode: () => A): Result.Result<A, JournalDamaged> =>
  Result.try({ try: decode, catch: () => new JournalDamaged({ runId, what }) })

const summaryOf = (row: Row): Result.Result<RunSummary, JournalDamaged> =>
  decoded(String(row["runId"]), "record", () => Rows.toSummary(row))

export const recordOf = (row: Row): Result.Result<RunRecord, JournalDamaged> =>
  decoded(String(row["runId"]), "record", () => Rows.toRecord(row))

// answers

export const refused: Written = { _tag: "Refused" }

/** Answers with the other run. If it cannot be read, only this write of the batch is refused. */
export const another = (tag: "Attached" | "Busy", row: Row): Effect.Effect<Written> => {
  const record = recordOf(row)
  if (Result.isSuccess(record)) return Effect.succeed({ _tag: tag, run: record.success })
  return Effect.as(
    Effect.logError("A run that holds an idempotency key or a thread cannot be read", record.failure),
    refused
  )
}

/** Refuses one write that cannot be stored; the other writes of the batch are not affected. */
export const notKept = (runId: string, cause: unknown): Effect.Effect<Written> =>
  Effect.logError("A write is refused because it cannot be stored", cause).pipe(
    Effect.annotateLogs({ runId }),
    Effect.as(refused)
  )
