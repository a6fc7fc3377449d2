/**
 * Access tokens for servers that an app calls: remote agents and remote tools.
 *
 * @since 0.1.0
 */
import { type Effect, type Redacted, Schema } from "effect"

/**
 * No token is given: the issuer refuses the client or the caller, or there is no token of the caller to exchange. Another try
 * changes nothing.
 *
 * @category errors
 * @since 0.1.0
 */
export class TokenRefused extends Schema.TaggedError<TokenRefused>()("TokenRefused", {
  issuer: Schema.String,
  /** The error of OAuth, or a reason of this server in capitals. */
  code: Schema.String,
  problem: Schema.String
}, { httpApiStatus: 502 }) {
  override get message() {
    return `${this.issuer} gives no token (${this.code}): ${this.problem}`
  }
}

/** The issuer does not answer now. @category errors @since 0.1.0 */
export class TokenUnavailable extends Schema.TaggedError<TokenUnavailable>()("TokenUnavailable", {
  issuer: Schema.String,
  problem: Schema.String
}, { httpApiStatus: 503 }) {
  override get message() {
    return `${this.issuer} gives no token now: ${this.problem}`
  }
}

/** The server that a token is for, and the rights that it asks for. @category models @since 0.1.0 */
export interface TokenRequest {
  /** The address that the token has to be valid at (RFC 8707). */
  readonly resource: string
  readonly scopes: ReadonlyArray<string>
}

/**
 * Gives tokens, for the app itself or for the caller of the run that asks.
 *
 * @category models
 * @since 0.1.0
 */
export interface TokenSource {
  readonly token: (request: TokenRequest) => Effect.Effect<Redacted.Redacted, TokenRefused | TokenUnavailable>
  /** The server has not accepted a token: it is not given again. */
  readonly rejected: (token: Redacted.Redacted) => Effect.Effect<void>
}
