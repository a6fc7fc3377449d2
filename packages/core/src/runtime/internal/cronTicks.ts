// Which ticks of a schedule are due, and which of those start a run; schedules.ts decides by it.
import type { Missed } from "../../app/Schedule.ts"
import type { CronExpression } from "./cronExpression.ts"

/** How many missed ticks start a run at most. */
const bound = 100
/** A tick that is later than this was missed. */
const grace = 30_000
/** Ticks that are looked at: a missed hundred and those of the last half minute, of which there is one a second at most. */
const enough = bound + grace / 1_000 + 1
const most = 2 * enough

const forward = ({ next }: CronExpression, after: number, now: number): Array<number> => {
  const ticks: Array<number> = []
  for (let tick = next(after); tick !== undefined && tick <= now && ticks.length < most; tick = next(tick)) {
    ticks.push(tick)
  }
  return ticks
}

/** The ticks after a time up to now, in order: of very many the last ones. */
export const ticksAfter = (cron: CronExpression, after: number, now: number): ReadonlyArray<number> => {
  let ticks = forward(cron, after, now)
  for (let early = after, late = now; ticks.length === most && late - early > 1;) {
    const middle = Math.floor((early + late) / 2)
    const later = forward(cron, middle, now)
    if (later.length < enough) late = middle
    else [early, ticks] = [middle, later]
  }
  return ticks
}

/** The ticks that start a run: those on time, and as many of the missed ones as the schedule asks for. */
export const toFire = (ticks: ReadonlyArray<number>, missed: Missed, now: number): ReadonlyArray<number> => {
  const onTime = ticks.filter((tick) => now - tick <= grace)
  const late = ticks.slice(0, ticks.length - onTime.length)
  switch (missed) {
    case "skip":
      return onTime
    case "once":
      return [...late.slice(-1), ...onTime]
    case "all":
      return [...late.slice(-bound), ...onTime]
  }
}
