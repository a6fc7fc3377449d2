// Reads a cron expression and finds its times in a time zone; cronTicks.ts and the calls of schedules ask it.
// effect/Cron parses the fields. It does not find the times: beside a change of clocks its `next` leaves times out.
import { Cron, DateTime, Option, Result } from "effect"

/** An expression that matches some day; `next` gives its first time after another, in Unix milliseconds. */
export interface CronExpression {
  readonly next: (after: number) => number | undefined
}

/** A change of clocks: from `at` on, the zone is `after` ahead of UTC instead of `before`. */
interface Change {
  readonly at: number
  readonly before: number
  readonly after: number
}

const day = 86_400_000
/** No zone has ever changed its clocks by more than a day. */
const longestShift = day + 3_600_000
/** Every day of the calendar that exists at all comes within 40 years. */
const horizon = 41 * 366

/** The expression in a zone, or why there is none. */
export const parseCron = (text: string, timeZone: string): Result.Result<CronExpression, string> => {
  const fields = text.trim().split(/\s+/u)
  const [seconds = "", minutes = "", hours = "", ...days] = fields.length === 5 ? ["0", ...fields] : fields
  const zone = Option.getOrUndefined(DateTime.zoneFromString(timeZone))
  if (zone === undefined) return Result.fail(`"${timeZone}" is no time zone`)
  const times = Result.getOrUndefined(Cron.parse([seconds, minutes, hours, "*", "*", "*"].join(" "), "UTC"))
  const dates = Result.getOrUndefined(Cron.parse(["*", "*", "*", ...days].join(" "), "UTC"))
  if (times === undefined || dates === undefined) return Result.fail(`"${text}" is no cron expression`)
  const nextLocal = localTimes(times, dates)
  if (nextLocal(0) === undefined) return Result.fail(`"${text}" never matches: there is no such day`)
  const isInterval = [seconds, minutes, hours].some((field) => /[*/-]/u.test(field))
  return Result.succeed({ next: zonedTimes(nextLocal, isInterval, offsetsOf(zone)) })
}

/** How far a zone is ahead of UTC. Clocks change at a full quarter of an hour, and each is looked up once. */
const offsetsOf = (timeZone: DateTime.TimeZone) => {
  const known = new Map<number, number>()
  return (at: number): number => {
    const quarter = Math.floor(at / 900_000)
    const found = known.get(quarter)
    if (found !== undefined) return found
    const offset = DateTime.zonedOffset(DateTime.makeZonedUnsafe(quarter * 900_000, { timeZone }))
    if (known.size === 10_000) known.clear()
    known.set(quarter, offset)
    return offset
  }
}

/** The first match after a local time, which is counted in milliseconds as if it was UTC. */
const localTimes = (times: Cron.Cron, dates: Cron.Cron) => {
  const [hours, minutes, seconds] = [inOrder(times.hours, 24), inOrder(times.minutes, 60), inOrder(times.seconds, 60)]

  /** The first time of day, in seconds, that is not before another. */
  const timeFrom = (from: number): number | undefined => {
    for (const hour of hours) {
      if ((hour + 1) * 3_600 <= from) continue
      for (const minute of minutes) {
        if (hour * 3_600 + (minute + 1) * 60 <= from) continue
        const second = seconds.find((second) => hour * 3_600 + minute * 60 + second >= from)
        if (second !== undefined) return hour * 3_600 + minute * 60 + second
      }
    }
    return undefined
  }

  return (after: number): number | undefined => {
    let number = Math.floor(after / day)
    let from = Math.floor((after - number * day) / 1_000) + 1
    for (const end = number + horizon; number < end; from = 0) {
      const date = new Date(number * day)
      const month = date.getUTCMonth()
      if (dates.months.size > 0 && !dates.months.has(month + 1)) {
        number = Date.UTC(date.getUTCFullYear(), month + 1, 1) / day
        continue
      }
      const time = Cron.match(dates, date) ? timeFrom(from) : undefined
      if (time !== undefined) return number * day + time * 1_000
      number++
    }
    return undefined
  }
}

/** Effect leaves the set of a field empty that allows everything. */
const inOrder = (allowed: ReadonlySet<number>, count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, value) => value).filter((value) => allowed.size === 0 || allowed.has(value))

/**
 * The same in real time. Local times that the clocks leave out come as much later as the clocks move. Local times that
 * come twice are taken twice by an expression that says an interval, and once by one that names times of day.
 */
const zonedTimes = (
  nextLocal: (after: number) => number | undefined,
  isInterval: boolean,
  offset: (at: number) => number
) =>
(after: number): number | undefined => {
  let change = firstChange(offset, after - longestShift, after)
  let [from, ahead] = [after, offset(after)]
  while (true) {
    const repeatedUntil = change !== undefined && !isInterval ? change.at + change.before - 1 : -Infinity
    const local = nextLocal(Math.max(from + ahead, repeatedUntil))
    if (local === undefined) return undefined
    const leftOut = change === undefined || change.before >= change.after ? undefined : nextLeftOut(change, from)
    const found = Math.min(local - ahead, leftOut ?? Infinity)
    const next = firstChange(offset, Math.max(from, change?.at ?? from), found)
    if (next === undefined) return found
    change = next
    ;[from, ahead] = [next.at - 1, next.after]
  }

  function nextLeftOut({ after: ahead, at, before }: Change, from: number): number | undefined {
    const local = nextLocal(Math.max(from, at - 1) + before)
    return local === undefined || local >= at + ahead ? undefined : local - before
  }
}

/** The first change of clocks after a time up to another. Zones do not change twice in a week. */
const firstChange = (offset: (at: number) => number, from: number, to: number): Change | undefined => {
  const before = offset(from)
  for (let start = from; start < to;) {
    const end = Math.min(start + 7 * day, to)
    if (offset(end) !== before) {
      let [unchanged, changed] = [start, end]
      while (changed - unchanged > 1) {
        const middle = Math.floor((unchanged + changed) / 2)
        if (offset(middle) === before) unchanged = middle
        else changed = middle
      }
      return { at: changed, before, after: offset(changed) }
    }
    start = end
  }
  return undefined
}
