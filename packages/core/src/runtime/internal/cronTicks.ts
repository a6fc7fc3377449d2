import { Cron } from "effect"
import type { Missed } from "../../app/Schedule.ts"

/** How many ticks are made up for at most. */
const bound = 100
/** A tick that is later than this was missed. */
const grace = 30_000

const forward = (cron: Cron.Cron, after: number, now: number, limit: number) => {
  const ticks: Array<number> = []
  let tick = Cron.next(cron, new Date(after)).getTime()
  while (tick <= now && ticks.length < limit) {
    ticks.push(tick)
    tick = Cron.next(cron, new Date(tick)).getTime()
  }
  return ticks
}

/** The ticks after a time up to now, in order: of very many the last ones. */
export const ticksAfter = (cron: Cron.Cron, after: number, now: number): ReadonlyArray<number> => {
  const ticks = forward(cron, after, now, 10 * bound)
  if (ticks.length < 10 * bound) return ticks
  let from = now
  for (let count = 0; count <= bound; count++) from = Cron.prev(cron, new Date(from)).getTime()
  return forward(cron, Math.max(after, from), now, 10 * bound)
}

/** Those that start a run: what is on time, and of what was missed as much as was agreed on. */
export const toFire = (ticks: ReadonlyArray<number>, missed: Missed, now: number): ReadonlyArray<number> => {
  const onTime = ticks.filter((tick) => now - tick <= grace)
  const past = ticks.slice(0, ticks.length - onTime.length)
  switch (missed) {
    case "skip":
      return onTime
    case "once":
      return [...past.slice(-1), ...onTime]
    case "all":
      return [...past.slice(-bound), ...onTime]
  }
}
