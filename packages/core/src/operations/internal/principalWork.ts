// Ends, holds or wakes all that a principal has in some stores; Principals.ts does it for an operator, principalCalls.ts for a
// caller of a server. How one run is ended is theirs: a server stops what it drives itself.
import { Effect } from "effect"
import type { Account, ApiKey, ApiKeyStore } from "../../door/ApiKeys.ts"
import type { RunRecord, RunState } from "../../run/RunRecord.ts"
import type { Definition, Mark } from "../../runtime/ScheduleStore.ts"
import type { Commit, ReadError, RunStore } from "../../store/RunStore.ts"
import type { Change, Changed } from "../Principals.ts"

/** The reason that a run of the principal is cancelled with. */
export const allCancelled = "all work of its principal was cancelled"

/** How many runs are read in one go. */
const pageSize = 256

const open = ["queued", "suspended", "running"] as const satisfies ReadonlyArray<RunState>

export interface Means {
  readonly stores: ReadonlyArray<RunStore["Service"]>
  readonly keys: ApiKeyStore["Service"]
  readonly now: () => number
  /** Revokes a key, with its line of the audit log. */
  readonly revokeKey: (key: ApiKey) => Effect.Effect<boolean, ReadError>
  /** Disables or enables the account, with its line of the audit log. */
  readonly turn: (state: "disable" | "enable") => Effect.Effect<boolean, ReadError>
  /** The schedules whose runs act for the principal. */
  readonly schedules: Effect.Effect<ReadonlyArray<ScheduleOf>, ReadError>
  /** Each says whether it has changed the run. */
  readonly hold: (run: RunRecord) => Effect.Effect<boolean, ReadError>
  readonly cancel: (run: RunRecord) => Effect.Effect<boolean, ReadError>
  /** Writes a changed mark, with its line of the audit log; false when it was changed meanwhile. */
  readonly pause: (id: string, mark: Mark, after: number) => Effect.Effect<boolean, ReadError>
  readonly wake: (run: RunRecord, commit: Commit) => Effect.Effect<boolean, ReadError>
}

/** The account is changed before its runs: what continues meanwhile is refused already. */
export const changePrincipal = Effect.fnUntraced(function*(
  account: Account,
  change: Change,
  { cancel, hold, keys, now, pause, revokeKey, schedules, stores, turn, wake }: Means
): Effect.fn.Return<Changed, ReadError> {
  const each = (states: ReadonlyArray<RunState>, act: (run: RunRecord) => Effect.Effect<boolean, ReadError>) =>
    Effect.map(
      Effect.forEach(stores, (store) => Effect.forEach(states, (state) => forEachRun(store, account, state, act))),
      (counts) => counts.flat().reduce((sum, count) => sum + count, 0)
    )
  /** A schedule would start new work. What it has in line is work as well. */
  const pauseAll = (keepsWaiting: boolean) =>
    Effect.map(
      Effect.flatMap(
        schedules,
        Effect.forEach((one) => pauseSchedule(schedules, pause, one, keepsWaiting, now))
      ),
      (paused) => paused.filter((isPaused) => isPaused).length
    )
  switch (change) {
    case "cancel":
      return { keys: 0, schedules: yield* pauseAll(false), runs: yield* each(open, cancel) }
    case "revoke": {
      yield* turn("disable")
      const revoked = yield* revokeKeys(keys, account, now(), revokeKey)
      return { keys: revoked, schedules: yield* pauseAll(true), runs: yield* each(open, hold) }
    }
    case "restore": {
      yield* turn("enable")
      const runs = yield* each(
        ["suspended"],
        (run) => run.waitsFor === "principal" ? wake(run, wakingOf(run, now())) : Effect.succeed(false)
      )
      return { keys: 0, schedules: 0, runs }
    }
  }
})

/** A schedule of the principal. */
export interface ScheduleOf {
  readonly id: string
  readonly mark: Mark
}

/** The schedules that a principal has made, among marks of any. */
export const madeBy = ({ id, tenant }: Account, marks: ReadonlyArray<Mark>): ReadonlyArray<ScheduleOf> =>
  marks.flatMap((mark) => isOf(mark.definition, { id, tenant }) ? [{ id: mark.definition.id, mark }] : [])

const isOf = (definition: Definition | undefined, { id, tenant }: Account): definition is Definition =>
  definition?.principal.id === id && definition.principal.tenant === tenant

/** Whether it was paused by this. */
const pauseSchedule = Effect.fnUntraced(function*(
  schedules: Means["schedules"],
  pause: Means["pause"],
  first: ScheduleOf,
  keepsWaiting: boolean,
  now: () => number
) {
  let seen: ScheduleOf | undefined = first
  while (seen !== undefined) {
    const { id, mark }: ScheduleOf = seen
    const waiting = keepsWaiting ? mark.waiting : []
    if (mark.paused && waiting.length === mark.waiting.length) return false
    const next = { ...mark, version: mark.version + 1, upto: Math.max(mark.upto, now()), paused: true, waiting }
    if (yield* pause(id, next, mark.version)) return true
    const others: ReadonlyArray<ScheduleOf> = yield* schedules
    seen = others.find((other) => other.mark.key === mark.key)
  }
  return false
})

const forEachRun = Effect.fnUntraced(function*(
  store: RunStore["Service"],
  { id: owner, tenant }: Account,
  state: RunState,
  act: (run: RunRecord) => Effect.Effect<boolean, ReadError>
) {
  let changed = 0
  for (let before: string | undefined, more = true; more;) {
    const query = { tenant, owner, state, limit: pageSize }
    const page: ReadonlyArray<RunRecord> = yield* store.list(before === undefined ? query : { ...query, before })
    for (const run of page) if (yield* act(run)) changed++
    more = page.length === pageSize
    before = page.at(-1)?.runId
  }
  return changed
})

const revokeKeys = Effect.fnUntraced(function*(
  keys: ApiKeyStore["Service"],
  { id, tenant }: Account,
  at: number,
  revokeKey: Means["revokeKey"]
) {
  const theirs = (yield* keys.list).filter((key) =>
    key.id === id && key.tenant === tenant && (key.revokedAt ?? Infinity) > at
  )
  yield* Effect.forEach(theirs, revokeKey, { discard: true })
  return theirs.length
})

/** The run is due: whichever node finds it asks again whether its principal is valid. */
const wakingOf = ({ attempt, runId }: RunRecord, now: number): Commit => ({
  _tag: "Commit",
  runId,
  attempt,
  from: ["suspended"],
  ts: now,
  events: [],
  set: { wakeAt: now }
})
