// Passes what the runtime itself says about a run through the guards of its agent, where it is read: decisions, reasons,
// questions and names. The store keeps what was decided, because the handler gets exactly that. Handles, decisions and the
// audit log read through it.
import { Effect, type Schema } from "effect"
import { hasGuard, type Shown, shownValue } from "../../hook/internal/shownValue.ts"
import type { RunEvent, Type } from "../../run/Event.ts"
import type { Interrupt, Resolution } from "../../run/Interrupt.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import { ownerOf } from "./claim.ts"
import type { RunSupervisor } from "./runSupervisor.ts"

/** The parts of a run that its guards get. */
export type Subject = Pick<RunRecord, "agent" | "grants" | "kind" | "owner" | "runId" | "tenant">

/** The guards over a run, or nothing when its agent has none. */
const guardsOver = (node: RunSupervisor, run: Subject): Shown | undefined => {
  const hooks = node.hooksOf(run)
  if (!hooks.some(hasGuard)) return undefined
  const { agent, kind, runId } = run
  return shownValue(hooks, { runId, kind, agent, principal: ownerOf(run) })
}

const textBy = (shown: Shown, text: string, type: Type) =>
  Effect.map(shown(text, type), (passed) => typeof passed === "string" ? passed : JSON.stringify(passed))

/** A reason or a name as it may leave. */
export const shownText = (node: RunSupervisor, run: Subject, text: string, type: Type): Effect.Effect<string> => {
  const shown = guardsOver(node, run)
  return shown === undefined ? Effect.succeed(text) : textBy(shown, text, type)
}

/** The fields of the runtime's own events that hold text from outside of it. */
const spoken: Partial<Record<Type, ReadonlyArray<string>>> = {
  checkpoint: ["checkpointId", "parentId", "node"],
  interrupt: ["name", "message", "rule"],
  interrupt_resolved: ["value", "reason"],
  run_cancelled: ["reason"],
  hook_decision: ["reason"],
  signal: ["signal"],
  signal_received: ["signal"],
  message_received: ["message"],
  superseded: ["place"]
}

/** The events of a page as they may leave. What the handler said has passed its guards before it was stored. */
export const shownEvents = (
  node: RunSupervisor,
  run: Subject
): ((events: ReadonlyArray<RunEvent>) => Effect.Effect<ReadonlyArray<RunEvent>>) | undefined => {
  const shown = guardsOver(node, run)
  if (shown === undefined) return undefined
  const places = new Map<string, string>()
  const placeOf = (place: string) => {
    const known = places.get(place)
    return known !== undefined
      ? Effect.succeed(known)
      : Effect.tap(textBy(shown, place, "node_enter"), (passed) => Effect.sync(() => places.set(place, passed)))
  }
  const one = Effect.fnUntraced(function*(event: RunEvent) {
    const keys = spoken[event.type]
    if (keys === undefined && event.place === undefined) return event
    // cast: `spoken` names fields of this event whose values are JSON.
    const data: Record<string, Schema.Json> = { ...(event.data as Record<string, Schema.Json>) }
    for (const key of keys ?? []) {
      const value = data[key]
      if (value !== undefined) data[key] = yield* shown(value, event.type)
    }
    const place = event.place === undefined ? {} : { place: yield* placeOf(event.place) }
    // cast: the same event with other texts.
    return { ...event, ...place, data } as unknown as RunEvent
  })
  return (events) => Effect.forEach(events, one)
}

const resolutionBy = Effect.fnUntraced(function*(shown: Shown, resolution: Resolution) {
  const { reason, value } = resolution
  return {
    ...resolution,
    ...(value === undefined ? {} : { value: yield* shown(value, "interrupt_resolved") }),
    ...(reason === undefined ? {} : { reason: yield* textBy(shown, reason, "interrupt_resolved") })
  }
})

export const shownResolution = (
  node: RunSupervisor,
  run: Subject,
  resolution: Resolution
): Effect.Effect<Resolution> => {
  const shown = guardsOver(node, run)
  return shown === undefined ? Effect.succeed(resolution) : resolutionBy(shown, resolution)
}

/** Questions as they may leave. The tool and its arguments stay: what an approver sees is what runs. */
export const shownInterrupts = (
  node: RunSupervisor,
  run: Subject,
  interrupts: ReadonlyArray<Interrupt>
): Effect.Effect<ReadonlyArray<Interrupt>> => {
  const shown = guardsOver(node, run)
  if (shown === undefined) return Effect.succeed(interrupts)
  return Effect.forEach(
    interrupts,
    Effect.fnUntraced(function*(interrupt): Effect.fn.Return<Interrupt> {
      const { message, resolution } = interrupt
      return {
        ...interrupt,
        name: yield* textBy(shown, interrupt.name, "interrupt"),
        ...(message === undefined ? {} : { message: yield* textBy(shown, message, "interrupt") }),
        ...(resolution === undefined ? {} : { resolution: yield* resolutionBy(shown, resolution) })
      }
    })
  )
}
