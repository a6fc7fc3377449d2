// The run as its handler sees it, in one place: at the top, in a named branch, or inside of a step. LiveRun makes one for
// each place; names and what is emitted belong to that place.
import { Effect, Option } from "effect"
import type { Budget, Grant, RunContext } from "../../budget/Budget.ts"
import type { OutputGuards } from "../../hook/internal/outputGuards.ts"
import type * as Event from "../../run/Event.ts"
import { orMisfit } from "../../run/internal/recordMisfit.ts"
import type { Request } from "../../run/Interrupt.ts"
import { CurrentRun } from "../../run/Run.ts"
import { InvalidContent, NotDeclared } from "../../run/RunError.ts"
import * as Tracing from "../../telemetry/Tracing.ts"
import { compensate } from "./compensate.ts"
import { checkContent } from "./contentEvents.ts"
import { delegate } from "./delegation.ts"
import type { LiveRun } from "./liveRun.ts"
import { insideScope, type Place } from "./names.ts"
import { firstMessage } from "./receivedMessages.ts"
import { sideEffect } from "./sideEffect.ts"
import { receive } from "./signals.ts"
import { step } from "./steps.ts"
import { untilStored } from "./storeAway.ts"
import { interrupt, sleep } from "./suspensions.ts"
import { threadIn } from "./threads.ts"

export const serviceIn = (
  live: LiveRun,
  place: Place,
  guards: OutputGuards | undefined
): CurrentRun["Service"] => {
  // Later output follows earlier output, so held text is flushed before a commit.
  const flushed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    guards === undefined ? effect : Effect.andThen(guards.flush, effect)
  const pause = (request: Request) => flushed(interrupt(live, place, request))
  const spender: RunContext = {
    record: live.run,
    tell: (event) => Effect.suspend(() => live.writes.append(event)),
    interrupt: pause,
    earlier: () => [...live.history.interrupts.values(), ...live.resting.decided]
  }
  return {
    record: live.run,
    principal: live.principal,
    get files() {
      return live.files
    },
    emit: guards === undefined
      ? (event) => Effect.suspend(() => live.emit(place, event))
      : (event) => {
        const checked = checkContent(event)
        return checked instanceof InvalidContent ? Effect.die(checked) : guards.say(checked)
      },
    idempotencyKey: place.step === undefined ? live.run.runId : `${live.run.runId}/${place.step}`,
    step: (name, effect, after) => flushed(step(live, place, guards, name, effect, after)),
    sideEffect: (name, effect, timeoutMillis) => flushed(sideEffect(live, place, name, effect, timeoutMillis)),
    sleep: (name, millis) => flushed(sleep(live, place, name, millis)),
    interrupt: pause,
    isRecorded: (name) => live.isRecorded(place, name),
    recall: (name) => live.recall(place, name),
    receive: (signal, waits) => flushed(received(live, place, signal, waits)),
    compensate: (name, undo) => flushed(compensate(live, place, name, undo)),
    delegate: (agent, payload) => flushed(delegate(live, place, agent, payload)),
    retract: flushed(Effect.suspend(() => live.words.retract(place))),
    idle: (wait) => live.resting.idle(place, wait),
    places: live.history.places,
    scope: (name, effect, implied) =>
      live.named("step", place, name, (key) => {
        if (implied === true && key === place.prefix + name) return effect
        const inside = insideScope(place, key)
        const within = guards?.inStep((event) => live.emit(inside, event))
        const entered = Effect.provideService(live.entering(inside, effect), CurrentRun, live.serviceIn(inside, within))
        return within === undefined ? entered : Effect.tap(entered, within.flush)
      }, implied),
    // Made when it is asked for: most runs belong to no conversation.
    get thread() {
      return threadIn(live, place)
    },
    get message() {
      return Effect.orDie(untilStored(Effect.suspend(() => firstMessage(live.journal.store, live.run))))
    },
    // Nothing new is paid for at the end of a run.
    spend: (request) => live.ending === undefined ? tracked(live, place, spend(live, spender, request)) : Effect.never,
    contextWindow: live.budget.contextWindow,
    model: live.model,
    hooks: live.dispatch,
    tools: live.tools,
    decided: (decision) => live.decided(decision)
  }
}

/** A message as its agent declares it. A name that the agent does not declare is a mistake of the handler. */
const received = (
  live: LiveRun,
  place: Place,
  signal: string,
  waits: boolean
): Effect.Effect<Option.Option<unknown>> => {
  const shape = live.signals.get(signal)
  if (shape === undefined) return Effect.die(new NotDeclared({ kind: "signal", identifier: signal }))
  return Effect.flatMap(
    receive(live, place, signal, waits),
    (message): Effect.Effect<Option.Option<unknown>> =>
      Option.isNone(message)
        ? Effect.succeedNone
        : Effect.asSome(orMisfit(`message to "${signal}"`)(shape.decode(message.value)))
  )
}

/** A call of a model moves until it is settled; in a step the step says so already. */
const tracked = <E>(live: LiveRun, place: Place, spent: Effect.Effect<Grant, E>): Effect.Effect<Grant, E> => {
  if (place.step !== undefined) return spent
  const { activity } = live.resting
  return Effect.map(spent, (grant) => {
    activity.begin()
    let isOver = false
    const finished = Effect.sync(() => {
      if (!isOver) activity.end()
      isOver = true
    })
    return {
      ...grant,
      settle: (usage) => Effect.ensuring(grant.settle(usage), finished),
      cancelReservation: Effect.ensuring(grant.cancelReservation, finished)
    }
  })
}

const spend = (live: LiveRun, spender: RunContext, request: Parameters<Budget["Service"]["spend"]>[1]) => {
  // The next call of a replay may be another one than the first attempt's: its limits are those of the present.
  const granted = Effect.map(
    live.inRealTime(untilStored(Effect.suspend(() => live.budget.spend(spender, request)))),
    (grant) => ({ ...grant, settle: (usage: Event.Usage | undefined) => live.inRealTime(grant.settle(usage)) })
  )
  if (!live.traced) return granted
  const { provider = "unknown" } = request
  // The model and the cost of a call belong to the span of the call, which is current here.
  return Tracing.note(() => ({ "gen_ai.provider.name": provider })).pipe(
    Effect.andThen(Tracing.within(granted, "budget")),
    Effect.map((grant) => ({
      ...grant,
      settle: (usage: Event.Usage | undefined) =>
        Effect.tap(grant.settle(usage), (settled) =>
          settled?.costUsd === undefined
            ? Effect.void
            : Tracing.note(() => ({ "gen_ai.usage.cost": settled.costUsd, "operation.cost": settled.costUsd })))
    }))
  )
}
