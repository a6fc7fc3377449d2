/**
 * Authenticates callers by access tokens of an OAuth 2 or OpenID Connect issuer.
 *
 * @since 0.1.0
 */
import type * as Sealing from "@fastagentic/core/base/Sealing"
import { isApiKey } from "@fastagentic/core/door/ApiKeys"
import { Auth, invalid, type OAuthFlow, unknown, valid } from "@fastagentic/core/door/Auth"
import type { Principal } from "@fastagentic/core/run/Principal"
import type { StoreUnavailable } from "@fastagentic/core/run/RunError"
import { Duration, Effect, Layer, Redacted } from "effect"
import type * as HttpClient from "effect/http/HttpClient"
import { checkBounds, type Claims, refused, toPrincipal } from "./internal/claims.ts"
import * as Introspection from "./internal/introspection.ts"
import * as Issuer from "./internal/issuer.ts"
import * as Jwt from "./internal/jwt.ts"
import * as KeySet from "./internal/keySet.ts"
import * as SubjectToken from "./internal/subjectToken.ts"
import { TokenCache } from "./internal/tokenCache.ts"
import { OidcUnavailable } from "./OidcUnavailable.ts"

export { OidcUnavailable }

/** Signature algorithms whose verification key is public. @category models @since 0.1.0 */
export type Algorithm =
  | "RS256"
  | "RS384"
  | "RS512"
  | "PS256"
  | "PS384"
  | "PS512"
  | "ES256"
  | "ES384"
  | "ES512"
  | "EdDSA"
  | "Ed25519"

/** @category options @since 0.1.0 */
export interface Options {
  /** The issuer's identifier, exactly as its tokens carry it. */
  readonly issuer: string
  /** The audience of tokens for this server; one of several is enough. */
  readonly audience: string | ReadonlyArray<string>
  /** The flows by which clients get tokens, for the agent card of A2A; it names the issuer's discovery in any case. */
  readonly flows?: ReadonlyArray<OAuthFlow> | undefined
  /** Default RS256, PS256, ES256, EdDSA. */
  readonly algorithms?: ReadonlyArray<Algorithm> | undefined
  /** The tolerated difference between the clocks. Default 5 seconds. */
  readonly clockTolerance?: Duration.Input | undefined
  /** The claim that names the tenant. A token without it is refused; without a claim name every caller is of tenant `default`. */
  readonly tenantClaim?: string | undefined
  /** Default `scope`, or else `scp`. */
  readonly scopeClaim?: string | undefined
  /** A claim or a path into one, such as `realm_access.roles`. Default `roles`. */
  readonly rolesClaim?: string | undefined
  /** Introspects tokens that are not JWTs at the issuer. */
  readonly introspection?: {
    readonly clientId: string
    readonly clientSecret: Redacted.Redacted<string>
    /** How long an answer is cached, and so how long a revoked token may still be accepted. Default 30 seconds. */
    readonly timeToLive?: Duration.Input | undefined
  } | undefined
  /** Accepts only JWTs of the type `at+jwt` (RFC 9068). By default also those of type `JWT` and without one. */
  readonly requireAccessTokenType?: boolean | undefined
  /** Tokens that expire later than this from now are refused. Default 1 day. */
  readonly maxLifetime?: Duration.Input | undefined
  /**
   * Whether the principal of a run that has waited may still act: tokens are not kept, so a run continues for `maxAge` after
   * its principal has shown one (30 days by default), as long as `check` gives no reason against it.
   */
  readonly revalidate?: {
    readonly maxAge?: Duration.Input | undefined
    /** Such as a look into a directory; the reason that it gives is shown. */
    readonly check?: ((principal: Principal) => Effect.Effect<string | undefined, StoreUnavailable>) | undefined
  } | undefined
  /**
   * Keeps the token of a caller with its runs, sealed by the first of these secrets (32 characters at least), so that
   * `OAuthTokens.exchange` can exchange it when a run calls another server, also after a restart. Tokens are not kept without.
   */
  readonly subjectTokens?: Sealing.Secrets | undefined
  /** How often the issuer's keys are refreshed. Default 5 minutes. */
  readonly refreshInterval?: Duration.Input | undefined
  /** The least time between refreshes caused by tokens with unknown keys. Default 2 seconds. */
  readonly refreshSpacing?: Duration.Input | undefined
}

const DEFAULT_ALGORITHMS: ReadonlyArray<Algorithm> = ["RS256", "PS256", "ES256", "EdDSA"]

/** Longer tokens are refused unread. */
const TOKEN_LIMIT = 16_384

const CACHE_CAPACITY = 10_000

