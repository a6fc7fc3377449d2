// The run as its handler sees it, in one place: at the top, in a named branch, or inside of a step. LiveRun makes one for
// each place; names and what is emitted belong to that place.
import { Effect, Option } from "effect"
import type { Budget, Grant, RunContext } from "../../budget/Budget.ts"
import type { OutputGuards } from "../../hook/internal/outputGuards.ts"
import type * as Event from "../../run/Event.ts"
import { newsSignal } from "../../run/internal/newsSignal.ts"
import { orMisfit } from "../../run/internal/recordMisfit.ts"
import { CurrentRun } from "../../run/Run.ts"
import { InvalidContent, NotDeclared } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
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

type Service = CurrentRun["Service"]

/**
 * Most runs use few of the calls, so one is made when it is asked for: a getter gives a function that needs no `this`, since
 * callers take single calls out of the service.
 */
class PlacedRun implements Service {
  readonly record: RunRecord
  private readonly live: LiveRun
  private readonly place: Place
  private readonly guards: OutputGuards | undefined
  private ownEmit: Service["emit"] | undefined

  constructor(live: LiveRun, place: Place, guards: OutputGuards | undefined) {
    this.live = live
    this.place = place
    this.guards = guards
    this.record = live.run
  }

  get emit(): Service["emit"] {
    return this.ownEmit ??= emitIn(this.live, this.place, this.guards)
  }

  /** Later output follows earlier output, so held text is flushed before a commit. */
  private flushed<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return this.guards === undefined ? effect : Effect.andThen(this.guards.flush, effect)
  }

  get principal(): Service["principal"] {
    return this.live.principal
  }

  get files(): Service["files"] {
    return this.live.files
  }

  get idempotencyKey(): Service["idempotencyKey"] {
    const { runId } = this.live.run
    return this.place.step === undefined ? runId : `${runId}/${this.place.step}`
  }

  get step(): Service["step"] {
    return (name, effect, after) => this.flushed(step(this.live, this.place, this.guards, name, effect, after))
  }

  get sideEffect(): Service["sideEffect"] {
    return (name, effect, timeoutMillis) => this.flushed(sideEffect(this.live, this.place, name, effect, timeoutMillis))
  }

  get sleep(): Service["sleep"] {
    return (name, millis) => this.flushed(sleep(this.live, this.place, name, millis))
  }

  get interrupt(): Service["interrupt"] {
    return (request) => this.flushed(interrupt(this.live, this.place, request))
  }

  get isRecorded(): Service["isRecorded"] {
    return (name) => this.live.isRecorded(this.place, name)
  }

  get recall(): Service["recall"] {
    return (name) => this.live.recall(this.place, name)
  }

  get receive(): Service["receive"] {
    return (signal, waits) => this.flushed(received(this.live, this.place, signal, waits))
  }

  get compensate(): Service["compensate"] {
    return (name, undo) => this.flushed(compensate(this.live, this.place, name, undo))
  }

  get delegate(): Service["delegate"] {
    return (agent, payload) => this.flushed(delegate(this.live, this.place, agent, payload))
  }

  get retract(): Service["retract"] {
    return this.flushed(Effect.suspend(() => this.live.words.retract(this.place)))
  }

  get leave(): Service["leave"] {
    return this.live.leave
  }

  get idle(): Service["idle"] {
    return (wait) => this.live.resting.idle(this.place, wait)
  }

  get busy(): Service["busy"] {
    return (work) => this.live.resting.activity.during(work)
  }

  get places(): Service["places"] {
    return this.live.history.places
  }

  get scope(): Service["scope"] {
    const { guards, live, place } = this
    return (name, effect, implied) =>
      live.named("step", place, name, (key) => {
        if (implied === true && key === place.prefix + name) return effect
        const inside = insideScope(place, key)
        const within = guards?.inStep((event) => live.emit(inside, event))
        const entered = live.enteringAs(inside, live.serviceIn(inside, within), effect)
        return within === undefined ? entered : Effect.tap(entered, within.flush)
      }, implied)
  }

  get thread(): Service["thread"] {
    return threadIn(this.live, this.place)
  }

  get message(): Service["message"] {
    const { journal, run } = this.live
    return Effect.orDie(untilStored(Effect.suspend(() => firstMessage(journal.store, run))))
  }

  get rootMessage(): Service["rootMessage"] {
    const { children, run } = this.live
    return run.rootRunId === undefined ? this.message : Effect.orDie(untilStored(children.rootMessage(run)))
  }

  get spend(): Service["spend"] {
    const { live, place } = this
    const spender: RunContext = {
      record: this.record,
      tell: (event) => Effect.suspend(() => live.writes.append(event)),
      interrupt: this.interrupt,
      earlier: () => [...live.history.interrupts.values(), ...live.resting.decided.values()]
    }
    // Nothing new is paid for at the end of a run, nor by code that does not stop.
    return (request) =>
      Effect.suspend(() => {
        if (live.stop !== undefined) return Effect.interrupt
        return live.ending === undefined ? tracked(live, place, spend(live, spender, request)) : Effect.never
      })
  }

  get model(): Service["model"] {
    return this.live.model
  }

  get clientTools(): Service["clientTools"] {
    return this.live.clientTools
  }

  get contextWindow(): Service["contextWindow"] {
    return this.live.budget.contextWindow
  }

  get hooks(): Service["hooks"] {
    return this.live.dispatch
  }

  get tools(): Service["tools"] {
    return this.live.tools
  }

  get decided(): Service["decided"] {
    return (decision) => this.live.decided(decision)
  }
}

const emitIn = (live: LiveRun, place: Place, guards: OutputGuards | undefined): Service["emit"] =>
  guards === undefined
    ? (event) => Effect.suspend(() => live.emit(place, event))
    : (event) => {
      const checked = checkContent(event)
      return checked instanceof InvalidContent ? Effect.die(checked) : guards.say(checked)
    }

export const serviceIn = (live: LiveRun, place: Place, guards: OutputGuards | undefined): Service =>
  new PlacedRun(live, place, guards)

/** A message as its agent declares it. A name that the agent does not declare is a mistake of the handler. */
const received = (
  live: LiveRun,
  place: Place,
  signal: string,
  waits: boolean
): Effect.Effect<Option.Option<unknown>> => {
  if (signal === newsSignal) return receive(live, place, signal, waits)
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
