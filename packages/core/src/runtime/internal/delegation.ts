// Starts a child run for Run.delegate and waits for it; LiveRun calls it. A replay finds the same child by its key.
import { Effect, Schema } from "effect"
import { type Event, Failure } from "../../run/Event.ts"
import type { Principal } from "../../run/Principal.ts"
import type { RunError } from "../../run/RunError.ts"
import { finalStates, isFinal, type RunRecord } from "../../run/RunRecord.ts"
import type { ReadError } from "../../store/RunStore.ts"
import type { LiveRun } from "./liveRun.ts"
import type { Place } from "./names.ts"
import { stepped } from "./stepOutcome.ts"

/** The runs that a run starts. */
export interface Children {
  /** Starts a run for another, or finds the one that was started for it before. */
  readonly start: (parent: RunRecord, principal: Principal, request: {
    readonly agent: string
    readonly payload: Schema.Json
    readonly idempotencyKey: string
  }) => Effect.Effect<RunRecord, RunError>
  readonly settled: (run: RunRecord) => Effect.Effect<RunRecord, ReadError>
}

/** How a delegated run ended. */
export const Outcome = Schema.Struct({
  runId: Schema.String,
  state: Schema.Literals(finalStates),
  output: Schema.optionalKey(Schema.Json),
  error: Schema.optionalKey(Failure)
})

export type Outcome = typeof Outcome.Type

const decode = Schema.decodeUnknownEffect(Outcome)
const encode = Schema.encodeEffect(Outcome)

/** How long a run waits before it looks itself whether a run that it waits for has ended. */
export const lookAgain = 60_000

/**
 * Starts a run and waits for its end, which is journaled. When the other run pauses, this one pauses with it, and goes on
 * when it has ended.
 */
export const delegate = (
  live: LiveRun,
  place: Place,
  emit: (event: Event) => Effect.Effect<void>,
  agent: string,
  payload: Schema.Json
): Effect.Effect<Outcome, RunError> =>
  live.named("step", place, `delegate ${agent}`, (key) =>
    Effect.gen(function*() {
      const stored = live.past.steps.get(key)
      if (stored !== undefined) {
        const outcome = yield* Effect.orDie(decode(stored))
        yield* emit(entered(outcome.runId, agent))
        return outcome
      }
      live.hasChildren = true
      const idempotencyKey = `${live.run.runId}/${key}`
      const child = yield* live.children.start(live.run, live.principal, { agent, payload, idempotencyKey })
      yield* emit(entered(child.runId, agent))
      // A queued child may need this run's concurrency slot, so the parent is suspended. And where nodes are lost, a run that only waits must
      // not be there to be lost with the next one.
      const atRest = child.state === "queued" || (live.run.crashes > 0 && child.durable)
      const run = atRest ? child : yield* Effect.orDie(settled(live.children, child))
      const { runId } = run
      if (isFinal(run.state)) {
        const outcome = yield* Effect.orDie(decode({ runId, state: run.state, ...endOf(run) }))
        const status = run.state === "completed" ? "ok" : run.state === "cancelled" ? "cancelled" : "error"
        const exit: Event = { type: "agent_exit", data: { agentRunId: runId, name: agent, status } }
        yield* live.commit(stepped(live, key, yield* Effect.orDie(encode(outcome)), [exit]))
        return outcome
      }
      yield* live.commit({
        events: [{ type: "run_suspended", data: { reason: "child", interrupts: [] } }],
        set: { state: "suspended", waitsFor: "child", wakeAt: live.now() + lookAgain }
      })
      return yield* Effect.interrupt
    }), true)

/** A run that is not even paused has lost its owner, or this node goes away and ends the wait. */
const settled = (children: Children, child: RunRecord): Effect.Effect<RunRecord, ReadError> =>
  Effect.flatMap(
    children.settled(child),
    (run) => run.state === "running" ? Effect.delay(settled(children, run), "1 second") : Effect.succeed(run)
  )

const entered = (agentRunId: string, name: string): Event => ({ type: "agent_enter", data: { agentRunId, name } })

const endOf = ({ error, output }: RunRecord) => ({
  ...(output === undefined ? {} : { output }),
  ...(error === undefined ? {} : { error })
})
