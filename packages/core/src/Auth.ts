/**
 * The first stage of the door: from credentials to a principal.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Redacted } from "effect"
import type { Credentials } from "./Credentials.ts"
import * as Principal from "./Principal.ts"
import { Unauthenticated } from "./RunError.ts"

/** How a caller may show who they are, for OpenAPI and the agent card. @category models @since 0.1.0 */
export type Scheme = "bearer" | "apiKey"

/**
 * Says who a caller is. `open` means that callers need no credentials; such a server stays on the loopback interface.
 *
 * @category services
 * @since 0.1.0
 */
export class Auth extends Context.Service<Auth, {
  readonly open: boolean
  readonly schemes: ReadonlyArray<Scheme>
  readonly authenticate: (credentials: Credentials) => Effect.Effect<Principal.Principal, Unauthenticated>
}>()("@fastagentic/core/Auth") {}

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
    }
  })

/** Compares in time that depends on the lengths only. */
const sameSecret = (expected: string, actual: string) => {
  let difference = expected.length ^ actual.length
  for (let i = 0; i < actual.length; i++) difference |= (expected.charCodeAt(i % expected.length) || 0) ^ actual.charCodeAt(i)
  return difference === 0
}
