// Resumes runs whose time has come, on poll or on notice; backgroundLoops and the operations call it.
import { Effect, Option, Stream } from "effect"
import { asRunError } from "../../run/internal/runErrors.ts"
import type { RunError, StoreUnavailable } from "../../run/RunError.ts"
import { isFinal, type RunRecord } from "../../run/RunRecord.ts"
import type { RunStore } from "../../store/RunStore.ts"
import { cancelChildren, cancelRun, openChildren } from "./cancel.ts"
import { resume, suspendAsDue } from "./claim.ts"
import { lookAgain } from "./delegation.ts"
import type { Callables } from "./resolveHandlers.ts"
import type { RegisteredCallable, RunSupervisor } from "./runSupervisor.ts"

/** How many runs of a line are looked at in one go. */
const pageSize = 256

/** So many refusals show that other nodes are faster: the line is served again at the next poll. */
const mostRefusals = 4

/** Lets go on whose time has come: queued starts, timers, decisions that nobody took, children that have ended. */
export const makeDueRuns = (node: RunSupervisor, callables: Callables) => {
  const all = [...callables.agent.values(), ...callables.tool.values()].map(({ callable }) => callable)
  // An agent that is busy has a line of its own, so that it does not stand before the others.
  const limited = all.flatMap(({ identifier, kind, limits }) =>
    limits === undefined ? [] : [{ agent: identifier, kind, limits }]
  )
  const unlimited = all.filter(({ limits }) => limits === undefined).map(({ identifier }) => identifier)

  const wake = Effect.fnUntraced(
    function*(run: RunRecord, bound: RegisteredCallable): Effect.fn.Return<boolean, RunError> {
      if (run.waitsFor === "undo") return yield* resume(node, bound, run, { from: [run.state] })
      if (run.parentRunId !== undefined && (yield* isOrphan(run.parentRunId))) {
        yield* asRunError(cancelRun(node, run, orphaned))
        return true
      }
      if (run.waitsFor === "migration" || run.waitsFor === "interrupt") {
        // A branch of a run that waits for a decision may wait for something else that has happened.
        const decided = yield* expire(run, bound)
        if (decided || run.waitsFor === "migration") return true
      }
      if (run.waitsFor === "child" && (yield* stillWaits(run))) return true
      return yield* resume(node, bound, run, { from: [run.state] })
    }
  )

  const isOrphan = (parentRunId: string) =>
    Effect.map(asRunError(node.get(parentRunId)), (parent) => parent !== undefined && isFinal(parent.state))

  /** Decides what nobody has decided in time. */
  const expire = Effect.fnUntraced(function*(run: RunRecord, bound: RegisteredCallable) {
    const now = node.now()
    const all = yield* asRunError(node.writerOf(run).store.interrupts(run.runId))
    const late = all.filter(({ expiresAt = Infinity, state }) => state === "open" && expiresAt <= now)
    for (const one of late) {
      const value = one.default === undefined ? {} : { value: one.default }
      const resolution = { decision: "expire", by: "runtime", at: now, ...value } as const
      const seen = yield* asRunError(node.get(run.runId))
      if (seen === undefined || isFinal(seen.state)) return true
      yield* suspendAsDue(node, bound, seen, { id: one.id, resolution })
    }
    return late.length > 0
  })

  const hasOpenChildren = (run: RunRecord) => Effect.map(Stream.runHead(openChildren(node, run)), Option.isSome)

  /** A run whose children have not ended is looked at again later, without a word in its journal. */
  const stillWaits = Effect.fnUntraced(function*(run: RunRecord) {
    if (!(yield* asRunError(hasOpenChildren(run)))) return false
    const { attempt, runId } = run
    const ts = node.now()
    const set = { wakeAt: ts + lookAgain }
    yield* asRunError(node.commit(run, { _tag: "Commit", runId, attempt, from: ["suspended"], ts, events: [], set }))
    return true
  })

  const wakeOne = (run: RunRecord, bound: RegisteredCallable) =>
    wake(run, bound).pipe(
      Effect.catchTag("RunError", (error) =>
        Effect.as(Effect.annotateLogs(Effect.logError("A run could not be woken", error), { runId: run.runId }), true))
    )

  const boundOf = (run: RunRecord) => node.runs.has(run.runId) ? undefined : callables[run.kind].get(run.agent)

  /**
   * Resumes the runs of a line with limits. The store gives those that have room now, page by page, so that the runs of
   * one tenant do not hide those of others. Room that ends, or becomes free meanwhile, is looked for again: it is not left
   * to whichever tenant comes next on the page.
   */
  const wakeLine = Effect.fnUntraced(function*(
    store: RunStore["Service"],
    { agent, kind, limits }: (typeof limited)[number]
  ): Effect.fn.Return<void, StoreUnavailable> {
    const line = node.lines.of(agent)
    const { freed, shares } = line
    // A thread gives only the run whose turn it is: its refusal says nothing of other runs.
    const isShared = limits.agent !== undefined || limits.tenant !== undefined
    line.waiting.clear()
    const tried = new Set<string>()
    let refusals = 0
    for (let more = true; more && !node.closing;) {
      const within = node.runs.roomIn(kind, agent, limits)
      const page = yield* store.due({ now: node.now(), agents: [agent], within, limit: pageSize })
      more = false
      for (const run of shares.turns(page)) {
        const bound = boundOf(run)
        if (bound === undefined || tried.has(run.runId)) continue
        more = page.length === pageSize
        if (yield* wakeOne(run, bound)) {
          shares.took(run.tenant)
        } else if (isShared) {
          line.waiting.add(run.tenant)
          more = ++refusals < mostRefusals
          break
        }
        tried.add(run.runId)
      }
    }
    line.looked = freed
  })

  const wakeAll = Effect.fnUntraced(function*(store: RunStore["Service"]): Effect.fn.Return<void, StoreUnavailable> {
    const { shares } = node.lines.of("")
    for (const run of shares.turns(yield* store.due({ now: node.now(), agents: unlimited, limit: pageSize }))) {
      const bound = node.closing ? undefined : boundOf(run)
      if (bound !== undefined && (yield* wakeOne(run, bound))) shares.took(run.tenant)
    }
    for (const line of limited) yield* wakeLine(store, line)
  })

  /** Counts who stands in the lines of those that take only so many. */
  const count = Effect.fnUntraced(function*(store: RunStore["Service"]) {
    if (limited.length === 0) return
    const agents = limited.map(({ agent }) => agent)
    node.metrics.waiting(store === node.durable.store, yield* store.countDue({ now: node.now(), agents }))
  })

  /** Does the work that follows when a run has ended or pauses. */
  const onSettled = (run: RunRecord, hasChildren: boolean): Effect.Effect<void> => {
    // Most runs end alone and stand in no line.
    const isAlone = isFinal(run.state) && !hasChildren && run.parentRunId === undefined
    const bound = callables[run.kind].get(run.agent)
    return isAlone && bound?.callable.limits === undefined ? Effect.void : followUp(run, hasChildren)
  }

  const followUp = Effect.fnUntraced(
    function*(run: RunRecord, hasChildren: boolean) {
      const bound = callables[run.kind].get(run.agent)
      // Whether it ends or pauses, its place is free.
      if (bound?.callable.limits !== undefined) {
        node.lines.of(run.agent).freed++
        yield* node.poll.at(0)
      }
      if (!isFinal(run.state)) {
        if (run.waitsFor === "undo" && hasChildren) yield* cancelChildren(node, run)
        // The other run may have ended while this one was on its way to wait for it.
        if (run.waitsFor === "child" && bound !== undefined && !(yield* hasOpenChildren(run))) {
          yield* resume(node, bound, run, { from: ["suspended"] })
        } else if (run.wakeAt !== undefined) yield* node.poll.at(run.wakeAt)
        return
      }
      if (hasChildren) yield* cancelChildren(node, run)
      const parent = run.parentRunId === undefined ? undefined : yield* node.get(run.parentRunId)
      if (parent?.state !== "suspended" || !waitsForBranches.has(parent.waitsFor)) return
      const waiting = callables[parent.kind].get(parent.agent)
      if (waiting === undefined) return
      yield* resume(node, waiting, parent, { from: ["suspended"] })
    },
    (effect, run: RunRecord) =>
      Effect.catch(
        effect,
        (error) =>
          Effect.annotateLogs(Effect.logError("What follows a run could not be done now", error), { runId: run.runId })
      )
  )

  return { expire, wakeAll, count, onSettled }
}

/** The reasons to wait of a run that a child of another branch may wake. */
const waitsForBranches: ReadonlySet<RunRecord["waitsFor"]> = new Set(["child", "interrupt", "signal", "timer"])

export type DueRuns = ReturnType<typeof makeDueRuns>

const orphaned = "the run that started it has ended"
