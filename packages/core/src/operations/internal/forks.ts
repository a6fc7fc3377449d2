// Forks and retries runs; Runtime builds it. The new run passes the door like any start, and inherits results and answers,
// never permissions: an approval belongs to one run and one call.
import { Effect } from "effect"
import * as Authorization from "../../door/Authorization.ts"
import type { Caller } from "../../door/Caller.ts"
import type { Acting, Door } from "../../door/internal/door.ts"
import type { RunEvent } from "../../run/Event.ts"
import { asRunError } from "../../run/internal/runErrors.ts"
import type { Interrupt } from "../../run/Interrupt.ts"
import { InvalidCursor, InvalidPayload, RunError, RunFinished } from "../../run/RunError.ts"
import { finalStates, isFinal, type RunRecord } from "../../run/RunRecord.ts"
import type { Inheritance } from "../../runtime/internal/admit.ts"
import { hasPlaces } from "../../runtime/internal/history.ts"
import { isValue } from "../../runtime/internal/outcome.ts"
import { firstMessage } from "../../runtime/internal/receivedMessages.ts"
import type { Callables } from "../../runtime/internal/resolveHandlers.ts"
import { makeHandle } from "../../runtime/internal/runHandle.ts"
import type { RunSupervisor } from "../../runtime/internal/runSupervisor.ts"
import { shownText } from "../../runtime/internal/shownTexts.ts"
import type { makeStart } from "../../runtime/internal/start.ts"
import { isEnding, undoIn, undoRow } from "../../runtime/internal/undoRows.ts"
import { upgradeOf } from "../../runtime/internal/upgrades.ts"
import type { Step } from "../../store/RunStore.ts"
import type { ForkRequest, Started } from "../Runtime.ts"

