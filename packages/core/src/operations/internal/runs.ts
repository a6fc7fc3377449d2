// Looking at runs and cancelling them, for the runtime: every call passes the door first.
import { Effect, Struct } from "effect"
import * as Authorization from "../../door/Authorization.ts"
import type { Caller } from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import { filterText } from "../../door/internal/foreignReads.ts"
import { asRunError, notFound } from "../../run/internal/runErrors.ts"
import type { Principal } from "../../run/Principal.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import { cancelRun } from "../../runtime/internal/cancel.ts"
import { makeHandle } from "../../runtime/internal/runHandle.ts"
import type { RunSupervisor } from "../../runtime/internal/runSupervisor.ts"
import { shownText } from "../../runtime/internal/shownTexts.ts"
import type { LargeField, RunSummary } from "../../store/RecordFields.ts"
import type { ListRequest, RunHandle } from "../Runtime.ts"
import { makePageSize } from "./pages.ts"

export const makeRuns = (node: RunSupervisor, door: Door) => {
  const open = (caller: Caller, runId: string) =>
    Effect.map(
      door.run(caller, node, runId),
      ({ principal, run }): RunHandle => makeHandle(node, caller, { run, attached: true }, principal)
    )

  const get = (caller: Caller, runId: string) => Effect.map(door.run(caller, node, runId), ({ run }) => run)

  const list = Effect.fnUntraced(function*(caller: Caller, request: ListRequest) {
    const principal = yield* door.authenticate(caller)
    const { fields = [], mine = false, ...filter } = request
    const { id: owner, tenant } = principal
    const visible = mine ? { tenant, owner } : Authorization.visibleRuns(principal)
    const query = { ...filter, ...visible }
    const stores = [node.durable.store, node.ephemeral.store]
    const found = yield* asRunError(Effect.forEach(stores, (store) => store.summaries(query)))
    const summaries = found.flat().sort((a, b) => a.runId < b.runId ? 1 : -1).slice(0, request.limit)
    if (visible.owner === undefined) yield* sawRuns(caller, principal, request, summaries)
    const items = yield* withFields(summaries, fields)
    const isLast = items.length === summaries.length && items.length < request.limit
    return { items, next: isLast ? undefined : items.at(-1)?.runId }
  })

  /** All pages of a list are one read. */
  const sawRuns = (
    caller: Caller,
    principal: Principal,
    { before: _before, limit: _limit, ...filter }: ListRequest,
    found: ReadonlyArray<RunSummary>
  ) =>
    found.some(({ owner }) => owner !== principal.id)
      ? door.saw(caller, principal, "runs", filterText(filter))
      : Effect.void

  /** Adds large fields run by run and stops once the page is full. */
  const withFields = Effect.fnUntraced(function*(runs: ReadonlyArray<RunSummary>, fields: ReadonlyArray<LargeField>) {
    const items: Array<RunSummary> = []
    const size = makePageSize()
    for (const run of runs) {
      if (size.isFull()) break
      // A run that cannot be read, or was removed meanwhile, is shown without its values.
      const whole = fields.length === 0 ? undefined : yield* valuesOf(run)
      const values: Partial<Pick<RunRecord, LargeField>> = whole === undefined
        ? {}
        : Struct.pick(whole, fields.filter((field) => whole[field] !== undefined))
      size.add([run.error?.value, values.payload, values.output])
      items.push({ ...run, ...values })
    }
    return items
  })

  const valuesOf = ({ durable, runId }: RunSummary) =>
    (durable ? node.durable : node.ephemeral).store.get(runId).pipe(
      Effect.catchTag("JournalDamaged", () => Effect.undefined),
      asRunError
    )

  const settled = (caller: Caller, runId: string) => Effect.flatMap(open(caller, runId), ({ settled }) => settled)

  const follow = (caller: Caller, runId: string, options: Parameters<RunHandle["follow"]>[0]) =>
    Effect.flatMap(open(caller, runId), ({ follow }) => follow(options))

  const events = (caller: Caller, runId: string, options: Parameters<RunHandle["events"]>[0]) =>
    Effect.flatMap(open(caller, runId), ({ events }) => events(options))

  const cancel = Effect.fnUntraced(function*(caller: Caller, runId: string, reason = "cancelled by the caller") {
    const { principal, run } = yield* door.actor(caller, node, runId)
    const shown = yield* shownText(node, run, reason, "run_cancelled")
    const about = { runId, reason: shown, ...Authorization.onBehalf(principal, run) }
    const fact = node.outbox.note(door.entry(caller, principal, "cancel", `run/${runId}`, about))
    const ended = yield* asRunError(cancelRun(node, run, reason, [fact])).pipe(
      // A run that had ended already was cancelled by nobody; that somebody has tried is known.
      Effect.ensuring(node.outbox.ensure(fact))
    )
    return ended ?? (yield* Effect.fail(notFound(runId)))
  })

  return { open, get, list, await: settled, follow, events, cancel }
}
