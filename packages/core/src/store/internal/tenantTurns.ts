// The order of a line: the memory store and the Redis store sort what is due with it, and the SQL stores say the same in SQL.
import type { RunRecord } from "../../run/RunRecord.ts"

type Waiting = Pick<RunRecord, "priority" | "runId" | "tenant">

/** Sorts the runs of one tenant: the highest priority first, of the same priority the oldest. */
const byPriority = (a: Waiting, b: Waiting) => b.priority - a.priority || (a.runId < b.runId ? -1 : 1)

/** The first run of every tenant, then the second of every tenant, and so on; in each of these turns the oldest first. */
export const inTenantTurns = <Run extends Waiting>(runs: ReadonlyArray<Run>): ReadonlyArray<Run> => {
  const turns = new Map<string, number>()
  return [...runs].sort(byPriority)
    .map((run) => {
      const turn = turns.get(run.tenant) ?? 0
      turns.set(run.tenant, turn + 1)
      return { run, turn }
    })
    .sort((a, b) => a.turn - b.turn || (a.run.runId < b.run.runId ? -1 : 1))
    .map(({ run }) => run)
}