/**
 * Checks tokens of one issuer, whose configuration and keys are read through the `HttpClient`.
 *
 * **Details**
 *
 * A JWT has to be signed by a key of the issuer with one of the algorithms, name the audience, and be within
 * its validity period. A valid token is cached until it expires, or until the issuer withdraws a key. Keys are refreshed
 * in the background and when a token names an unknown one; while the issuer is unavailable, the last keys stay in use.
 * A token that is bound to a key (`cnf`) is refused, because the binding is not checked. No redirect of the issuer is
 * followed, and its answers are read up to 1 MiB. Introspection asks once for equal tokens, remembers unknown ones for
 * 10 seconds, and asks for 4 tokens of one address at a time.
 *
 * **Gotchas**
 *
 * The layer fails when the issuer cannot be reached at the start.
 *
 * **Example** (A server that takes tokens of an issuer)
 *
 * ```ts
 * import { Oidc } from "@fastagentic/adapters/oidc"
 * import { Layer } from "effect"
 * import * as FetchHttpClient from "effect/http/FetchHttpClient"
 *
 * const AuthLayer = Oidc.layer({ issuer: "https://id.acme.dev", audience: "https://agents.acme.dev" }).pipe(
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Auth, OidcUnavailable, HttpClient.HttpClient> =>
  Layer.effect(Auth, make(options))

/** @category constructors @since 0.1.0 */
export const make = Effect.fnUntraced(function*(options: Options) {
  const clock = yield* Effect.clockWith(Effect.succeed)
  const now = () => clock.currentTimeMillisUnsafe()
  const tolerance = Duration.toMillis(options.clockTolerance ?? "5 seconds")
  const cache = new TokenCache(CACHE_CAPACITY)
  const metadata = yield* Issuer.discover(options.issuer)
  const keys = yield* KeySet.make(metadata, {
    interval: options.refreshInterval ?? "5 minutes",
    spacing: options.refreshSpacing ?? "2 seconds",
    onRemoved: () => cache.clear()
  })
  const audiences = typeof options.audience === "string" ? [options.audience] : options.audience
  const rules = {
    issuer: options.issuer,
    audience: audiences.flatMap(withSlash),
    algorithms: options.algorithms ?? DEFAULT_ALGORITHMS,
    toleranceSeconds: tolerance / 1_000,
    lifetimeSeconds: Duration.toSeconds(Duration.fromInputUnsafe(options.maxLifetime ?? "1 day")),
    accessTokenType: options.requireAccessTokenType ?? false,
    now
  }
  const names = {
    tenant: options.tenantClaim,
    scope: options.scopeClaim ?? "scope",
    roles: options.rolesClaim ?? "roles"
  }
  const keep = options.subjectTokens === undefined ? undefined : yield* SubjectToken.make(options.subjectTokens)
  const introspect = yield* introspector(metadata, options, rules)
  const opaqueTimeToLive = Duration.toMillis(options.introspection?.timeToLive ?? "30 seconds")

  /** The claims, and how long they may be cached. */
  const read = (token: string, source: string) =>
    Jwt.isJwt(token)
      ? Effect.map(Jwt.verify(token, keys, rules), (claims) => ({ claims, until: expiryOf(claims) + tolerance }))
      : Effect.map(introspect(token, source), (claims) => ({
        claims,
        until: Math.min(expiryOf(claims) + tolerance, now() + opaqueTimeToLive)
      }))

  const check = Effect.fnUntraced(function*(token: string, source: string) {
    const { generation } = cache
    const { claims, until } = yield* read(token, source)
    yield* checkBounds(claims, rules)
    // An answer to an introspection may leave its issuer out, and `revalidate` knows its principals by it.
    const known = yield* toPrincipal({ ...claims, iss: options.issuer }, names)
    const principal = keep === undefined ? known : yield* keep.withToken(known, token)
    cache.set(token, { principal, until }, generation)
    return principal
  })

  const maxAge = Duration.toMillis(Duration.fromInputUnsafe(options.revalidate?.maxAge ?? "30 days"))

  return Auth.of({
    revalidate: Effect.fnUntraced(function*({ at, principal }) {
      if (principal.claims["iss"] !== options.issuer) return unknown
      if (now() - at > maxAge) return invalid("its principal has shown no token for too long")
      const reason = yield* options.revalidate?.check?.(principal) ?? Effect.undefined
      return reason === undefined ? valid : invalid(reason)
    }),
    open: false,
    schemes: ["bearer"],
    issuers: [{
      issuer: options.issuer,
      audiences,
      ...(options.flows === undefined ? {} : { flows: options.flows })
    }],
    authenticate: ({ bearer, peer = "" }) => {
      if (bearer === undefined) return refused("credentials are required")
      const token = Redacted.value(bearer)
      // Our API keys are not sent to the issuer.
      if (token.length > TOKEN_LIMIT || isApiKey(token)) return refused("the token is not valid")
      const known = cache.get(token, now())
      return known === undefined ? check(token, peer) : Effect.succeed(known)
    }
  })
})

/** A URL without a path is the same with a slash at its end, and clients that parse the resource send it with one. */
const withSlash = (audience: string): ReadonlyArray<string> =>
  URL.canParse(audience) && new URL(audience).origin === audience ? [audience, `${audience}/`] : [audience]

const expiryOf = ({ exp }: Claims) => typeof exp === "number" ? exp * 1_000 : Infinity

const introspector = Effect.fnUntraced(function*(
  metadata: Issuer.Metadata,
  { introspection }: Options,
  rules: Omit<Parameters<typeof Introspection.make>[1], "clientId" | "clientSecret">
) {
  if (introspection === undefined) return () => refused("the token is not valid")
  const endpoint = metadata.introspection_endpoint
  if (endpoint === undefined) {
    return yield* new OidcUnavailable({ issuer: metadata.issuer, problem: "it offers no introspection" })
  }
  return yield* Introspection.make(endpoint, { ...rules, ...introspection })
})
