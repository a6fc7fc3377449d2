/**
 * The first stage of the door: from credentials to a principal.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Redacted } from "effect"
import { sameSecret } from "../base/internal/secrets.ts"
import type { Credentials } from "../run/Credentials.ts"
import * as Principal from "../run/Principal.ts"
import { type StoreUnavailable, Unauthenticated } from "../run/RunError.ts"

/** How a caller may show who they are, for OpenAPI and the agent card. @category models @since 0.1.0 */
export type Scheme = "bearer" | "apiKey" | "mutualTls"

/**
 * A way in which a client gets a token of an issuer by OAuth 2. `scopes` are those that it may ask for, with what they allow.
 *
 * @category models
 * @since 0.1.0
 */
export type OAuthFlow =
  & {
    readonly tokenUrl: string
    readonly refreshUrl?: string
    readonly scopes: { readonly [scope: string]: string }
  }
  & (
    | { readonly type: "authorizationCode"; readonly authorizationUrl: string; readonly pkceRequired?: boolean }
    | { readonly type: "clientCredentials" }
    | { readonly type: "deviceCode"; readonly deviceAuthorizationUrl: string }
  )

/**
 * An issuer whose access tokens are accepted, the audiences that they may name, and the flows by which clients get them.
 *
 * @category models
 * @since 0.1.0
 */
export interface TokenIssuer {
  readonly issuer: string
  readonly audiences: ReadonlyArray<string>
  readonly flows?: ReadonlyArray<OAuthFlow>
}

/** A principal and the time at which it was admitted, in Unix milliseconds. @category models @since 0.1.0 */
export interface Admitted {
  readonly principal: Principal.Principal
  readonly at: number
}

/**
 * Whether a principal that was admitted earlier may still act. `unknown` means that another layer has admitted it.
 *
 * @category models
 * @since 0.1.0
 */
export type Standing =
  | { readonly _tag: "Valid" }
  | { readonly _tag: "Unknown" }
  | { readonly _tag: "Invalid"; readonly reason: string }

/** @category constructors @since 0.1.0 */
export const valid: Standing = { _tag: "Valid" }

/** @category constructors @since 0.1.0 */
export const unknown: Standing = { _tag: "Unknown" }

/** @category constructors @since 0.1.0 */
export const invalid = (reason: string): Standing => ({ _tag: "Invalid", reason })

/**
 * Says who a caller is. `open` means that callers need no credentials; such a server stays on the loopback interface.
 *
 * @category services
 * @since 0.1.0
 */
export class Auth extends Context.Service<Auth, {
  readonly open: boolean
  readonly schemes: ReadonlyArray<Scheme>
  /** The issuers of the access tokens that it accepts; servers publish them as OAuth protected resource metadata (RFC 9728). */
  readonly issuers?: ReadonlyArray<TokenIssuer>
  /** Fails with `StoreUnavailable` when whoever knows the answer cannot be asked. */
  readonly authenticate: (
    credentials: Credentials
  ) => Effect.Effect<Principal.Principal, Unauthenticated | StoreUnavailable>
  /**
   * Asked before a run that has waited continues: a run whose principal is not valid any more, or is known to no layer, is
   * held. A layer without it takes the principals that it has admitted as valid for ever.
   */
  readonly revalidate?: (admitted: Admitted) => Effect.Effect<Standing, StoreUnavailable>
}>()("@fastagentic/core/door/Auth") {}

/** Everybody is the local user: for work on one machine. @category layers @since 0.1.0 */
export const layerNone: Layer.Layer<Auth> = Layer.succeed(Auth, {
  open: true,
  schemes: [],
  authenticate: () => Effect.succeed(Principal.local)
})

/**
 * A fixed set of keys, shown as `Authorization: Bearer …` or `X-API-Key`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerKeys = (
  keys: ReadonlyArray<{ readonly key: Redacted.Redacted<string>; readonly principal: Principal.Principal }>
): Layer.Layer<Auth> =>
  Layer.succeed(Auth, {
    open: false,
    schemes: ["bearer", "apiKey"],
    authenticate: (credentials) => {
      const shown = credentials.apiKey ?? credentials.bearer
      if (shown === undefined) return Effect.fail(new Unauthenticated({ reason: "credentials are required" }))
      const match = keys.find(({ key }) => sameSecret(Redacted.value(key), Redacted.value(shown)))
      return match === undefined
        ? Effect.fail(new Unauthenticated({ reason: "the credentials are not valid" }))
        : Effect.succeed(match.principal)
    },
    revalidate: ({ principal: { id, tenant } }) =>
      Effect.succeed(
        keys.some(({ principal }) => principal.id === id && principal.tenant === tenant) ? valid : unknown
      )
  })

/**
 * Accepts what either layer accepts: the second is asked when the first does not know the caller.
 *
 * **Gotchas**
 *
 * When nobody knows the caller, the answer is the second layer's.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFirst = <E, R, E2, R2>(
  first: Layer.Layer<Auth, E, R>,
  second: Layer.Layer<Auth, E2, R2>
): Layer.Layer<Auth, E | E2, R | R2> =>
  Layer.effect(
    Auth,
    Effect.gen(function*() {
      const one = Context.get(yield* Layer.build(first), Auth)
      const other = Context.get(yield* Layer.build(second), Auth)
      return {
        open: one.open || other.open,
        schemes: [...new Set([...one.schemes, ...other.schemes])],
        issuers: [...one.issuers ?? [], ...other.issuers ?? []],
        authenticate: (credentials) =>
          Effect.catchTag(one.authenticate(credentials), "Unauthenticated", () => other.authenticate(credentials)),
        revalidate: (admitted) => standing([one, other], admitted)
      }
    })
  )

/** The first layer that knows the principal decides. One that cannot tell may have admitted it, and says nothing against it. */
const standing = Effect.fnUntraced(function*(layers: ReadonlyArray<Auth["Service"]>, admitted: Admitted) {
  for (const { revalidate } of layers) {
    const found = revalidate === undefined ? unknown : yield* revalidate(admitted)
    if (found._tag !== "Unknown") return found
  }
  return layers.some(({ revalidate }) => revalidate === undefined) ? valid : unknown
})
