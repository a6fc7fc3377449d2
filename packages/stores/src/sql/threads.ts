// Threads in both SQL databases: reading, forking and removing them. Turns are written by the commits of their runs.
import { JournalDamaged } from "@fastagentic/core/run/RunError"
import { Message, type Stored } from "@fastagentic/core/thread/Message"
import type { ThreadKey, ThreadRecord, ThreadStore } from "@fastagentic/core/thread/ThreadStore"
import { Effect, Result, Schema } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Row } from "effect/sql/SqlConnection"
import type { Fragment } from "effect/sql/Statement"
import { keepFacts } from "./facts.ts"
import { rows } from "./runReads.ts"
import { unavailable } from "./unavailable.ts"

const columns = `tenant, owner, thread_id AS "threadId", created_at AS "createdAt", updated_at AS "updatedAt", messages,
  forked_thread_id AS "forkedThreadId", forked_at AS "forkedAt"`

/** `lock` keeps a thread from being removed until the transaction ends, where several can be under way. */
export const makeThreads = (sql: SqlClient, lock: Fragment = sql``): ThreadStore => {
  const of = ({ owner, tenant, threadId }: ThreadKey) =>
    sql`tenant = ${tenant} AND owner = ${owner} AND thread_id = ${threadId}`

  const get = (key: ThreadKey) =>
    sql<Row>`SELECT ${sql.literal(columns)} FROM threads WHERE ${of(key)}`.pipe(
      rows("read thread"),
      Effect.map(([row]) => row === undefined ? undefined : recordOf(row))
    )

  /** The row of the thread first: a turn that is written meanwhile waits for it, and begins a new thread then. */
  const removeOne = Effect.fnUntraced(function*(key: ThreadKey, condition: Fragment = sql`TRUE`) {
    const removed = yield* sql`DELETE FROM threads WHERE ${of(key)} AND ${condition} RETURNING 1 AS removed`
    if (removed.length > 0) yield* sql`DELETE FROM thread_messages WHERE ${of(key)}`
    return removed.length
  })

  return {
    get,

    list: ({ before, limit, owner, tenant }) => {
      const filters = [sql`tenant = ${tenant}`]
      if (owner !== undefined) filters.push(sql`owner = ${owner}`)
      if (before !== undefined) {
        filters.push(
          sql`(updated_at, owner, thread_id) < (${before.updatedAt}, ${before.owner}, ${before.threadId})`
        )
      }
      return sql<Row>`
        SELECT ${sql.literal(columns)} FROM threads WHERE ${sql.and(filters)}
        ORDER BY updated_at DESC, owner DESC, thread_id DESC LIMIT ${limit}`.pipe(
        rows("list threads"),
        Effect.map((found) => found.map(recordOf))
      )
    },

    messages: ({ bytes, from, limit, order, ...key }) => {
      const direction = sql.literal(order === "oldest" ? "ASC" : "DESC")
      const bound = order === "oldest"
        ? sql`position > ${from ?? 0}`
        : sql`position < ${from ?? Number.MAX_SAFE_INTEGER}`
      // The size of what comes before a message decides whether it is a part of the page.
      return sql<Row>`
        SELECT position, run_id AS "runId", at, body FROM (
          SELECT position, run_id, at, body, SUM(size) OVER (ORDER BY position ${direction}) - size AS earlier FROM (
            SELECT position, run_id, at, body, size FROM thread_messages WHERE ${of(key)} AND ${bound}
            ORDER BY position ${direction} LIMIT ${limit}
          ) AS page
        ) AS sized WHERE earlier < ${Math.max(bytes, 1)} ORDER BY position ${direction}`.pipe(
        rows("messages of a thread"),
        Effect.flatMap(Effect.forEach((row: Row) => Effect.fromResult(messageOf(row))))
      )
    },

    fork: ({ at, facts, now, to, ...key }) =>
      Effect.gen(function*() {
        yield* sql`SELECT 1 AS found FROM threads WHERE ${of(key)} ${lock}`
        const [last] = yield* sql<Row>`
          SELECT COALESCE(
            (SELECT MIN(position) - 1 FROM thread_messages WHERE ${
          of(key)
        } AND position > ${at} AND run_id <> said.run_id),
            (SELECT messages FROM threads WHERE ${of(key)})
          ) AS last
          FROM (SELECT run_id FROM thread_messages WHERE ${of(key)} AND position = ${at}) AS said`
        if (last === undefined) return undefined
        const end = Number(last["last"])
        const copy = { ...key, threadId: to }
        const made = yield* sql`
          INSERT INTO threads
            (tenant, owner, thread_id, created_at, updated_at, messages, forked_thread_id, forked_at)
          VALUES (${key.tenant}, ${key.owner}, ${to}, ${now}, ${now}, ${end}, ${key.threadId}, ${end})
          ON CONFLICT (tenant, owner, thread_id) DO NOTHING RETURNING messages`
        if (made.length > 0) {
          yield* sql`
            INSERT INTO thread_messages (tenant, owner, thread_id, position, run_id, at, size, body)
            SELECT tenant, owner, CAST(${to} AS TEXT), position, run_id, at, size, body
            FROM thread_messages WHERE ${of(key)} AND position <= ${end}`
          yield* keepFacts(sql, facts)
        }
        return yield* get(copy)
      }).pipe(sql.withTransaction, unavailable("fork thread")),

    remove: (key, facts) =>
      removeOne(key).pipe(
        Effect.tap(() => keepFacts(sql, facts)),
        Effect.map((removed) => removed > 0),
        sql.withTransaction,
        unavailable("remove thread")
      ),

    removeIdle: ({ exceptTenants = [], limit, tenant, updatedBefore }) => {
      const filters: Array<Fragment> = [sql`updated_at < ${updatedBefore}`]
      if (tenant !== undefined) filters.push(sql`tenant = ${tenant}`)
      if (exceptTenants.length > 0) filters.push(sql`NOT ${sql.in("tenant", exceptTenants)}`)
      const idle = sql<Row>`
        SELECT ${sql.literal(columns)} FROM threads WHERE ${sql.and(filters)} AND NOT EXISTS (
          SELECT 1 FROM runs WHERE runs.tenant = threads.tenant AND runs.owner = threads.owner
            AND runs.thread_id = threads.thread_id AND state IN ('queued', 'running', 'suspended')
        ) ORDER BY updated_at LIMIT ${limit}`
      return idle.pipe(
        rows("idle threads"),
        Effect.flatMap(
          Effect.forEach((row: Row) => removeOne(recordOf(row), sql`updated_at < ${updatedBefore}`))
        ),
        Effect.map((removed) => removed.reduce((sum, one) => sum + one, 0)),
        sql.withTransaction,
        unavailable("remove idle threads")
      )
    }
  }
}

