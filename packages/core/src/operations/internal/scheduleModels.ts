// The requests about schedules and the answers to them, as callers of the runtime see them. Runtime.ts exports them.
import type { Schema } from "effect"
import type * as Schedule from "../../app/Schedule.ts"

/** A schedule as it stands: when it starts a run next, and when it did last. @category models @since 0.1.0 */
export interface ScheduleStatus {
  readonly id: string
  readonly agent: string
  readonly cron: string
  readonly timeZone: string
  readonly missed: Schedule.Missed
  readonly overlap: Schedule.Overlap
  /** The principal that the runs act for. */
  readonly owner: string
  /** Whether the app declares it: then callers cannot change or remove it. */
  readonly declared: boolean
  readonly paused: boolean
  readonly next?: number
  readonly last?: number
  readonly lastRunId?: string
  /** How many ticks wait for the end of the last run. */
  readonly waiting?: number
  /** The reason why it can start no run. */
  readonly problem?: string
}

/** A schedule with the payload of its runs and the scopes that they have. @category models @since 0.1.0 */
export interface ScheduleDetails extends ScheduleStatus {
  readonly payload: Schema.Json
  readonly scopes: ReadonlyArray<string>
}

/**
 * A schedule to make. Its runs act for the caller, with all scopes of the caller or with those named here.
 *
 * @category models
 * @since 0.1.0
 */
export interface ScheduleRequest {
  readonly agent: string
  readonly cron: string
  readonly timeZone?: string
  readonly payload: unknown
  readonly missed?: Schedule.Missed
  readonly overlap?: Schedule.Overlap
  readonly scopes?: ReadonlyArray<string>
}

/** A schedule after it was written, and whether there was none before. @category models @since 0.1.0 */
export interface WrittenSchedule {
  readonly schedule: ScheduleDetails
  readonly created: boolean
}
