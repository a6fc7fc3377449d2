// Runs by their last change, in memory: the memory store and stores without an order of their own call it.
import { changedAt, phaseOf, type RunRecord } from "../../run/RunRecord.ts"
import type { Recent, RecentPage, RecentQuery } from "../RunStore.ts"

type Run = Pick<
  RunRecord,
  | "agent"
  | "attempt"
  | "finishedAt"
  | "kind"
  | "owner"
  | "runId"
  | "state"
  | "tenant"
  | "threadId"
  | "updatedAt"
  | "waitsFor"
>

/** How many runs a list by the last change counts at most, so that its time does not grow with the runs that have ended. */
export const mostCounted = 10_000

/** The page of a query from all runs that may be of it. */
export const recentPage = (runs: ReadonlyArray<Run>, query: RecentQuery): RecentPage => {
  const { before, limit } = query
  const all = runs
    .filter((run) => matches(run, query))
    .map((run): Recent => ({ runId: run.runId, changedAt: changedAt(run) }))
    .sort(newestFirst)
  return {
    runs: all.filter((run) => before === undefined || newestFirst(before, run) < 0).slice(0, limit),
    total: Math.min(all.length, mostCounted)
  }
}

/** The order of runs by their last change; those of one millisecond are in the order of their ids. */
export const newestFirst = (a: Recent, b: Recent): number =>
  b.changedAt - a.changedAt || (a.runId === b.runId ? 0 : a.runId < b.runId ? 1 : -1)

const matches = (run: Run, { agent, kind, owner, phase, since, tenant, threadId }: RecentQuery) =>
  run.tenant === tenant && (owner === undefined || run.owner === owner) &&
  (agent === undefined || run.agent === agent) && (kind === undefined || run.kind === kind) &&
  (threadId === undefined || run.threadId === threadId) && (phase === undefined || phaseOf(run) === phase) &&
  (since === undefined || changedAt(run) >= since)
