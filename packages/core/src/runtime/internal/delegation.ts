// Starts a child run for Run.delegate and waits for it; currentRun.ts calls it. A replay finds the same child by its key.
import { Effect, Schema } from "effect"
import { type Event, Failure } from "../../run/Event.ts"
import type { Principal } from "../../run/Principal.ts"
import type { RunError } from "../../run/RunError.ts"
import { finalStates, isFinal, type RunRecord } from "../../run/RunRecord.ts"
import type { ReadError } from "../../store/RunStore.ts"
import type { LiveRun } from "./liveRun.ts"
import type { Place } from "./names.ts"
import { stepped } from "./stepOutcome.ts"
import { orDrained, untilStored } from "./storeAway.ts"

/** The runs that a run starts. */
export interface Children {
  /** Starts a run for another, or finds the one that was started for it before. */
  readonly start: (parent: RunRecord, principal: Principal, request: {
    readonly agent: string
    readonly payload: Schema.Json
    readonly idempotencyKey: string
  }) => Effect.Effect<RunRecord, RunError>
  /** The message that the tree of a run began with. */
  readonly rootMessage: (run: RunRecord) => Effect.Effect<Schema.Json | undefined, ReadError>
  /** Waits until a run has ended or pauses. */
  readonly settled: (run: RunRecord) => Effect.Effect<RunRecord, ReadError>
  /** Waits until a run has ended. */
  readonly ended: (run: RunRecord) => Effect.Effect<RunRecord, ReadError>
  /** Cancels a run whose answer nothing waits for any more. Does not wait for its end. */
  readonly abandon: (run: RunRecord) => Effect.Effect<void>
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
 * Starts a run and waits for its end, which is journaled. When the other run pauses or stands in line, the branch that
 * waits for it is parked. When the handler's own code gives the branch up, the other run is cancelled.
 */
export const delegate = (
  live: LiveRun,
  place: Place,
  agent: string,
  payload: Schema.Json
): Effect.Effect<Outcome, RunError> =>
  live.named("step", place, `delegate ${agent}`, (key) => {
    const known = live.outcomes.recorded(key)
    if (known?._tag === "Withdrawn") {
      // Its run was to be cancelled then. Where that was cut off, the end of this run cancels it.
      live.hasChildren = true
      return Effect.never
    }
    return known?._tag === "Value"
      ? Effect.tap(
        live.outcomes.handOut("step", place, key, Effect.orDie(decode(known.value))),
        ({ runId }) => live.emit(place, entered(runId, agent))
      )
      : Effect.suspend(() => {
        let child: RunRecord | undefined
        const work = live.outcomes.caughtUp("step", place, key).pipe(
          Effect.andThen(begin(live, key, agent, payload)),
          Effect.flatMap((started) => answered(live, place, key, agent, child = started))
        )
        // A replay has to lose the branch again before it can see that its child was cancelled.
        const abandon = Effect.suspend(() => child === undefined ? Effect.void : live.children.abandon(child))
        return live.writes.orTakenBack(work, Effect.andThen(live.outcomes.giveUp(key), abandon))
      })
  }, true)

/** Starts a run for this one, or finds the one that was started before. */
const begin = (live: LiveRun, key: string, agent: string, payload: Schema.Json): Effect.Effect<RunRecord, RunError> =>
  Effect.suspend(() => {
    const idempotencyKey = `${live.run.runId}/${key}`
    live.hasChildren = true
    const started = live.children.start(live.run, live.principal, { agent, payload, idempotencyKey })
    return live.resting.activity.during(orDrained(live, live.inRealTime(untilStored(started))))
  })

/** Waits for the end of a run that was started for this one, and stores it. */
const answered = Effect.fnUntraced(function*(
  live: LiveRun,
  place: Place,
  key: string,
  agent: string,
  child: RunRecord
): Effect.fn.Return<Outcome> {
  const { activity } = live.resting
  yield* live.emit(place, entered(child.runId, agent))
  // A queued child may need this run's concurrency slot. And where nodes are lost, a run that only waits must not be there
  // to be lost with the next one.
  const atRest = child.state === "queued" || (live.run.crashes > 0 && child.durable)
  const seen = atRest ? child : yield* activity.during(Effect.orDie(settled(live.children, child)))
  const run = isFinal(seen.state) ? seen : yield* ended(live, place, seen)
  const { runId } = run
  const outcome = yield* Effect.orDie(decode({ runId, state: run.state, ...endOf(run) }))
  // The files of a child are needed as long as its parent has its answer.
  yield* activity.during(live.holdFiles(outcome.output))
  const status = run.state === "completed" ? "ok" : run.state === "cancelled" ? "cancelled" : "error"
  const exit: Event = { type: "agent_exit", data: { agentRunId: runId, name: agent, status }, place: key }
  yield* activity.during(live.writes.commit(stepped(live, key, yield* Effect.orDie(encode(outcome)), [exit])))
  return outcome
})

/** Waits for the end of a run that pauses or stands in line, parked. */
const ended = (live: LiveRun, place: Place, child: RunRecord): Effect.Effect<RunRecord> =>
  live.resting.park(
    place,
    { kind: "child", wakeAt: live.now() + lookAgain },
    Effect.orDie(untilEnded(live.children, child)),
    Effect.void
  )

/** The wait ends early when this node goes away. */
const untilEnded = (children: Children, child: RunRecord): Effect.Effect<RunRecord, ReadError> =>
  Effect.flatMap(
    untilStored(children.ended(child)),
    (run) => isFinal(run.state) ? Effect.succeed(run) : Effect.delay(untilEnded(children, run), "1 second")
  )

/** A run that is not even paused has lost its owner, or this node goes away and ends the wait. */
const settled = (children: Children, child: RunRecord): Effect.Effect<RunRecord, ReadError> =>
  Effect.flatMap(
    untilStored(children.settled(child)),
    (run) => run.state === "running" ? Effect.delay(settled(children, run), "1 second") : Effect.succeed(run)
  )

const entered = (agentRunId: string, name: string): Event => ({ type: "agent_enter", data: { agentRunId, name } })

const endOf = ({ error, output }: RunRecord) => ({
  ...(output === undefined ? {} : { output }),
  ...(error === undefined ? {} : { error })
})
