/**
 * Durations on the command line.
 *
 * @since 0.1.0
 */
import { Duration, Effect, Schema } from "effect"

/** The text is not a duration such as `90 days`. @category errors @since 0.1.0 */
export class UnknownDuration extends Schema.TaggedError<UnknownDuration>()("UnknownDuration", {
  flag: Schema.String,
  value: Schema.String
}) {
  override get message() {
    return `--${this.flag} ${this.value}: a time is a number and a unit, such as "90 days", "12 hours" or 30d`
  }
}

/** Parses the duration of a flag. @category constructors @since 0.1.0 */
export const parse = (flag: string, value: string): Effect.Effect<Duration.Duration, UnknownDuration> => {
  const [, count, unit = ""] = /^(\d{1,6}) ?([smhdw]|(?:second|minute|hour|day|week)s?)$/u.exec(value.trim()) ?? []
  const make = units[unit.slice(0, 1)]
  return make === undefined
    ? Effect.fail(new UnknownDuration({ flag, value }))
    : Effect.succeed(make(Number(count)))
}

const units: Readonly<Record<string, ((count: number) => Duration.Duration) | undefined>> = {
  s: Duration.seconds,
  m: Duration.minutes,
  h: Duration.hours,
  d: Duration.days,
  w: Duration.weeks
}
