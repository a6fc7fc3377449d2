// The times that a handler reads outside of steps, by place, as its first attempt read them. LiveRun makes it with the first
// read; a replay gives the recorded times first. What sleeps, schedules and spans measure is always the real time.
import type { Schema } from "effect"
import type { TimeKind } from "../../base/internal/handlerClock.ts"
import type { Step } from "../../store/RunStore.ts"
import { timeRow, timesIn } from "./outcome.ts"

/** How many times wait for a commit of the handler's own before they are committed without one. */
export const timesLimit = 1_024

interface Series {
  readonly kind: TimeKind
  readonly place: string
  readonly recorded: Array<string>
  /** How many were read in this attempt, and how many of all are in the store. */
  read: number
  stored: number
}

export class HandlerTimes {
  /** How many times wait for a commit. */
  waiting = 0
  private readonly series = new Map<string, Series>()

  constructor(rows: Iterable<Schema.Json>) {
    for (const row of rows) {
      const times = timesIn(row)
      if (times === undefined) continue
      const { recorded } = this.of(times.kind, times.place)
      for (const [index, value] of times.values.entries()) recorded[times.from + index] = value
    }
    for (const one of this.series.values()) one.stored = one.recorded.length
  }

  /** The next time of a place: the recorded one, or the present one, which is recorded with the next commit. */
  next(kind: TimeKind, place: string, present: () => string): string {
    const one = this.of(kind, place)
    const known = one.recorded[one.read]
    if (known !== undefined) {
      one.read++
      return known
    }
    const value = present()
    one.recorded[one.read++] = value
    this.waiting++
    return value
  }

  /** Whether an earlier attempt has recorded the next time of a place. */
  isRecorded(kind: TimeKind, place: string): boolean {
    const { read, recorded } = this.of(kind, place)
    return recorded[read] !== undefined
  }

  /** The rows of the times that were not recorded yet. */
  take(): ReadonlyArray<Step> {
    this.waiting = 0
    const rows: Array<Step> = []
    for (const one of this.series.values()) {
      const { kind, place, recorded, stored: from } = one
      if (from === recorded.length) continue
      rows.push(timeRow({ kind, place, from, values: recorded.slice(from) }))
      one.stored = recorded.length
    }
    return rows
  }

  private of(kind: TimeKind, place: string): Series {
    const key = `${kind} ${place}`
    let one = this.series.get(key)
    if (one === undefined) {
      one = { kind, place, recorded: [], read: 0, stored: 0 }
      this.series.set(key, one)
    }
    return one
  }
}
