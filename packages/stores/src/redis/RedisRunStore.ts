/**
 * Runs in Redis: one script for each batch of writes.
 *
 * @since 0.1.0
 */
import * as Timings from "@fastagentic/core/base/Timings"
import { approversOf } from "@fastagentic/core/run/Interrupt"
import { StoreUnavailable } from "@fastagentic/core/run/RunError"
import { finalStates, isFinal, matchesFilter, type RunRecord, type RunState } from "@fastagentic/core/run/RunRecord"
import type { RunSummary } from "@fastagentic/core/store/RecordFields"
import {
  inTenantTurns,
  mostCounted,
  newestFirst,
  type Query,
  recentPage,
  type RecentQuery,
  type RemoveQuery,
  RunStore,
  type ScanQuery,
  type Write,
  type Written
} from "@fastagentic/core/store/RunStore"
import { Array as Arr, Duration, Effect, Layer, Result, type Scope } from "effect"
import type { RedisError } from "effect/persistence/Redis"
import * as CompactScript from "./internal/compactScript.ts"
import * as Keys from "./internal/keys.ts"
import { holdLease } from "./internal/lease.ts"
import * as Reads from "./internal/reads.ts"
import * as ReadScripts from "./internal/readScripts.ts"
import { reindex } from "./internal/reindex.ts"
import * as RemoveScript from "./internal/removeScript.ts"
import { makeThreads } from "./internal/threads.ts"
import * as Values from "./internal/values.ts"
import * as Writes from "./internal/writes.ts"
import * as WriteScript from "./internal/writeScript.ts"
import * as RedisClient from "./RedisClient.ts"

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
 * A run store on a given `RedisClient`.
 *
 * **Details**
 *
 * A batch is one script, and Redis runs one script at a time, so that a batch is atomic. With each commit the script
 * publishes `"<run id> <seq>"` on the channel `<prefix>changes`.
 *
 * A journal is a list; the index of an event in it gives its number. Runs are listed from sorted sets, by parent,
 * thread, state, owner, agent or tenant: the first of these that a query names.
 *
 * `unfinished` are running runs that no other living node owns: their node is this one, or its lease has ended. A node
 * owns a run from the commit that sets the attempt. After a time in which Redis could not be reached, the other nodes
 * have one lease to come back before their runs are claimed.
 *
 * Waiting runs are indexed by the time that they wait for. `due` moves due runs to indexes by priority, one for each
 * tenant, and so never reads runs that are not due. `remove` starts with the runs that ended first.
 *
 * **Gotchas**
 *
 * After `StoreUnavailable` a write may have been committed all the same: the connection can be lost before the answer.
 *
 * A run that was written by a version without limits, timers and retention is limited, due and removable from its next
 * change of state on, and its steps have the number 0. A run that had ended before that version is not compacted.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options = {}
): Effect.Effect<RunStore["Service"], RedisError, RedisClient.RedisClient | Scope.Scope> =>
  Effect.gen(function*() {
    const client = yield* RedisClient.RedisClient
    const { prefix, redis } = client
    const { canTakeOver, node } = yield* holdLease(
      client,
      Duration.fromInputUnsafe(options.lease ?? Timings.leaseMillis)
    )
    yield* reindex(client)
    const collect = Reads.makeCollect(Values.toRecord)
    const collectSummaries = Reads.makeCollect(Values.toSummary)
    const evalNamed = redis.eval(ReadScripts.named)
    const evalPending = redis.eval(ReadScripts.pending)
    const evalWrite = redis.eval(WriteScript.write)
    const evalPage = redis.eval(ReadScripts.page)
    const evalDue = redis.eval(ReadScripts.due)
    const evalOverdue = redis.eval(ReadScripts.overdue)
    const evalEnded = redis.eval(ReadScripts.ended)
    const evalLastEnded = redis.eval(ReadScripts.lastEnded)
    const evalRemove = redis.eval(RemoveScript.remove)
    const evalFacts = redis.eval(ReadScripts.facts)
    const evalRemoveFacts = redis.eval(RemoveScript.removeFacts)
    const evalCompact = redis.eval(CompactScript.compact)

    const write = Effect.fnUntraced(function*(writes: ReadonlyArray<Write>) {
      const encoded = writes.map((write) => Result.try(() => Writes.argumentsOf(prefix, node, write)))
      const batch = encoded.flatMap((one) => Result.isSuccess(one) ? one.success : [])
      const replies = batch.length === 0
        ? []
        : yield* Reads.answer("write", Writes.decodeAnswers)(evalWrite(prefix, batch))
      const answers = replies.values()
      return yield* Effect.forEach(writes, (write, index) => {
        const one = encoded[index]
        return one === undefined || Result.isFailure(one)
          ? notKept(write, one?.failure)
          : toWritten(write, answers.next().value ?? [])
      })
    })

    const get = (runId: string) =>
      redis.send("HGETALL", `${prefix}run:${runId}`).pipe(
        Reads.part(runId, "record", (fields) => Values.isEmpty(fields) ? undefined : Values.toRecord(runId, fields))
      )

    /** A run that the query names, if it may be removed. */
    const ended = (runId: string, { exceptTenants, finishedBefore, states, tenant }: RemoveQuery) =>
      get(runId).pipe(
        Effect.catchTag("JournalDamaged", () => Effect.succeed(undefined)),
        Effect.map((run) =>
          run !== undefined && isFinal(run.state) && states.includes(run.state) &&
            (tenant === undefined || run.tenant === tenant) && exceptTenants?.includes(run.tenant) !== true &&
            (run.finishedAt ?? Infinity) < finishedBefore
            ? [run]
            : []
        )
      )

    /** The runs that ended before a time, the first to end first. */
    const firstEnded = ({ exceptTenants = [], finishedBefore, limit, states, tenant }: RemoveQuery) =>
      Effect.map(
        Effect.forEach(new Set(states.filter(isFinal)), (state) =>
          collect(
            "runs to remove",
            { first: "0", limit },
            (at, limit) =>
              evalEnded(prefix, [
                Keys.finishedIndex(prefix, state, tenant),
                `${finishedBefore}`,
                at,
                `${limit}`,
                ...Keys.list(exceptTenants.map((tenant) => JSON.stringify(tenant)))
              ])
          )),
        (found) => found.flat().sort((a, b) => (a.finishedAt ?? 0) - (b.finishedAt ?? 0) || byId(a, b))
      )

    const firstOf = ({ before, limit }: Query) => ({ first: before === undefined ? "+" : `(${before}`, limit })

    const listPage = (query: Query, fields: ReadonlyArray<string>) => (at: string, limit: number) =>
      evalPage(prefix, [
        ...Keys.list(Keys.indexesFor(prefix, query)),
        "newest",
        at,
        `${limit}`,
        "",
        "all",
        ...Keys.filtersOf(query),
        ...Keys.list(fields)
      ])

    /** All runs that the filters of a list by the last change leave: those of a thread, or of a state that does not last. */
    const allOf = Effect.fnUntraced(function*(
      { agent, kind, owner, tenant, threadId }: RecentQuery,
      of: Pick<Query, "state"> = {}
    ) {
      const filter = {
        tenant,
        ...of,
        ...(owner === undefined ? {} : { owner }),
        ...(agent === undefined ? {} : { agent }),
        ...(kind === undefined ? {} : { kind }),
        ...(threadId === undefined ? {} : { threadId })
      }
      const all: Array<RunSummary> = []
      for (let more = true, before: string | undefined; more; before = all.at(-1)?.runId) {
        const page: Query = { ...filter, limit: scanned, ...(before === undefined ? {} : { before }) }
        const found = yield* collectSummaries("recent runs", firstOf(page), listPage(page, Values.summaryFields))
        all.push(...found)
        more = found.length === scanned
      }
      return all
    })

    const lastEnded = ({ before, limit, since, ...query }: RecentQuery, states: ReadonlyArray<RunState>) =>
      Reads.answer("recent runs", Values.toEnded)(evalLastEnded(prefix, [
        before === undefined ? "+inf" : `${before.changedAt}`,
        before === undefined ? "" : before.runId,
        since === undefined ? "-inf" : `${since}`,
        `${limit}`,
        `${mostCounted}`,
        query.agent === undefined ? "" : Keys.agentIndex(prefix, query.tenant, query.agent),
        ...Keys.list(Keys.endedIndexes(prefix, query, states))
      ]))

    const running = (whose: "orphans" | "own" | "others") =>
      collect(
        "unfinished runs",
        { first: "-", limit: Number.MAX_SAFE_INTEGER },
        (at, limit) =>
          evalPage(prefix, [
            ...Keys.list([`${prefix}unfinished`]),
            "oldest",
            at,
            `${limit}`,
            JSON.stringify(node),
            whose,
            ...Keys.list(["state", JSON.stringify("running")]),
            ...Keys.list([])
          ])
      )

    /** Events of a compacted journal. */
    const packedEvents = (runId: string, after: number, limit: number) => {
      const { first, last } = Values.chunksWith(after, limit)
      return redis.send("LRANGE", `${prefix}packed:${runId}`, `${first}`, `${last}`).pipe(
        Reads.part(runId, "events", (chunks) => Values.toPackedEvents(runId, chunks, after, limit))
      )
    }

    /** The indexes of these states; every tenant has one for each state. */
    const indexesOf = Effect.fnUntraced(function*(states: ReadonlyArray<RunState>) {
      const indexes = new Set<string>()
      for (const state of new Set(states)) {
        let cursor = "0"
        do {
          const { found, next } = yield* Reads.answer("scan runs", Values.toScan)(
            redis.send("SCAN", cursor, "MATCH", Keys.stateIndexes(prefix, state), "COUNT", "1000")
          )
          for (const index of found) indexes.add(index)
          cursor = next
        } while (cursor !== "0")
      }
      return indexes
    })

    const scan = Effect.fnUntraced(function*({ agent, before, except = [], limit, states }: ScanQuery) {
      const found: Array<RunRecord> = []
      for (const index of yield* indexesOf(states)) {
        let [first, more, taken] = [before === undefined ? "+" : `(${before}`, true, 0]
        while (more && taken < limit) {
          const page = yield* collect(
            "scan runs",
            { first, limit: scanned },
            (at, limit) =>
              evalPage(prefix, [
                ...Keys.list([index]),
                "newest",
                at,
                `${limit}`,
                "",
                "all",
                ...Keys.list([]),
                ...Keys.list([])
              ])
          )
          const wanted = page.filter((run) =>
            (agent === undefined || run.agent === agent) &&
            (run.waitsFor === "migration" || !except.includes(run.fingerprint))
          )
          taken += wanted.length
          found.push(...wanted)
          more = page.length === scanned
          first = `(${page.at(-1)?.runId}`
        }
      }
      return found.sort((a, b) => byId(b, a)).slice(0, limit)
    })

    return RunStore.of({
      identity: Effect.andThen(
        redis.send("SET", `${prefix}identity`, node, "NX"),
        redis.send("GET", `${prefix}identity`)
      ).pipe(Reads.answer("identity of the store", String)),
      bind: (app) =>
        Effect.andThen(
          redis.send("SET", `${prefix}app`, app, "NX"),
          redis.send("GET", `${prefix}app`)
        ).pipe(Reads.answer("app of the store", String)),
      app: redis.send("GET", `${prefix}app`).pipe(
        Reads.answer("app of the store", (reply) => reply === null ? undefined : String(reply))
      ),
      write,
      facts: ({ before, limit }) =>
        Reads.answer("facts that wait", Values.toFacts)(evalFacts(prefix, [`${before}`, `${limit}`])),
      removeFacts: (ids) =>
        Reads.answer("remove facts", (reply) => reply)(evalRemoveFacts(prefix, ids)).pipe(Effect.asVoid),
      threads: makeThreads(client),
      get,
      scan,

      list: (query) => collect("list runs", firstOf(query), listPage(query, [])),

      summaries: ({ runIds, ...query }) =>
        runIds === undefined
          ? collectSummaries("list runs", firstOf(query), listPage(query, Values.summaryFields))
          : Effect.map(
            collectSummaries(
              "list runs",
              { first: "+", limit: runIds.length },
              () => evalNamed(prefix, [...Keys.list(runIds), ...Keys.list(Values.summaryFields)])
            ),
            (runs) =>
              runs.filter((run) =>
                run.tenant === query.tenant && (query.owner === undefined || run.owner === query.owner) &&
                matchesFilter(run, query)
              ).sort((a, b) => byId(b, a)).slice(0, query.limit)
          ),

      recent: Effect.fnUntraced(function*(query) {
        // A thread has few runs.
        if (query.threadId !== undefined) return recentPage(yield* allOf(query), query)
        const { phase } = query
        const ends = phase === undefined ? finalStates : finalStates.filter((state) => state === phase)
        const states = phase !== undefined && ends.length > 0 ? [] : openStates
        const open = yield* Effect.forEach(states, (state) => allOf(query, { state }))
        const pages = [recentPage(open.flat(), query), yield* lastEnded(query, ends)]
        return {
          runs: pages.flatMap(({ runs }) => runs).sort(newestFirst).slice(0, query.limit),
          total: Math.min(pages.reduce((total, page) => total + page.total, 0), mostCounted)
        }
      }),

      pending: Effect.fnUntraced(function*({ before, decides, limit, owner, requester, tenant }) {
        const operation = "pending interrupts"
        const known = yield* Reads.answer(operation, Values.toRunIds)(
          redis.send("SMEMBERS", `${prefix}audiences:${JSON.stringify(tenant)}`)
        )
        const found = yield* Effect.forEach(known.map(Values.toText), (audience) => {
          const approvers = approversOf(audience)
          if (approvers === undefined ? audience !== "" : !decides(approvers.scopes)) return Effect.succeed([])
          const index = Keys.pendingIndex(prefix, tenant, audience, audience === "" ? owner : undefined)
          const except = approvers?.notRequester === true ? JSON.stringify(requester) : ""
          return Reads.answer(operation, Values.toRunIds)(
            evalPending(prefix, [index, before === undefined ? "+" : `(${before}`, `${limit}`, except])
          )
        })
        return [...new Set(found.flat())].sort().reverse().slice(0, limit)
      }),

      events: (runId, after, limit) =>
        redis.send("LRANGE", `${prefix}events:${runId}`, `${after}`, `${after + Math.max(limit, 1) - 1}`).pipe(
          Reads.part(runId, "events", (events) => Values.toEvents(runId, events, after)),
          Effect.flatMap((events) => events.length === 0 ? packedEvents(runId, after, limit) : Effect.succeed(events))
        ),

      steps: (runId) =>
        redis.send("HGETALL", `${prefix}steps:${runId}`).pipe(Reads.part(runId, "steps", Values.toSteps)),

      interrupts: (runId) =>
        redis.send("HGETALL", `${prefix}interrupts:${runId}`).pipe(
          Reads.part(runId, "interrupts", (interrupts) => Values.toInterrupts(runId, interrupts))
        ),

      unfinished: Effect.suspend(() => running(canTakeOver() ? "orphans" : "own")),

      abandoned: Effect.suspend(() => canTakeOver() ? running("others") : Effect.succeed([])),

      due: Effect.fnUntraced(function*({ agents, limit, now, within }) {
        const found = yield* Effect.forEach(new Set(agents), (agent) =>
          collect(
            "due runs",
            { first: "0", limit },
            (at, limit) =>
              evalDue(prefix, [JSON.stringify(agent), `${now}`, at, `${limit}`, ...Writes.limitsOf(within)])
          ), { concurrency: "unbounded" })
        return inTenantTurns(found.flat()).slice(0, limit)
      }),

      overdue: ({ limit, now }) =>
        collect(
          "overdue runs",
          { first: "0", limit },
          (at, limit) => evalOverdue(prefix, [`${now}`, at, `${limit}`])
        ),

      countDue: ({ agents, now }) =>
        Effect.forEach(new Set(agents), (name) => {
          const agent = JSON.stringify(name)
          return Effect.all([
            redis.send("ZCARD", `${prefix}ready:${agent}`),
            redis.send("ZCOUNT", `${prefix}wake:${agent}`, "-inf", `${now}`)
          ])
        }).pipe(
          Reads.answer(
            "count due runs",
            (counts: unknown) => [counts].flat(3).reduce((sum: number, one) => sum + Number(one), 0)
          )
        ),

      remove: Effect.fnUntraced(function*({ dryRun, runIds, ...query }) {
        const found = yield* runIds === undefined
          ? firstEnded(query)
          : Effect.map(
            Effect.forEach(runIds, (runId) => ended(runId, query), { concurrency: 16 }),
            (runs) => runs.flat()
          )
        const runs = found.slice(0, query.limit).sort(byId)
        if (dryRun === true) return runs
        const removed = yield* Effect.forEach(
          Arr.chunksOf(runs, 100),
          (chunk) =>
            Reads.answer("remove runs", Values.toRunIds)(
              evalRemove(prefix, [`${query.finishedBefore}`, ...Keys.list(chunk.map((run) => run.runId))])
            )
        )
        const gone = new Set(removed.flat())
        return runs.filter((run) => gone.has(run.runId))
      }),

      compact: Effect.fnUntraced(function*({ dryRun, finishedBefore, limit }) {
        const range = ["0", `(${finishedBefore}`, "BYSCORE", "LIMIT", "0", `${Math.min(limit, 1_000_000)}`]
        const runIds = yield* Reads.answer("runs to compact", Values.toRunIds)(
          redis.send("ZRANGE", `${prefix}uncompacted`, ...range)
        )
        return yield* Effect.forEach(runIds, (runId) =>
          redis.send("LRANGE", `${prefix}events:${runId}`, "0", "-1").pipe(
            Reads.part(runId, "events", Values.toChunks),
            Effect.catchTag("JournalDamaged", () => Effect.succeed({ before: 0, chunks: [] })),
            Effect.tap(({ before, chunks }) =>
              dryRun === true
                ? Effect.void
                : Reads.answer("compact runs", (reply) => reply)(
                  evalCompact(prefix, [runId, `${before}`, ...Keys.list(chunks)])
                )
            ),
            Effect.map(({ before, chunks }) => ({ runId, before, after: chunks.length }))
          ))
      })
    })
  })

