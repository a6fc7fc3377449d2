// The loops of a node: poll for due runs, reconcile lost ones, refresh followed ones. Runtime.layer starts them.
import { Effect, Fiber, type Scope, Stream } from "effect"
import * as Timings from "../../base/Timings.ts"
import { accountDisabled } from "../../door/internal/authority.ts"
import type { StoreUnavailable } from "../../run/RunError.ts"
import { RunNotifier } from "../../store/RunNotifier.ts"
import { resume } from "./claim.ts"
import { endOverdue } from "./deadlines.ts"
import type { DueRuns } from "./dueRuns.ts"
import { holdRun } from "./holdRun.ts"
import { reconcile } from "./reconcile.ts"
import type { Callables } from "./resolveHandlers.ts"
import type { RunSupervisor } from "./runSupervisor.ts"

/**
 * Keeps up with time and with whoever else writes to the store: lets runs go on whose time has come, continues those that
 * nobody drives any more, hears of what others commit, and looks again every second in case a notice was lost.
 */
export const backgroundLoops = Effect.fnUntraced(function*(
  node: RunSupervisor,
  callables: Callables,
  dueRuns: DueRuns,
  stuckCode: Effect.Effect<void, StoreUnavailable> | undefined
): Effect.fn.Return<void, never, Scope.Scope> {
  const { changes } = yield* RunNotifier
  const { store } = node.durable
  // A node's own live runs are many: those that it has lost itself are looked for less often.
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(
    Effect.sleep(Timings.reconcileMillis),
    Effect.ignore(Effect.all([
      reconcile(node, callables, store.unfinished),
      dueRuns.count(store),
      dueRuns.count(node.ephemeral.store)
    ], { discard: true }))
  )))
  // Error hooks may take their time: the rest of a poll waits for them for as long as a poll, and none begins beside them.
  const scope = yield* Effect.scope
  let overdue: Fiber.Fiber<void> | undefined
  const endings = Effect.gen(function*() {
    if (overdue === undefined || overdue.pollUnsafe() !== undefined) {
      const end = Effect.andThen(endOverdue(node, store), endOverdue(node, node.ephemeral.store))
      overdue = yield* Effect.forkIn(Effect.ignore(end), scope)
    }
    yield* Effect.timeoutOption(Fiber.await(overdue), Timings.pollMillis)
  })
  // This process may have been stopped, or cut off from its store, for longer than its lease.
  let reached = performance.now()
  const stillOurs = Effect.suspend(() => {
    const gap = performance.now() - reached
    return gap < Timings.leaseMillis - Timings.pollMillis ? Effect.void : node.runs.confirmAll
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(
    node.poll.wait,
    Effect.ignore(Effect.all([
      stillOurs,
      reconcile(node, callables, store.abandoned, resume),
      Effect.sync(() => {
        reached = performance.now()
      }),
      endings,
      dueRuns.wakeAll(store),
      dueRuns.wakeAll(node.ephemeral.store)
    ], { discard: true }))
  )))
  // A loop of its own: error hooks above may take longer than a note of this node lasts.
  if (stuckCode !== undefined) {
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(Timings.pollMillis), Effect.ignore(stuckCode))))
  }
  const { authority } = node
  if (authority !== undefined) {
    // A call that was let in before its account was disabled may have started a run since.
    const disabled = Effect.flatMap(authority.refresh, (accounts) =>
      Effect.forEach(
        accounts.flatMap((account) => node.runs.liveOf(account)),
        (run) => holdRun(node, run, accountDisabled),
        { discard: true }
      ))
    yield* Effect.ignore(disabled)
    yield* Effect.forkScoped(
      Effect.forever(Effect.andThen(Effect.sleep(Timings.pollMillis), Effect.ignore(disabled)))
    )
  }
  if (changes === Stream.empty) return
  yield* Effect.forkScoped(
    Stream.runForEach(
      changes,
      (notice) =>
        Effect.ignore(
          notice._tag === "Changed"
            ? node.refresh(notice.runId, notice.seq)
            : Effect.andThen(node.runs.confirmAll, node.refreshAll)
        )
    )
  )
  yield* Effect.forkScoped(
    Effect.forever(Effect.andThen(Effect.sleep(Timings.pollMillis), Effect.ignore(node.refreshAll)))
  )
})
