/**
 * Access tokens by which an app calls other servers: for itself, or for the caller of a run.
 *
 * @since 0.1.0
 */
import type * as Sealing from "@fastagentic/core/base/Sealing"
import { TokenRefused, type TokenRequest, type TokenSource } from "@fastagentic/core/door/TokenSource"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { Effect, Option, type Redacted } from "effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as SubjectToken from "./internal/subjectToken.ts"
import * as TokenEndpoint from "./internal/tokenEndpoint.ts"

export { TokenRefused, TokenUnavailable } from "@fastagentic/core/door/TokenSource"

/** @category options @since 0.1.0 */
export interface ClientOptions {
  /** The issuer at which the app is registered: its id and secret are sent to no other one. */
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: Redacted.Redacted
  /** The scopes to ask for. By default those that the card of the remote agent names. */
  readonly scopes?: ReadonlyArray<string> | undefined
  /** The address that tokens are for (RFC 8707). By default the resource that the remote server names, or its address. */
  readonly resource?: string | undefined
  /** The `audience`, for issuers that know no resources: it is sent in place of `resource`. */
  readonly audience?: string | undefined
}

/** @category options @since 0.1.0 */
export interface ExchangeOptions extends ClientOptions {
  /** The secrets by which `Oidc` keeps the tokens of callers. */
  readonly subjectTokens: Sealing.Secrets
  /**
   * A run that has no token of its caller, such as one of a schedule of the app or of an API key, is refused by default; with
   * `"client"` the app then acts as itself.
   */
  readonly withoutCaller?: "refuse" | "client" | undefined
}

/**
 * The app acts as itself: client credentials (RFC 6749, 4.4).
 *
 * **Details**
 *
 * Tokens are kept until shortly before they expire, and runs that want the same token wait for one request. The client has to
 * refuse addresses of internal networks: `Egress` does.
 *
 * @category constructors
 * @since 0.1.0
 */
export const clientCredentials = Effect.fnUntraced(function*(
  options: ClientOptions
): Effect.fn.Return<TokenSource, never, HttpClient.HttpClient> {
  const endpoint = yield* TokenEndpoint.make(options)
  return {
    token: (request) => endpoint.token({ grant_type: "client_credentials", ...target(options, request) }),
    rejected: endpoint.rejected
  }
})

/**
 * A run acts for its caller: the token that the caller has shown is exchanged for one of the remote server (RFC 8693). Outside
 * of a run the app acts as itself.
 *
 * **Details**
 *
 * The token of a caller is that with which the run was started, or resumed by its owner; it is kept sealed with the rights of
 * the run, and a run that has waited longer than it is valid is refused by the issuer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const exchange = Effect.fnUntraced(function*(
  options: ExchangeOptions
): Effect.fn.Return<TokenSource, never, HttpClient.HttpClient> {
  const endpoint = yield* TokenEndpoint.make(options)
  const subjects = yield* SubjectToken.make(options.subjectTokens)
  const asClient = (request: TokenRequest) =>
    endpoint.token({ grant_type: "client_credentials", ...target(options, request) })
  return {
    token: Effect.fnUntraced(function*(request) {
      const run = Option.getOrUndefined(yield* Effect.serviceOption(CurrentRun))
      if (run === undefined) return yield* asClient(request)
      const refused = (code: string, problem: string) => new TokenRefused({ issuer: options.issuer, code, problem })
      // The app does not act as itself for a caller whose token it cannot read.
      const subject = yield* Effect.mapError(
        subjects.tokenOf(run.record),
        () => refused("SUBJECT_TOKEN_UNREADABLE", "no secret opens the token of the run's caller")
      )
      if (subject !== undefined) {
        return yield* endpoint.token({
          grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
          subject_token: subject,
          subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
          requested_token_type: "urn:ietf:params:oauth:token-type:access_token",
          ...target(options, request)
        })
      }
      if (options.withoutCaller === "client") return yield* asClient(request)
      return yield* refused("NO_SUBJECT_TOKEN", "the run has no token of its caller")
    }),
    rejected: endpoint.rejected
  }
})

const target = ({ audience, resource, scopes }: ClientOptions, request: TokenRequest) => {
  const wanted = [...new Set(scopes ?? request.scopes)].toSorted()
  return {
    ...(audience === undefined ? { resource: resource ?? request.resource } : { audience }),
    ...(wanted.length === 0 ? {} : { scope: wanted.join(" ") })
  }
}