/**
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient = (options: Options = {}): Layer.Layer<RunStore, RedisError, RedisClient.RedisClient> =>
  Layer.effect(RunStore, make(options))

/** The states in which a run is not ended. */
const openStates = ["queued", "running", "suspended"] as const satisfies ReadonlyArray<RunState>

/** How many runs a scan reads at once. */
const scanned = 500

const byId = (a: Pick<RunRecord, "runId">, b: Pick<RunRecord, "runId">) => a.runId < b.runId ? -1 : 1

// answers

const toWritten = (
  write: Write,
  [tag, first = "", ...rest]: ReadonlyArray<string>
): Effect.Effect<Written, StoreUnavailable> => {
  if (tag === "Admitted" && write._tag === "Admit") return Effect.succeed(Writes.admitted(write))
  if (tag === "Committed" && write._tag === "Commit") return Effect.succeed(Writes.committed(write, Number(first)))
  if (tag === "Refused") return Effect.succeed(Writes.refused)
  if (tag === "Attached") return another("Attached", first, rest)
  if (tag === "Busy") return another("Busy", first, rest)
  if (tag === "Damaged") return notKept(write, first)
  return Effect.fail(
    new StoreUnavailable({ operation: "write", cause: new Error("Redis gave an answer of an unknown kind") })
  )
}

/** Answers with the other run. If it cannot be read, only this write of the batch is refused. */
const another = (
  tag: "Attached" | "Busy",
  runId: string,
  fields: ReadonlyArray<string>
): Effect.Effect<Written> =>
  Reads.record(runId, fields).pipe(
    Effect.map((run): Written => ({ _tag: tag, run })),
    Effect.orElseSucceed(() => Writes.refused)
  )

/** Refuses one write that cannot be stored; the other writes of the batch are not affected. */
const notKept = (write: Write, cause: unknown): Effect.Effect<Written> =>
  Effect.logError("A write is refused because it cannot be stored", cause).pipe(
    Effect.annotateLogs({ runId: write._tag === "Admit" ? write.run.runId : write.runId }),
    Effect.as(Writes.refused)
  )
