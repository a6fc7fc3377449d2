/**
 * Runs in a PostgreSQL database, shared by many nodes.
 *
 * @since 0.1.0
 */
import { PgClient } from "@effect/sql-pg"
import * as Timings from "@fastagentic/core/base/Timings"
import { RunStore } from "@fastagentic/core/store/RunStore"
import { Duration, Effect, Layer, type Scope } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { makeCompact } from "../sql/runCompaction.ts"
import { makeReads, refused } from "../sql/runReads.ts"
import { makeRemove } from "../sql/runRemoval.ts"
import { makeTransact } from "../sql/runTransaction.ts"
import { makeThreads } from "../sql/threads.ts"
import { makeWrite } from "./internal/batch.ts"
import { holdLease } from "./internal/lease.ts"
import { answered, withTimeout } from "./internal/withTimeout.ts"
import * as migrations from "./migrations.ts"
import { channelOf } from "./PostgresRunNotifier.ts"

/**
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * How long a node keeps its runs after it last renewed its lease, 3 seconds by default. It renews three times in that
   * time. A node that closes releases its runs at once. A longer lease suits agents that block the event loop for
   * seconds.
   */
  readonly lease?: Duration.Input | undefined
}

/**
 * A run store on a client of `@effect/sql-pg`; the tables have to exist.
 *
 * **Details**
 *
 * Writes to different runs are one statement without a transaction around it. Each further write to the same run is one
 * more statement, and all are one transaction. Deadlocks and serialization failures are retried. A call without an
 * answer after 30 seconds is cancelled and fails with `StoreUnavailable`.
 *
 * `unfinished` are runs that no other living node owns: their node is this one, or its lease has ended. A node owns a
 * run from the commit that sets the attempt. After a time in which the database could not be reached, the other nodes
 * have one lease to come back before their runs are claimed.
 *
 * **Gotchas**
 *
 * After `StoreUnavailable` a write may have been committed all the same: the connection can be lost before the answer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options = {}
): Effect.Effect<RunStore["Service"], SqlError, PgClient.PgClient | Scope.Scope> =>
  Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    const { canTakeOver, node } = yield* holdLease(sql, Duration.fromInputUnsafe(options.lease ?? Timings.leaseMillis))
    const own = sql`(node IS NULL OR node = ${node})`
    const others = sql`(node <> ${node} AND NOT EXISTS (
      SELECT FROM nodes WHERE nodes.node = runs.node AND lease_until > now()
    ))`
    const orphans = {
      all: () => canTakeOver() ? sql`(${own} OR ${others})` : own,
      others: () => canTakeOver() ? others : sql`FALSE`
    }
    const { write, writeOnce } = makeWrite(sql, node, channelOf(sql))
    const remove = makeRemove(sql, {
      among: (ids) => sql`run_id = ANY (ARRAY(SELECT json_array_elements_text(${ids}::text::json)))`,
      lock: sql`FOR UPDATE OF runs SKIP LOCKED`
    })
    const compact = makeCompact(sql, { lock: sql`FOR UPDATE SKIP LOCKED` })
    // An expression has no index. The planner would choose another one for a table that it has no statistics of yet.
    const threads = makeThreads(sql, sql`FOR SHARE`)
    const reads = makeReads(sql, { orphans, lateral: true, unindexed: (column) => `(${column} || '')` })
    return RunStore.of({
      identity: reads.identity.pipe(withTimeout("identity of the store")),
      bind: (app) => reads.bind(app).pipe(withTimeout("app of the store")),
      app: reads.app.pipe(withTimeout("app of the store")),
      threads: {
        get: (key) => threads.get(key).pipe(withTimeout("read thread")),
        list: (query) => threads.list(query).pipe(withTimeout("list threads")),
        messages: (query) => threads.messages(query).pipe(withTimeout("messages of a thread")),
        fork: (fork) => threads.fork(fork).pipe(withTimeout("fork thread")),
        remove: (key, facts) => threads.remove(key, facts).pipe(withTimeout("remove thread")),
        removeIdle: (query) => threads.removeIdle(query).pipe(withTimeout("remove idle threads"))
      },
      write: (writes) => write(writes).pipe(answered("write")),
      facts: (query) => reads.facts(query).pipe(withTimeout("facts that wait")),
      // Facts are removed in the order of their ids, so that two nodes that remove the same ones do not wait for each other.
      removeFacts: (ids) =>
        sql`
          DELETE FROM audit_outbox WHERE id IN (
            SELECT id FROM audit_outbox WHERE ${sql.in("id", ids)} ORDER BY id FOR UPDATE
          )`.pipe(answered("remove facts"), Effect.asVoid),
      get: (runId) => reads.get(runId).pipe(withTimeout(`get run ${runId}`)),
      list: (query) => reads.list(query).pipe(withTimeout("list runs")),
      summaries: (query) => reads.summaries(query).pipe(withTimeout("list runs")),
      recent: (query) => reads.recent(query).pipe(withTimeout("recent runs")),
      pending: (query) => reads.pending(query).pipe(withTimeout("pending interrupts")),
      scan: (query) => reads.scan(query).pipe(withTimeout("scan runs")),
      events: (runId, after, limit) => reads.events(runId, after, limit).pipe(withTimeout(`events of run ${runId}`)),
      steps: (runId) => reads.steps(runId).pipe(withTimeout(`steps of run ${runId}`)),
      interrupts: (runId) => reads.interrupts(runId).pipe(withTimeout(`interrupts of run ${runId}`)),
      unfinished: reads.unfinished.pipe(withTimeout("unfinished runs")),
      abandoned: reads.abandoned.pipe(withTimeout("abandoned runs")),
      due: (query) => reads.due(query).pipe(withTimeout("due runs")),
      countDue: (query) => reads.countDue(query).pipe(withTimeout("count due runs")),
      overdue: (query) => reads.overdue(query).pipe(withTimeout("overdue runs")),
      remove: (query) => remove(query).pipe(withTimeout("remove runs")),
      // A dry run locks nothing and reads everything, so it has no time limit.
      compact: (query) => query.dryRun === true ? compact(query) : compact(query).pipe(withTimeout("compact runs")),
      transactsApart: true,
      transact: makeTransact(sql, (commit) =>
        writeOnce([commit]).pipe(
          Effect.map(([written = refused]) => written),
          answered("transact")
        ))
    })
  })

/**
 * Creates the tables when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient = (
  options: Options = {}
): Layer.Layer<RunStore, MigrationError | SqlError, PgClient.PgClient | SqlClient> =>
  Layer.effect(RunStore, make(options)).pipe(Layer.provide(migrations.layer))
