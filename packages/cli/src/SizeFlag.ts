/**
 * Sizes on the command line.
 *
 * @since 0.1.0
 */
import { Effect, Option, Schema } from "effect"
import * as ByteSize from "effect/ByteSize"

/** The text is not a size such as `10 MiB`. @category errors @since 0.1.0 */
export class UnknownSize extends Schema.TaggedError<UnknownSize>()("UnknownSize", {
  flag: Schema.String,
  value: Schema.String
}) {
  override get message() {
    return `--${this.flag} ${this.value}: a size is bytes, or a number and a unit such as "10 MiB", up to 1 GiB`
  }
}

/** Parses the size of a flag as bytes. @category constructors @since 0.1.0 */
export const parse = (flag: string, value: string): Effect.Effect<number, UnknownSize> => {
  const bytes = /^\d{1,10}$/u.test(value)
    ? Number(value)
    : Option.getOrElse(Option.flatMap(ByteSize.fromString(value), ByteSize.toNumber), () => Number.NaN)
  return bytes >= 1_024 && bytes <= 1_073_741_824
    ? Effect.succeed(bytes)
    : Effect.fail(new UnknownSize({ flag, value }))
}
