/**
 * The reason why a request was refused or cut off.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"

/**
 * The cause of an `HttpClientError`. It names the rule and the origin, and nothing of the network behind it, so that a
 * caller or a model may see it.
 *
 * @category errors
 * @since 0.1.0
 */
export class EgressRefused extends Schema.TaggedError<EgressRefused>()("EgressRefused", {
  origin: Schema.String,
  rule: Schema.Literals(["scheme", "address", "redirect", "time"]),
  problem: Schema.String
}) {
  override get message() {
    return `${this.origin} ${this.problem}`
  }
}