const recordOf = (row: Row): ThreadRecord => {
  const { createdAt, forkedAt, forkedThreadId, messages, owner, tenant, threadId, updatedAt } = row
  return {
    tenant: String(tenant),
    owner: String(owner),
    threadId: String(threadId),
    createdAt: Number(createdAt),
    updatedAt: Number(updatedAt),
    messages: Number(messages),
    ...(typeof forkedThreadId === "string"
      ? { forkedFrom: { threadId: forkedThreadId, at: Number(forkedAt) } }
      : {})
  }
}

const decodeMessage = Schema.decodeUnknownSync(Schema.fromJsonString(Message))

const messageOf = (row: Row): Result.Result<Stored, JournalDamaged> => {
  const runId = String(row["runId"])
  return Result.try({
    try: () => ({
      ...decodeMessage(row["body"]),
      position: Number(row["position"]),
      runId,
      at: Number(row["at"])
    }),
    catch: () => new JournalDamaged({ runId, what: `message ${String(row["position"])} of its thread` })
  })
}

/** The parameters of the rows of a turn: of each message its text and its size. Throws when a message is not JSON. */
export const bodiesOf = (messages: ReadonlyArray<Message>): ReadonlyArray<readonly [body: string, size: number]> =>
  messages.map((message) => {
    const body = JSON.stringify(message)
    return [body, body.length] as const
  })
