// Runs by their last change, for the runtime. The stores know the order and the count; a page ends early once it is large.
import { Effect } from "effect"
import * as Authorization from "../../door/Authorization.ts"
import type { Caller } from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import { asRunError } from "../../run/internal/runErrors.ts"
import { changedAt, type RunRecord } from "../../run/RunRecord.ts"
import { makeHandle } from "../../runtime/internal/runHandle.ts"
import type { RunSupervisor } from "../../runtime/internal/runSupervisor.ts"
import { isSignal } from "../../runtime/internal/signals.ts"
import { mostCounted, newestFirst, type Recent, type RecentQuery } from "../../store/RunStore.ts"
import type { RecentHandles, RecentRequest, RunHandle } from "../Runtime.ts"
import { makePageSize } from "./pages.ts"

/** How many waiting runs are read at most to tell those that wait for a permission from the others. */
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
    const { before: _before, ...all } = query
    const waiting = yield* find({ ...all, phase: "waiting", limit: waitingLimit })
    let total = 0
    let more = false
    for (const { runId } of waiting.runs) {
      const run = yield* read(runId)
      if (run === undefined || (yield* asksFor(run)) !== asks) continue
      total++
      if (before !== undefined && newestFirst(before, placeOf(run)) >= 0) continue
      if (items.length < limit && !size.isFull()) add(run)
      else more = true
    }
    const last = items.at(-1)
    return yield* seen({ items, total, next: more && last !== undefined ? placeOf(last.run) : undefined })
  }) satisfies (caller: Caller, request: RecentRequest) => Effect.Effect<RecentHandles, unknown>
}

const placeOf = (run: RunRecord): Recent => ({ runId: run.runId, changedAt: changedAt(run) })
