/**
 * Roles: names for sets of scopes, which may include each other.
 *
 * @since 0.1.0
 */
import { Effect, Layer, Result, Schema } from "effect"
import { Principal } from "../run/Principal.ts"
import { Auth } from "./Auth.ts"

/** The grants of a role: its own scopes and all that other roles grant. @category models @since 0.1.0 */
export interface Definition {
  readonly scopes?: ReadonlyArray<string>
  readonly includes?: ReadonlyArray<string>
}

/** Roles by name. @category models @since 0.1.0 */
export interface Definitions {
  readonly [role: string]: Definition
}

/** Roles include each other in a circle; `path` begins and ends with the same role. @category errors @since 0.1.0 */
export class RoleCycle extends Schema.TaggedError<RoleCycle>()("RoleCycle", { path: Schema.Array(Schema.String) }) {
  override get message() {
    return `roles include each other in a circle: ${this.path.join(" → ")}`
  }
}

/** A role includes one that is not defined. @category errors @since 0.1.0 */
export class UnknownRole extends Schema.TaggedError<UnknownRole>()("UnknownRole", {
  role: Schema.String,
  includes: Schema.String
}) {
  override get message() {
    return `role "${this.role}" includes "${this.includes}", which is not defined`
  }
}

/** Checked definitions: every role with all scopes it grants. @category models @since 0.1.0 */
export interface Roles {
  readonly scopes: ReadonlyMap<string, ReadonlySet<string>>
}

/**
 * Checks definitions and resolves what they include.
 *
 * **Example** (Two roles, one of which includes the other)
 *
 * ```ts
 * import { Roles } from "@fastagentic/core"
 *
 * const roles = Roles.make({
 *   admin: { scopes: ["runs:*"], includes: ["support"] },
 *   support: { scopes: ["orders:read"] }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (definitions: Definitions): Result.Result<Roles, RoleCycle | UnknownRole> => {
  const defined = new Map(Object.entries(definitions))
  const scopes = new Map<string, ReadonlySet<string>>()

  const resolve = (
    role: string,
    definition: Definition,
    path: ReadonlyArray<string>
  ): Result.Result<ReadonlySet<string>, RoleCycle | UnknownRole> => {
    const known = scopes.get(role)
    if (known !== undefined) return Result.succeed(known)
    if (path.includes(role)) return Result.fail(new RoleCycle({ path: [...path.slice(path.indexOf(role)), role] }))
    const granted = new Set(definition.scopes)
    for (const name of definition.includes ?? []) {
      const included = defined.get(name)
      if (included === undefined) return Result.fail(new UnknownRole({ role, includes: name }))
      const resolved = resolve(name, included, [...path, role])
      if (Result.isFailure(resolved)) return resolved
      for (const scope of resolved.success) granted.add(scope)
    }
    scopes.set(role, granted)
    return Result.succeed(granted)
  }

  for (const [role, definition] of defined) {
    const resolved = resolve(role, definition, [])
    if (Result.isFailure(resolved)) return Result.fail(resolved.failure)
  }
  return Result.succeed({ scopes })
}

/**
 * The principal with the scopes of its roles beside its own. A role that is not defined grants nothing.
 *
 * @category combinators
 * @since 0.1.0
 */
export const expand = (roles: Roles, principal: Principal): Principal => {
  const granted = new Set(principal.scopes)
  for (const role of principal.roles) {
    for (const scope of roles.scopes.get(role) ?? []) granted.add(scope)
  }
  return granted.size === principal.scopes.length ? principal : new Principal({ ...principal, scopes: [...granted] })
}

/**
 * An `Auth` whose principals hold the scopes of their roles, so that every later decision sees scopes only.
 *
 * **Example** (Roles over API keys)
 *
 * ```ts
 * import { ApiKeys, Roles } from "@fastagentic/core"
 * import { Layer } from "effect"
 *
 * const AuthLayer = Roles.layer({ support: { scopes: ["orders:*"] } }).pipe(Layer.provide(ApiKeys.layer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (definitions: Definitions): Layer.Layer<Auth, RoleCycle | UnknownRole, Auth> =>
  Layer.effect(
    Auth,
    Effect.gen(function*() {
      const roles = yield* Effect.fromResult(make(definitions))
      const auth = yield* Auth
      // An auth layer that caches gives the same principal again.
      const expanded = new WeakMap<Principal, Principal>()
      const remember = (principal: Principal) => {
        const known = expanded.get(principal)
        if (known !== undefined) return known
        const fresh = expand(roles, principal)
        expanded.set(principal, fresh)
        return fresh
      }
      return {
        ...auth,
        authenticate: (credentials) => Effect.map(auth.authenticate(credentials), remember)
      }
    })
  )
