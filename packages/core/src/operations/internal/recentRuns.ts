// Runs by their last change, for the runtime. The stores know the order and the count; a page ends early once it is large.
import { Effect } from "effect"
import * as Authorization from "../../door/Authorization.ts"
import type { Caller } from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import { asRunError } from "../../run/internal/runErrors.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import { makeHandle } from "../../runtime/internal/runHandle.ts"
import type { RunSupervisor } from "../../runtime/internal/runSupervisor.ts"
import { isSignal } from "../../runtime/internal/signals.ts"
import { mostCounted, newestFirst, type Recent, type RecentQuery } from "../../store/RunStore.ts"
import type { RecentHandles, RecentRequest, RunHandle } from "../Runtime.ts"
import { makePageSize } from "./pages.ts"

/**
 * How many waiting runs are read at most to tell those that wait for a permission from the others: for the count, and for a
 * page, which may have fewer items than its limit then and is followed by another.
 */
const waitingLimit = 1_000

export const makeRecent = (node: RunSupervisor, door: Door) => {
  const stores = [node.durable.store, node.ephemeral.store]

  const find = (query: RecentQuery) =>
    Effect.map(
      asRunError(Effect.forEach(stores, (store) => store.recent(query))),
      (pages) => ({
        runs: pages.flatMap(({ runs }) => runs).sort(newestFirst).slice(0, query.limit),
        total: Math.min(pages.reduce((total, page) => total + page.total, 0), mostCounted)
      })
    )

  /** Lists leave out runs that cannot be read, and those that were removed meanwhile. */
  const read = (runId: string) =>
    asRunError(node.get(runId).pipe(Effect.catchTag("JournalDamaged", () => Effect.undefined)))

  const asksFor = Effect.fnUntraced(function*(run: RunRecord) {
    if (run.waitsFor !== "interrupt") return run.waitsFor === "principal" ? "permission" : "input"
    const rows = yield* asRunError(node.writerOf(run).store.interrupts(run.runId))
    const open = rows.filter((row) => row.state === "open" && !isSignal(row))
    return open.every(({ kind }) => kind === "approval") ? "permission" : "input"
  })

  return Effect.fnUntraced(function*(caller: Caller, { asks, ...request }: RecentRequest) {
    const principal = yield* door.authenticate(caller)
    const query: RecentQuery = { ...request, ...Authorization.visibleRuns(principal) }
    const { before, limit } = query
    const items: Array<RunHandle> = []
    const size = makePageSize()
    const add = (run: RunRecord) => {
      size.add([run.payload, run.output])
      items.push(makeHandle(node, caller, { run, attached: true }, principal))
    }
    const seen = (page: RecentHandles) =>
      Effect.as(
        page.items.some(({ run }) => run.owner !== principal.id)
          ? door.saw(caller, principal, "runs", { reason: `by last change${asks === undefined ? "" : `, ${asks}`}` })
          : Effect.void,
        page
      )
    if (asks === undefined) {
      const { runs, total } = yield* find(query)
      let last: Recent | undefined
      for (const found of runs) {
        if (size.isFull()) return yield* seen({ items, total, next: last })
        const run = yield* read(found.runId)
        if (run !== undefined) add(run)
        last = found
      }
      return yield* seen({ items, total, next: runs.length < limit ? undefined : last })
    }
    const { before: _before, ...all } = { ...query, phase: "waiting" as const, limit: waitingLimit }
    const matching = Effect.fnUntraced(function*(runId: string) {
      const run = yield* read(runId)
      return run === undefined || (yield* asksFor(run)) !== asks ? undefined : run
    })
    const newest = yield* find(all)
    const counted = new Map<string, RunRecord | undefined>()
    for (const { runId } of newest.runs) counted.set(runId, yield* matching(runId))
    const total = [...counted.values()].filter((run) => run !== undefined).length
    const waiting = before === undefined ? newest : yield* find({ ...all, before })
    let last: Recent | undefined
    for (const found of waiting.runs) {
      const run = counted.has(found.runId) ? counted.get(found.runId) : yield* matching(found.runId)
      if (run !== undefined) {
        if (items.length === limit || size.isFull()) return yield* seen({ items, total, next: last })
        add(run)
      }
      last = found
    }
    return yield* seen({ items, total, next: waiting.runs.length < waitingLimit ? undefined : last })
  }) satisfies (caller: Caller, request: RecentRequest) => Effect.Effect<RecentHandles, unknown>
}
