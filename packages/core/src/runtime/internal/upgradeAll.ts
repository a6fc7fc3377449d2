// Moves all waiting runs of earlier definitions to the present one at start; Runtime.layer calls it.
import { Effect } from "effect"
import type { StoreUnavailable } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import type { Changes, Commit, ReadError } from "../../store/RunStore.ts"
import type { Callables } from "./resolveHandlers.ts"
import type { RegisteredCallable, RunSupervisor } from "./runSupervisor.ts"
import { earliest } from "./suspensions.ts"
import { isEnding } from "./undoRows.ts"
import { undoLater } from "./undoSegment.ts"
import { pinning, upgradeOf } from "./upgrades.ts"

const pageSize = 256

/** The fate of the runs of earlier definitions, now or when they are claimed. */
type Class = "compatible" | "migrated" | "pinned" | "undeclared"

/**
 * Looks at every run that waits or was running, and that another definition has started. A run that fits is recorded as a
 * run of this one; another is pinned, and released when it fits again. A run that no app declares stays as it is.
 */
export const upgradeAll = Effect.fnUntraced(function*(
  node: RunSupervisor,
  callables: Callables
): Effect.fn.Return<void, StoreUnavailable> {
  const { store } = node.durable
  const bounds = [...callables.agent.values(), ...callables.tool.values()]
  const except = bounds.map(({ callable }) => callable.fingerprint)
  const counts: Record<Class, number> = { compatible: 0, migrated: 0, pinned: 0, undeclared: 0 }
  const look = (
    run: RunRecord,
    bringUp: (run: RunRecord, bound: RegisteredCallable) => Effect.Effect<Class | undefined, ReadError>
  ) => {
    const bound = callables[run.kind].get(run.agent)
    const found = bound === undefined ? Effect.succeed("undeclared" as const) : bringUp(run, bound)
    return Effect.flatMap(
      Effect.catchTag(found, "JournalDamaged", (error) =>
        Effect.as(
          Effect.annotateLogs(Effect.logError("A run of an earlier definition cannot be read", error), {
            runId: run.runId
          }),
          undefined
        )),
      (found) =>
        Effect.sync(() => {
          if (found !== undefined) counts[found]++
        })
    )
  }
  const waiting = (run: RunRecord) => look(run, (run, bound) => bringUp(node, run, bound))
  let page: ReadonlyArray<RunRecord>
  let before = {}
  do {
    page = yield* store.scan({ states: ["suspended"], except, limit: pageSize, ...before })
    yield* Effect.forEach(page, waiting, { concurrency: pageSize, discard: true })
    before = { before: page.at(-1)?.runId }
  } while (page.length === pageSize)
  // These are written when they are claimed.
  for (const run of yield* store.unfinished) {
    if (!except.includes(run.fingerprint)) yield* look(run, (run, bound) => classOf(node, run, bound))
  }
  if (Object.values(counts).some((count) => count > 0)) {
    yield* Effect.annotateLogs(Effect.logInfo("Runs of earlier definitions"), counts)
  }
})

const stepsOf = (node: RunSupervisor, run: RunRecord) => Effect.suspend(() => node.durable.store.steps(run.runId))

const classOf = Effect.fnUntraced(function*(node: RunSupervisor, run: RunRecord, { callable }: RegisteredCallable) {
  const { _tag } = yield* upgradeOf(callable, run, stepsOf(node, run))
  return _tag === "Pinned" ? "pinned" : _tag === "Migrates" ? "migrated" : "compatible"
})

const bringUp = Effect.fnUntraced(function*(
  node: RunSupervisor,
  run: RunRecord,
  { callable }: RegisteredCallable
): Effect.fn.Return<Class, ReadError> {
  const base: Commit = {
    _tag: "Commit",
    runId: run.runId,
    attempt: run.attempt,
    from: ["suspended"],
    ts: node.now(),
    events: []
  }
  const upgrade = yield* upgradeOf(callable, run, stepsOf(node, run))
  if (upgrade._tag === "Pinned") {
    // Somebody has to look at what ended its nodes, whatever the definition.
    if (run.waitsFor !== "migration" && run.waitsFor !== "repair") {
      yield* node.commit(run, pinning(base, run, upgrade.why))
    }
    return "pinned"
  }
  const { events, set, steps } = upgrade.parts
  const freed = run.waitsFor === "migration" ? yield* waitsAgain(node, run) : {}
  yield* node.commit(run, { ...base, events, set: { ...set, ...freed }, ...(steps.length === 0 ? {} : { steps }) })
  return upgrade._tag === "Migrates" ? "migrated" : "compatible"
})

/** The wait of a run that was pinned: a decision as before, or its turn. */
const waitsAgain = Effect.fnUntraced(
  function*(node: RunSupervisor, run: RunRecord): Effect.fn.Return<Changes, ReadError> {
    const interrupts = yield* node.durable.store.interrupts(run.runId)
    if (isEnding(yield* node.durable.store.steps(run.runId))) return undoLater(node.now())
    if (interrupts.every(({ state }) => state === "resolved")) return { state: "suspended", wakeAt: node.now() }
    const wakeAt = earliest(interrupts)
    return { state: "suspended", waitsFor: "interrupt", ...(wakeAt === undefined ? {} : { wakeAt }) }
  }
)
