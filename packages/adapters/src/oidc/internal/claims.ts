// Converts an issuer's claims to a principal.
import { Principal } from "@fastagentic/core/run/Principal"
import { Unauthenticated } from "@fastagentic/core/run/RunError"
import { Effect, type Schema } from "effect"

/** The issuer's statements about a caller. */
export interface Claims {
  readonly [name: string]: Schema.Json
}

/** The names of the claims to read. */
export interface Names {
  readonly tenant: string | undefined
  readonly scope: string
  readonly roles: string
}

/** The principal that claims describe. A client that acts for itself is identified by its own id. */
export const toPrincipal = (claims: Claims, names: Names): Effect.Effect<Principal, Unauthenticated> => {
  const id = firstText(claims["sub"], claims["client_id"], claims["azp"])
  const tenant = names.tenant === undefined ? "default" : firstText(find(claims, names.tenant))
  if (id === undefined) return refused("the token names no subject")
  if (tenant === undefined) return refused("the token names no tenant")
  return Effect.succeed(
    new Principal({
      id,
      tenant,
      scopes: words(find(claims, names.scope) ?? claims["scp"]),
      roles: words(find(claims, names.roles)),
      claims
    })
  )
}

/**
 * Checks tokens of both kinds: a token that is bound to a key (RFC 7800) is not a bearer token, and one that lives
 * longer than the limit is refused.
 */
export const checkBounds = (
  { cnf, exp }: Claims,
  rules: { readonly now: () => number; readonly toleranceSeconds: number; readonly lifetimeSeconds: number }
): Effect.Effect<void, Unauthenticated> => {
  if (cnf !== undefined) return refused("the token is bound to a key, and this server does not check the binding")
  const limit = rules.now() / 1_000 + rules.lifetimeSeconds + rules.toleranceSeconds
  return typeof exp === "number" && exp > limit ? refused("the token is valid for too long") : Effect.void
}

export const refused = (reason: string) => Effect.fail(new Unauthenticated({ reason }))

/** A claim by its name, or by a path into nested claims such as `realm_access.roles`. */
const find = (claims: Claims, name: string): Schema.Json | undefined => {
  if (Object.hasOwn(claims, name)) return claims[name]
  let value: Schema.Json | undefined = claims
  for (const segment of name.split(".")) {
    if (!isClaims(value) || !Object.hasOwn(value, segment)) return undefined
    value = value[segment]
  }
  return value
}

const isClaims = (value: Schema.Json | undefined): value is Claims =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const firstText = (...values: ReadonlyArray<Schema.Json | undefined>) =>
  values.find((value): value is string => typeof value === "string" && value !== "")

/** Scopes are a space-separated text (RFC 6749) or a list. */
const words = (value: Schema.Json | undefined): ReadonlyArray<string> => {
  if (typeof value === "string") return value.split(" ").filter((word) => word !== "")
  return Array.isArray(value) ? value.filter((word) => typeof word === "string") : []
}
