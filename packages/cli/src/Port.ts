/**
 * The number of a port, in flags and variables.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"

/** Text, so that the variable and the flag are refused with the same message. @category schemas @since 0.1.0 */
export const Port = Schema.FiniteFromString.pipe(
  Schema.decodeTo(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 })))
)
