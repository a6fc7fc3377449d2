import { Schema } from "effect"

/** What the issuer publishes cannot be had or cannot be used. @category errors @since 0.1.0 */
export class OidcUnavailable extends Schema.TaggedError<OidcUnavailable>()("OidcUnavailable", {
  issuer: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `the issuer ${this.issuer} cannot be used: ${this.problem}`
  }
}
