// Suspends a run for a time, a decision or a child; LiveRun calls it. A suspended run needs no process.
import { Effect } from "effect"
import { canonical } from "../../base/internal/canonical.ts"
import type { Interrupt, Request, Resolution } from "../../run/Interrupt.ts"
import type { LiveRun } from "./liveRun.ts"
import type { Place } from "./names.ts"

/** Pauses the run until somebody decides, unless that has happened. */
export const interrupt = (live: LiveRun, place: Place, request: Request): Effect.Effect<Resolution> =>
  live.named("interrupt", place, request.name, (name) => {
    const known = live.past.interrupts.get(name)
    if (known?.resolution !== undefined) {
      return isAbout(known, request) ? Effect.succeed(known.resolution) : interrupt(live, place, request)
    }
    const opened: Interrupt = known ?? {
      ...request,
      name,
      id: globalThis.crypto.randomUUID(),
      runId: live.run.runId,
      createdAt: live.now(),
      state: "open"
    }
    const { approvers: _approvers, createdAt: _createdAt, default: _default, runId: _runId, state: _state, ...notice } =
      opened
    const wakeAt = earliest([opened, ...live.past.interrupts.values()])
    return live.commit({
      events: [
        { type: "interrupt", data: notice },
        { type: "run_suspended", data: { reason: "interrupt", interrupts: [opened.id] } }
      ],
      ...(known === undefined ? { open: [opened] } : {}),
      set: { state: "suspended", waitsFor: "interrupt", ...(wakeAt === undefined ? {} : { wakeAt }) }
    }).pipe(Effect.andThen(Effect.interrupt))
  })

/** When the first of those that are open expires. */
export const earliest = (interrupts: ReadonlyArray<Interrupt>): number | undefined =>
  interrupts.reduce<number | undefined>(
    (first, { expiresAt, state }) =>
      state === "open" && expiresAt !== undefined && (first === undefined || expiresAt < first) ? expiresAt : first,
    undefined
  )

/** An approval holds for the very call that was approved: a handler that now wants something else asks again. */
const isAbout = (known: Interrupt, request: Request) =>
  request.kind !== "approval" ||
  (known.tool === request.tool && canonical(known.arguments ?? null) === canonical(request.arguments ?? null))

/** Pauses the run until a time that is kept as a step, unless it is past. */
export const sleep = (live: LiveRun, place: Place, name: string, millis: number): Effect.Effect<void> =>
  live.named("step", place, `sleep ${name}`, (key) => {
    const stored = live.past.steps.get(key)
    const until = typeof stored === "number" ? stored : live.now() + millis
    if (stored !== undefined && until <= live.now()) return Effect.void
    return live.commit({
      events: [{ type: "run_suspended", data: { reason: "timer", interrupts: [], until } }],
      ...(stored === undefined ? { steps: [{ name: key, value: until }] } : {}),
      set: { state: "suspended", waitsFor: "timer", wakeAt: until }
    }).pipe(Effect.andThen(Effect.interrupt))
  }, name === "pause")
