// Lists of runs and of waiting questions, from sorted sets in pages. RedisRunStore uses it.
import { approversOf } from "@fastagentic/core/run/Interrupt"
import { finalStates, matchesFilter, type RunRecord, type RunState } from "@fastagentic/core/run/RunRecord"
import type { RunSummary } from "@fastagentic/core/store/RecordFields"
import {
  mostCounted,
  newestFirst,
  type Query,
  recentPage,
  type RecentQuery,
  type RunStore,
  type ScanQuery
} from "@fastagentic/core/store/RunStore"
import { Effect } from "effect"
import type { RedisClient } from "../RedisClient.ts"
import * as Keys from "./keys.ts"
import * as Reads from "./reads.ts"
import * as ReadScripts from "./readScripts.ts"
import * as Values from "./values.ts"

/** The states in which a run is not ended. */
const openStates = ["queued", "running", "suspended"] as const satisfies ReadonlyArray<RunState>

/** How many runs a scan reads at once. */
const scanned = 500

export const byId = (a: Pick<RunRecord, "runId">, b: Pick<RunRecord, "runId">) => a.runId < b.runId ? -1 : 1

export const makeLists = (
  { prefix, redis }: RedisClient["Service"]
): Pick<RunStore["Service"], "list" | "pending" | "recent" | "scan" | "summaries"> => {
  const collect = Reads.makeCollect(Values.toRecord)
  const collectSummaries = Reads.makeCollect(Values.toSummary)
  const evalNamed = redis.eval(ReadScripts.named)
  const evalPending = redis.eval(ReadScripts.pending)
  const evalPage = redis.eval(ReadScripts.page)
  const evalLastEnded = redis.eval(ReadScripts.lastEnded)

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

  return {
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
    })
  }
}
