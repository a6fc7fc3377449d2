// The pauses that a handler asks for: a decision and a time. Each commits at once what it waits for and parks its own
// fiber; currentRun.ts calls them, resting.ts wakes them.
import { Deferred, Effect } from "effect"
import { canonical } from "../../base/internal/canonical.ts"
import { noteChanged } from "../../run/internal/recordMisfit.ts"
import type { Interrupt, Request, Resolution } from "../../run/Interrupt.ts"
import type { LiveRun } from "./liveRun.ts"
import type { Place } from "./names.ts"
import { elapsed } from "./outcome.ts"
import type { Pause } from "./resting.ts"

/** Waits until somebody decides, unless that has happened. */
export const interrupt = (live: LiveRun, place: Place, request: Request): Effect.Effect<Resolution> =>
  live.named("interrupt", place, request.name, (name) => {
    const known = live.history.interrupts.get(name)
    if (known?.resolution !== undefined) {
      if (known.resolution.decision === "withdraw") return Effect.never
      return isAbout(known, request)
        ? live.outcomes.handOut("interrupt", place, name, Effect.succeed(answerTo(known, request, known.resolution)))
        : interrupt(live, place, request)
    }
    if (known !== undefined) live.outcomes.use("interrupt", name)
    const isApproval = request.kind === "approval" || request.approvers !== undefined
    const opened: Interrupt = known ?? {
      ...request,
      name,
      id: globalThis.crypto.randomUUID(),
      runId: live.run.runId,
      createdAt: live.resting.asksAt(),
      state: "open"
    }
    return Effect.andThen(
      known === undefined
        ? Effect.andThen(
          live.outcomes.caughtUp("interrupt", place, name, isApproval),
          live.resting.activity.during(live.writes.orTakenBack(announce(live, opened), withdraw(live, opened)))
        )
        // A run that ends waits for nothing.
        : live.ending === undefined
        ? Effect.void
        : Effect.never,
      Effect.map(awaitDecision(live, place, opened), (resolution) => answerTo(opened, request, resolution))
    )
  })

const announce = (live: LiveRun, opened: Interrupt) => {
  const { approvers: _approvers, createdAt: _createdAt, default: _default, runId: _runId, state: _state, ...notice } =
    opened
  return live.writes.commit({ events: [{ type: "interrupt", data: notice }], open: [opened] })
}

const awaitDecision = (live: LiveRun, place: Place, opened: Interrupt): Effect.Effect<Resolution> =>
  Effect.suspend(() => {
    const { expiresAt } = opened
    const decided = Deferred.makeUnsafe<Resolution>()
    const pause: Pause = { kind: "interrupt", interrupt: opened, decided, wakeAt: expiresAt }
    const wait = expiresAt === undefined
      ? Deferred.await(decided)
      : Effect.raceFirst(Deferred.await(decided), Effect.andThen(live.until(expiresAt), expire(live, opened)))
    return live.resting.park(place, pause, wait, withdraw(live, opened))
  })

/** Decides what nobody has decided in time; whoever was faster has the last word. */
const expire = (live: LiveRun, opened: Interrupt): Effect.Effect<never> =>
  Effect.suspend(() => {
    const value = opened.default === undefined ? {} : { value: opened.default }
    const resolution = { decision: "expire", by: "runtime", at: live.now(), ...value } as const
    return live.resting.reclaim({ id: opened.id, resolution }).pipe(
      Effect.flatMap((won) => won ? Effect.void : Effect.ignore(live.resting.refresh)),
      Effect.andThen(Effect.never)
    )
  })

/** Takes back a question that its own branch has given up: nobody can answer it any more. */
const withdraw = (live: LiveRun, opened: Interrupt) =>
  Effect.suspend(() => {
    const resolution = { decision: "withdraw", by: "runtime", at: live.now() } as const
    const { at: _at, ...decision } = resolution
    const events = [{ type: "interrupt_resolved", data: { id: opened.id, ...decision } }] as const
    return live.writes.postDecision({ events }, { id: opened.id, resolution })
  })

/** When the first of those that are open expires. */
export const earliest = (interrupts: ReadonlyArray<Interrupt>): number | undefined =>
  interrupts.reduce<number | undefined>(
    (first, { expiresAt, state }) =>
      state === "open" && expiresAt !== undefined && (first === undefined || expiresAt < first) ? expiresAt : first,
    undefined
  )

/** An answer, noted as one to a question with another schema where the handler has changed. */
const answerTo = (asked: Interrupt, request: Request, resolution: Resolution): Resolution =>
  asked.responseSchema === request.responseSchema ||
    canonical(asked.responseSchema ?? null) === canonical(request.responseSchema ?? null)
    ? resolution
    : noteChanged(resolution)

/** An approval holds for the very call that was approved: a handler that now wants something else asks again. */
const isAbout = (known: Interrupt, request: Request) =>
  request.kind !== "approval" ||
  (known.tool === request.tool && canonical(known.arguments ?? null) === canonical(request.arguments ?? null))

/** Waits until a time that is kept as a step, unless it is past. */
export const sleep = (live: LiveRun, place: Place, name: string, millis: number): Effect.Effect<void> =>
  live.named("step", place, `sleep ${name}`, (key) => {
    const known = live.outcomes.recorded(key)
    if (known?._tag === "Withdrawn") return Effect.never
    if (known?._tag === "Elapsed") return live.outcomes.handOut("step", place, key, Effect.void)
    const stored = known?._tag === "Value" && typeof known.value === "number" ? known.value : undefined
    const until = stored ?? live.now() + millis
    if (known !== undefined) live.outcomes.use("step", key)
    const passed = live.outcomes.settle(key, elapsed)
    const wait = live.resting.park(
      place,
      { kind: "timer", wakeAt: until },
      live.until(until),
      live.outcomes.giveUp(key)
    )
    if (stored === undefined) {
      const kept = live.writes.orTakenBack(
        live.writes.commit({ events: [], steps: [{ name: key, value: until }] }),
        live.outcomes.giveUp(key)
      )
      return live.outcomes.caughtUp("step", place, key).pipe(
        Effect.andThen(live.resting.activity.during(kept)),
        Effect.andThen(wait),
        Effect.andThen(passed)
      )
    }
    return live.writes.orTakenBack(live.outcomes.caughtUp("step", place, key), live.outcomes.giveUp(key)).pipe(
      Effect.andThen(Effect.suspend(() => until <= live.now() ? Effect.void : wait)),
      Effect.andThen(passed)
    )
  }, name === "pause")
