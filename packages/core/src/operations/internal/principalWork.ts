// Ends, holds or wakes all that a principal has in some stores; Principals.ts does it for an operator, principalCalls.ts for a
// caller of a server. How one run is ended is theirs: a server stops what it drives itself.
import { Effect } from "effect"
import type { Account, ApiKeyStore } from "../../door/ApiKeys.ts"
import type { RunRecord, RunState } from "../../run/RunRecord.ts"
import type { Commit, ReadError, RunStore } from "../../store/RunStore.ts"
import type { Change, Changed } from "../Principals.ts"

/** How many runs are read in one go. */
const pageSize = 256

const open = ["queued", "suspended", "running"] as const satisfies ReadonlyArray<RunState>

export interface Means {
  readonly stores: ReadonlyArray<RunStore["Service"]>
  readonly keys: ApiKeyStore["Service"]
  readonly now: () => number
  /** Each says whether it has changed the run. */
  readonly hold: (run: RunRecord) => Effect.Effect<boolean, ReadError>
  readonly cancel: (run: RunRecord) => Effect.Effect<boolean, ReadError>
  readonly wake: (run: RunRecord, commit: Commit) => Effect.Effect<boolean, ReadError>
}

/** The account is changed before its runs: what continues meanwhile is refused already. */
export const changePrincipal = Effect.fnUntraced(function*(
  account: Account,
  change: Change,
  { cancel, hold, keys, now, stores, wake }: Means
): Effect.fn.Return<Changed, ReadError> {
  const each = (states: ReadonlyArray<RunState>, act: (run: RunRecord) => Effect.Effect<boolean, ReadError>) =>
    Effect.map(
      Effect.forEach(stores, (store) => Effect.forEach(states, (state) => forEachRun(store, account, state, act))),
      (counts) => counts.flat().reduce((sum, count) => sum + count, 0)
    )
  switch (change) {
    case "cancel":
      return { keys: 0, runs: yield* each(open, cancel) }
    case "revoke": {
      yield* keys.disable(account, now())
      const revoked = yield* revokeKeys(keys, account, now())
      return { keys: revoked, runs: yield* each(open, hold) }
    }
    case "restore": {
      yield* keys.enable(account)
      const runs = yield* each(
        ["suspended"],
        (run) => run.waitsFor === "principal" ? wake(run, wakingOf(run, now())) : Effect.succeed(false)
      )
      return { keys: 0, runs }
    }
  }
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

const revokeKeys = Effect.fnUntraced(function*(keys: ApiKeyStore["Service"], { id, tenant }: Account, at: number) {
  const theirs = (yield* keys.list).filter((key) =>
    key.id === id && key.tenant === tenant && (key.revokedAt ?? Infinity) > at
  )
  yield* Effect.forEach(theirs, ({ prefix }) => keys.revoke(prefix, at), { discard: true })
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
