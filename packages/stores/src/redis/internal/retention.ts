// Removing runs that have ended, the first to end first, and compacting their journals. RedisRunStore uses it.
import { isFinal } from "@fastagentic/core/run/RunRecord"
import type { RemoveQuery, RunStore } from "@fastagentic/core/store/RunStore"
import { Array as Arr, Effect } from "effect"
import type { RedisClient } from "../RedisClient.ts"
import * as CompactScript from "./compactScript.ts"
import * as Keys from "./keys.ts"
import { byId } from "./lists.ts"
import * as Reads from "./reads.ts"
import * as ReadScripts from "./readScripts.ts"
import * as RemoveScript from "./removeScript.ts"
import * as Values from "./values.ts"

export const makeRetention = (
  { prefix, redis }: RedisClient["Service"],
  get: RunStore["Service"]["get"]
): Pick<RunStore["Service"], "compact" | "remove"> => {
  const collect = Reads.makeCollect(Values.toRecord)
  const evalEnded = redis.eval(ReadScripts.ended)
  const evalRemove = redis.eval(RemoveScript.remove)
  const evalCompact = redis.eval(CompactScript.compact)

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

  return {
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
  }
}
