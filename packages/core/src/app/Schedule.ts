/**
 * Runs that start by the clock: an agent, a payload, and when.
 *
 * @since 0.1.0
 */
import type { Schema } from "effect"
import type { AnySchema, PayloadSchema } from "./Agent.ts"

const TypeId = "~@fastagentic/core/Schedule"

/**
 * The policy for ticks that were missed by more than half a minute: no run, a run for the last of them, or a run for
 * each of the last 100.
 *
 * @category models
 * @since 0.1.0
 */
export type Missed = "skip" | "once" | "all"

/**
 * The policy for a tick whose schedule still has an unfinished run: it is skipped, it waits for the end of that run, or it
 * starts its run beside it.
 *
 * @category models
 * @since 0.1.0
 */
export type Overlap = "skip" | "queue" | "allow"

/** The principal that the runs are for, and what it may do. @category models @since 0.1.0 */
export interface As {
  readonly principal: string
  readonly tenant: string
  readonly scopes: ReadonlyArray<string>
}

/** @category utility types @since 0.1.0 */
export interface Any {
  readonly [TypeId]: typeof TypeId
  readonly id: string
  readonly agent: { readonly identifier: string; readonly payloadSchema: AnySchema }
  readonly cron: string
  readonly timeZone: string
  readonly payload: unknown
  readonly missed: Missed
  readonly overlap: Overlap
  readonly as: As
}

/**
 * Declares a schedule; `App.make(…, { schedules: [nightly] })` serves it.
 *
 * `cron` has five fields, or six with seconds in front, in `timeZone` (UTC by default). Each tick starts one run in the
 * whole cluster, for the principal of `as` (by default the local user, without scopes), who passes the same door as any
 * caller. `missed` decides about the ticks of a time when no server ran (`"skip"` by default), `overlap` about ticks that come
 * before the run of an earlier one has ended (`"allow"` by default).
 *
 * **Example** (Reporting every night)
 *
 * ```ts
 * const nightly = Schedule.make("nightly", {
 *   agent: Report,
 *   cron: "0 3 * * *",
 *   timeZone: "Europe/Berlin",
 *   payload: { of: "yesterday" },
 *   missed: "once",
 *   as: { principal: "reports", tenant: "acme", scopes: ["reports:write"] }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Payload extends PayloadSchema>(id: string, options: {
  readonly agent: { readonly identifier: string; readonly payloadSchema: Payload }
  readonly cron: string
  readonly timeZone?: string
  readonly payload: Schema.Schema.Type<Payload>
  readonly missed?: Missed
  readonly overlap?: Overlap
  readonly as?: As
}): Any => ({
  [TypeId]: TypeId,
  id,
  agent: options.agent,
  cron: options.cron,
  timeZone: options.timeZone ?? "UTC",
  payload: options.payload,
  missed: options.missed ?? "skip",
  overlap: options.overlap ?? "allow",
  as: options.as ?? { principal: "local", tenant: "local", scopes: [] }
})
