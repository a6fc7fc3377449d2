/**
 * Takes a principal out of service, or ends its work, in a store: for an operator, beside running servers or without them.
 *
 * @since 0.1.0
 */
import { Clock, Effect, Option } from "effect"
import { Audit, type Entry } from "../audit/Audit.ts"
import { AuditOutbox } from "../audit/internal/auditOutbox.ts"
import { withEntry } from "../audit/internal/withEntry.ts"
import { writeDown } from "../audit/internal/writeDown.ts"
import { type Account, ApiKeyStore } from "../door/ApiKeys.ts"
import * as Caller from "../door/Caller.ts"
import { accountDisabled } from "../door/internal/authority.ts"
import { isFinal, type RunRecord } from "../run/RunRecord.ts"
import { holding } from "../runtime/internal/holdRun.ts"
import { runEntry, settles } from "../runtime/internal/runEntry.ts"
import { endingRow, isEnding, openUndos } from "../runtime/internal/undoRows.ts"
import { endOf, undoLater } from "../runtime/internal/undoSegment.ts"
import { makeMemory as makeMarks, ScheduleStore } from "../runtime/ScheduleStore.ts"
import { type Commit, type ReadError, RunStore } from "../store/RunStore.ts"
import { allCancelled, changePrincipal, madeBy } from "./internal/principalWork.ts"

/**
 * `revoke` disables the account, revokes its keys and holds its runs; `restore` enables it, and its held runs continue if
 * they may; `cancel` cancels its runs.
 *
 * @category models
 * @since 0.1.0
 */
export type Change = "revoke" | "restore" | "cancel"

/**
 * How many keys were revoked, how many schedules were paused, and how many runs were held, woken or cancelled.
 *
 * @category models
 * @since 0.1.0
 */
export interface Changed {
  readonly keys: number
  readonly schedules: number
  readonly runs: number
}

/** The reason of the entry that comes before the first change. @category constants @since 0.1.0 */
export const begun = "begun"

/** The parts of an audit entry that say what was done. @category conversions @since 0.1.0 */
export const entryOf = (id: string, change: Change, { keys, runs, schedules }: Changed) => ({
  action: change,
  target: `principal/${id}`,
  reason: `${keys} keys, ${schedules} schedules, ${runs} runs`
})

/**
 * Changes a principal in the store.
 *
 * **Details**
 *
 * A node that drives a run of the principal learns of it as of every commit of another node, and stops the run.
 *
 * @category combinators
 * @since 0.1.0
 */
export const change = Effect.fn("Principals.change")(function*(
  account: Account,
  change: Change,
  by: string
): Effect.fn.Return<Changed, ReadError, RunStore | ApiKeyStore | Audit> {
  const store = yield* RunStore
  const audit = yield* Audit
  const clock = yield* Clock.clockWith(Effect.succeed)
  const now = () => clock.currentTimeMillisUnsafe()

  const outbox = new AuditOutbox(store, audit, yield* Effect.context<never>())
  const keys = yield* ApiKeyStore
  const schedules = Option.getOrElse(yield* Effect.serviceOption(ScheduleStore), makeMarks)
  const { traceId } = Caller.make("local")

  const noted = (action: string, target: string, more: Pick<Entry, "runId" | "reason" | "onBehalfOf"> = {}): Entry => ({
    at: now(),
    tenant: account.tenant,
    principal: by,
    action,
    target,
    decision: "allowed",
    traceId,
    ...more
  })

  /** Commits a change, with its audit entry when the run ends or pauses. */
  const commit = (run: RunRecord, commit: Commit, more: ReadonlyArray<Entry> = []) =>
    Effect.suspend(() => {
      const entries = settles(commit.set) ? [runEntry(run, commit.set, commit.ts), ...more] : more
      const facts = entries.map((entry) => outbox.note(entry))
      return Effect.map(store.write([outbox.isLasting ? { ...commit, facts } : commit]), ([written]) => {
        const isCommitted = written?._tag === "Committed"
        if (isCommitted) outbox.committed(facts, outbox.isLasting)
        return isCommitted
      })
    })

  /** Writes to the run, whoever has it and whatever it does meanwhile. */
  const end = Effect.fnUntraced(function*(
    run: RunRecord,
    commitOf: (run: RunRecord) => Commit,
    more: ReadonlyArray<Entry> = []
  ) {
    let seen: RunRecord | undefined = run
    while (seen !== undefined && !isFinal(seen.state) && !(change === "revoke" && seen.waitsFor === "principal")) {
      if (yield* commit(seen, commitOf(seen), more)) return true
      seen = yield* store.get(run.runId)
    }
    return false
  })

  const baseOf = ({ attempt, runId, state }: RunRecord): Commit => ({
    _tag: "Commit",
    runId,
    attempt,
    from: [state],
    ts: now(),
    events: []
  })

  yield* writeDown(audit, noted(change, `principal/${account.id}`, { reason: begun }))
  const changed = yield* changePrincipal(account, change, {
    stores: [store],
    keys,
    now,
    revokeKey: ({ prefix }) =>
      withEntry(
        { outbox, runs: store, store: keys },
        noted("revoke", `key/${prefix}`, { onBehalfOf: account.id }),
        (facts) => keys.revoke(prefix, now(), facts)
      ),
    turn: (state) =>
      withEntry(
        { outbox, runs: store, store: keys },
        noted(state, `principal/${account.id}`),
        (facts) => state === "disable" ? keys.disable(account, now(), facts) : keys.enable(account, facts)
      ),
    // A declared schedule is known to its app alone.
    schedules: Effect.flatMap(
      store.app,
      (app) =>
        app === undefined ? Effect.succeed([]) : Effect.map(schedules.list(app), (marks) => madeBy(account, marks))
    ),
    pause: (id, mark, after) =>
      withEntry(
        { outbox, runs: store, store: schedules },
        noted("pause", `schedule/${id}`),
        (facts) => schedules.set(mark, after, facts)
      ),
    hold: (run) => end(run, (seen) => holding(baseOf(seen), seen, accountDisabled)),
    cancel: (run) =>
      Effect.flatMap(store.steps(run.runId), (steps) =>
        end(run, (seen) => {
          const ending = { state: "cancelled", reason: allCancelled, forget: [] } as const
          if (isEnding(steps) || openUndos(steps).length === 0) return { ...baseOf(seen), ...endOf(ending, now()) }
          // A server runs the undos, and ends the run then.
          const set = { ...undoLater(now()), attempt: seen.attempt + 1 }
          return { ...baseOf(seen), steps: [endingRow(ending)], set }
        }, [
          noted("cancel", `run/${run.runId}`, { runId: run.runId, reason: allCancelled, onBehalfOf: run.owner })
        ])),
    wake: commit
  }).pipe(Effect.ensuring(outbox.finish))
  const { action, reason, target } = entryOf(account.id, change, changed)
  yield* writeDown(audit, noted(action, target, { reason }))
  return changed
})
