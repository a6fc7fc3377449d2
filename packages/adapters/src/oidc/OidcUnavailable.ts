import { Schema } from "effect"

/** The issuer's configuration or keys cannot be read or are invalid. @category errors @since 0.1.0 */
export class OidcUnavailable extends Schema.TaggedError<OidcUnavailable>()("OidcUnavailable", {
  issuer: Schema.String,
  problem: Schema.String,
  /** The rule of `Egress` that refuses its address. */
  rule: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return `the issuer ${this.issuer} cannot be used: ${this.problem}`
  }
}
