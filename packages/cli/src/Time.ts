/**
 * Times as they are written on the command line.
 *
 * @since 0.1.0
 */
import { Duration, Effect, Schema } from "effect"

/** Not a time such as `90 days`. @category errors @since 0.1.0 */
export class UnknownDuration extends Schema.TaggedError<UnknownDuration>()("UnknownDuration", {
  flag: Schema.String,
  value: Schema.String
}) {
  override get message() {
    return `--${this.flag} ${this.value}: a time is a number and a unit, such as "90 days" or "12 hours"`
  }
}

/** The time that a flag says. @category constructors @since 0.1.0 */
export const parse = (flag: string, value: string): Effect.Effect<Duration.Duration, UnknownDuration> => {
  const [, count, unit] = /^(\d{1,6}) ?(minute|hour|day|week)s?$/u.exec(value.trim()) ?? []
  return unit === "minute" || unit === "hour" || unit === "day" || unit === "week"
    ? Effect.succeed(units[unit](Number(count)))
    : Effect.fail(new UnknownDuration({ flag, value }))
}

const units = { minute: Duration.minutes, hour: Duration.hours, day: Duration.days, week: Duration.weeks }
