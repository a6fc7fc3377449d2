import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { type CronExpression, parseCron } from "../../src/runtime/internal/cronExpression.ts"
import { ticksAfter } from "../../src/runtime/internal/cronTicks.ts"

const berlin = "Europe/Berlin"

const parsed = (text: string, zone = "UTC"): CronExpression => Result.getOrThrow(parseCron(text, zone))

/** The times between two instants, as day, hour and minute in UTC. */
const between = (cron: CronExpression, from: string, to: string) => {
  const found: Array<string> = []
  for (let at = cron.next(Date.parse(from)); at !== undefined && at <= Date.parse(to); at = cron.next(at)) {
    found.push(new Date(at).toISOString().slice(8, 16))
  }
  return found
}

const every = (minutes: number, from: string, count: number) =>
  Array.from(
    { length: count },
    (_, index) => new Date(Date.parse(from) + index * minutes * 60_000).toISOString().slice(8, 16)
  )

describe("A cron expression in a time zone", () => {
  const spring = ["2026-03-28T23:10:00Z", "2026-03-29T04:00:00Z"] as const
  const autumn = ["2026-10-24T22:10:00Z", "2026-10-25T03:00:00Z"] as const

  for (const [name, [from, to]] of Object.entries({ spring, autumn })) {
    for (const [text, minutes] of [["*/15 * * * *", 15], ["0 * * * *", 60], ["0 0-23 * * *", 60]] as const) {
      it(`${text} fires each real interval when the clocks change in ${name}`, () => {
        const first = `${from.slice(0, 13)}:${minutes === 15 ? 15 : 60 - 1}:00Z`
        const found = between(parsed(text, berlin), from, to)
        const start = minutes === 15 ? first : new Date(Date.parse(first) + 60_000).toISOString()
        assert.deepStrictEqual(found, every(minutes, start, minutes === 15 ? 20 : 5))
      })
    }
  }

  it("fires each time that the clocks leave out once, as much later as the clocks move", () => {
    const night = ["2026-03-28T23:10:00Z", "2026-03-29T03:00:00Z"] as const
    assert.deepStrictEqual(between(parsed("0,30 2 * * *", berlin), ...night), ["29T01:00", "29T01:30"])
    assert.deepStrictEqual(between(parsed("*/10 2 * * *", berlin), ...night), every(10, "2026-03-29T01:00:00Z", 6))
    assert.deepStrictEqual(between(parsed("30 2,3 * * *", berlin), ...night), ["29T01:30"])
  })

  it("fires a time of day that comes twice the first time only", () => {
    const nights = ["2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z"] as const
    assert.deepStrictEqual(between(parsed("30 2 * * *", berlin), ...nights), ["25T00:30", "26T01:30"])
    assert.deepStrictEqual(between(parsed("0,30 2 * * *", berlin), "2026-10-25T00:00:00Z", nights[1]), [
      "25T00:30",
      "26T01:00",
      "26T01:30"
    ])
  })

  it("follows zones that change at midnight, by half an hour, or leave out a day", () => {
    assert.deepStrictEqual(
      between(parsed("30 0 * * *", "America/Havana"), "2026-03-07T00:00:00Z", "2026-03-10T00:00:00Z"),
      ["07T05:30", "08T05:30", "09T04:30"]
    )
    assert.deepStrictEqual(
      between(parsed("*/15 * * * *", "Australia/Lord_Howe"), "2026-10-03T13:50:00Z", "2026-10-03T17:00:00Z"),
      every(15, "2026-10-03T14:00:00Z", 13)
    )
    assert.deepStrictEqual(
      between(parsed("0 12 30 12 *", "Pacific/Apia"), "2011-12-01T00:00:00Z", "2012-02-01T00:00:00Z"),
      ["30T22:00"]
    )
  })

  it("gives the same ticks from whatever time they are asked after", () => {
    for (const zone of [berlin, "Australia/Lord_Howe", "America/Havana", "UTC"]) {
      for (const text of ["*/20 1,2,3 * * *", "7 * * * *", "15,45 2 * * *", "0 0 * * *"]) {
        const cron = parsed(text, zone)
        for (const start of [Date.UTC(2026, 2, 7), Date.UTC(2026, 2, 28, 20), Date.UTC(2026, 9, 24, 20)]) {
          const ticks: Array<number> = []
          for (let at = cron.next(start); at !== undefined && at < start + 2 * 86_400_000; at = cron.next(at)) {
            ticks.push(at)
          }
          for (let at = start; at < start + 86_400_000; at += 1_733_000) {
            assert.strictEqual(cron.next(at), ticks.find((tick) => tick > at), `${text} ${zone} after ${at}`)
          }
        }
      }
    }
  })

  it("finds days that come every 28 years", () => {
    assert.deepStrictEqual(
      between(parsed("0 0 29 2 */7"), "2026-01-01T00:00:00Z", "2062-01-01T00:00:00Z").length,
      2
    )
  })

  it("is refused when it is no expression, has no zone, or never matches", () => {
    const problem = (text: string, zone = "UTC") =>
      Result.match(parseCron(text, zone), { onFailure: (why) => why, onSuccess: () => "" })
    assert.include(problem("never"), "is no cron expression")
    assert.include(problem("0 0 * *"), "is no cron expression")
    assert.include(problem("0 0 * * *", "Mars/Olympus"), "is no time zone")
    for (const text of ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 0 30 2 *", "0 0 30 2 */2"]) {
      assert.include(problem(text), "never matches")
    }
    // A day of the month or a weekday: Mondays of February exist.
    assert.strictEqual(problem("0 0 30 2 1"), "")
  })
})

describe("Ticks that were missed", () => {
  it("are at least the last hundred, in order and up to now, however many there were", () => {
    const now = Date.UTC(2026, 6, 1)
    for (const [text, days] of [["* * * * * *", 90], ["* * * * * *", 0.01], ["*/7 * 1 6 * *", 400]] as const) {
      const cron = parsed(text)
      const ticks = ticksAfter(cron, now - days * 86_400_000, now)
      assert.isAtLeast(ticks.length, 100)
      assert.deepStrictEqual(ticks, ticks.toSorted((a, b) => a - b))
      assert.isAbove(cron.next(ticks.at(-1) ?? 0) ?? 0, now)
    }
  })
})