/** Starts runs that continue from a checkpoint of another run. */
export const makeForks = (
  node: RunSupervisor,
  door: Door,
  callables: Callables,
  { startFor }: Pick<ReturnType<typeof makeStart>, "startFor">
) => {
  const checkpoints = Effect.fnUntraced(function*(caller: Caller, runId: string) {
    const { run } = yield* door.run(caller, node, runId)
    const steps = yield* asRunError(node.writerOf(run).store.steps(runId))
    const values = steps.filter(({ value }) => isValue(value)).sort((a, b) => a.seq - b.seq)
    return yield* Effect.forEach(
      values,
      ({ name, seq }) => Effect.map(shownText(node, run, name, "checkpoint"), (name) => ({ name, seq }))
    )
  })

  const fork = Effect.fnUntraced(function*(caller: Caller, runId: string, request: ForkRequest) {
    const acting = yield* door.act(caller, node, runId, callables)
    const { run } = acting
    const { after = run.seq } = request
    if (!Number.isSafeInteger(after) || after < 0 || after > run.seq) {
      const reason = new InvalidCursor({ cursor: String(after), reason: `this run has events 1 to ${run.seq}` })
      return yield* Effect.fail(new RunError({ reason }))
    }
    return yield* forkAt(caller, acting, after, { ...request, action: "fork" })
  })

  /** However often a caller asks for it, a run is retried by one run of that caller. */
  const retry = Effect.fnUntraced(function*(caller: Caller, runId: string): Effect.fn.Return<Started, RunError> {
    const acting = yield* door.act(caller, node, runId, callables)
    const { run } = acting
    if (run.state === "completed") {
      return yield* Effect.fail(new RunError({ reason: new RunFinished({ runId, state: run.state }) }))
    }
    if (!isFinal(run.state)) return makeHandle(node, caller, { run, attached: true }, acting.principal)
    const retried = yield* forkAt(caller, acting, run.seq, { action: "retry", idempotencyKey: `retry ${runId}` })
    if (run.retriedAs === undefined) yield* asRunError(recordRetry(run, retried.run.runId))
    return retried
  }, Effect.uninterruptible)

  /** A change of a run that has ended, which is no event of it. */
  const recordRetry = (run: RunRecord, retriedAs: string) =>
    node.writerOf(run).write({
      _tag: "Commit",
      runId: run.runId,
      attempt: run.attempt,
      from: finalStates,
      ts: run.updatedAt,
      events: [],
      set: { retriedAs }
    })

  const forkAt = Effect.fnUntraced(function*(
    caller: Caller,
    { bound, principal, run }: Acting,
    seq: number,
    { action, after, idempotencyKey }: ForkRequest & { readonly action: "fork" | "retry" }
  ) {
    const { agent: identifier, kind, priority, runId, threadId } = run
    const stepsOf = Effect.suspend(() => node.writerOf(run).store.steps(runId))
    const upgrade = yield* asRunError(upgradeOf(bound.callable, run, stepsOf))
    if (upgrade._tag === "Pinned") {
      const issues = [{ path: [], message: `run ${runId} cannot go on with this definition: ${upgrade.why}` }]
      return yield* Effect.fail(new RunError({ reason: new InvalidPayload({ target: identifier, issues }) }))
    }
    const { set: { payload = run.payload }, steps } = upgrade.parts
    const message = yield* asRunError(firstMessage(node.writerOf(run).store, run))
    const request = { kind, identifier, payload, threadId, priority, idempotencyKey, message }
    const causes = Authorization.withCauses(principal.id, ...Authorization.causesOf(run))
    const { toolCallId = runId } = run.forkedFrom ?? {}
    const more = { forkedFrom: { runId, seq, ...(kind === "tool" ? { toolCallId } : {}) }, ...causes }
    const inherited = yield* inheritance(run, seq)
    const migrated = inherited.steps.map((step) => steps.find(({ name }) => name === step.name) ?? step)
    const about = { reason: `run ${runId} of ${run.owner}, event ${seq}`, ...Authorization.onBehalf(principal, run) }
    const entryOf = (fork: string) => door.entry(caller, principal, action, `run/${runId}`, { runId: fork, ...about })
    const history = { ...inherited, steps: migrated, after }
    const started = yield* startFor(caller, principal, request, bound, more, history, (fork) => [entryOf(fork)])
    if (started.attached) {
      yield* door.audit(caller, principal, action, `run/${runId}`, { runId: started.run.runId, ...about })
    }
    return started
  }, Effect.uninterruptible)

  /** The steps and decisions that were committed by an event. */
  const inheritance = Effect.fnUntraced(
    function*(run: RunRecord, seq: number): Effect.fn.Return<Inheritance, RunError> {
      const { store } = node.writerOf(run)
      const [steps, interrupts] = yield* asRunError(Effect.all([store.steps(run.runId), store.interrupts(run.runId)]))
      const places = hasPlaces(yield* asRunError(store.events(run.runId, 0, 1)))
      // A retry does again all that was undone: it inherits nothing.
      if (isEnding(steps)) return { places, steps: [], interrupts: [] }
      const resolved = interrupts.filter(isInherited)
      // The steps that a run inherited when it was forked are in none of its own events.
      const later = resolved.length === 0 ? new Set<string>() : yield* asRunError(decidedAfter(run, seq))
      return {
        places,
        steps: steps.filter((step) => step.seq <= seq).sort((a, b) => a.seq - b.seq).map(ownedBy),
        interrupts: resolved.filter(({ id }) => !later.has(id))
      }
    }
  )

  const decidedAfter = Effect.fnUntraced(function*(run: RunRecord, seq: number) {
    const { store } = node.writerOf(run)
    const decided = new Set<Interrupt["id"]>()
    let cursor = seq
    while (true) {
      const events = yield* store.events(run.runId, cursor, 512)
      const last = events.at(-1)?.seq
      if (last === undefined) return decided
      for (const event of events) {
        if (isDecision(event)) decided.add(event.data.id)
      }
      cursor = last
    }
  })

  return { checkpoints, fork, retry }
}

/**
 * Whether a fork inherits what was decided. A question that a branch gave up is no decision: a retry may have to ask it. An
 * approval was used up by its call, of which the fork has the result or none. A denial grants nothing.
 */
const isInherited = ({ approvers, kind, resolution }: Interrupt): boolean => {
  if (resolution === undefined || resolution.decision === "withdraw") return false
  const permits = kind === "approval" || approvers !== undefined
  const isDenial = resolution.decision === "deny" ||
    (resolution.decision === "expire" && resolution.value === undefined)
  return !permits || isDenial
}

/** A step for a fork. The work that the other run could undo is that run's, and so is its undo. */
const ownedBy = ({ name, value }: Step): Step => {
  const undo = undoIn(value)
  return undo === undefined ? { name, value } : undoRow(name, { ...undo, state: "done" })
}

/** Whether an event reports a decision, a message, or that a message was taken. */
const isDecision = (event: RunEvent) =>
  event.type === "interrupt_resolved" || event.type === "signal" || event.type === "signal_received"
