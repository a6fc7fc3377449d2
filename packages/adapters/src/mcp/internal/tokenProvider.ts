// Gives the official client the tokens of a source. A token is asked for in the run whose call needs it, so that it is that of
// the run's caller; McpAuth.tokens makes it.
import type { TokenRequest, TokenSource } from "@fastagentic/core/door/TokenSource"
import type { AuthProvider } from "@modelcontextprotocol/client"
import { Effect, Redacted } from "effect"
import { currentCall } from "./calls.ts"

export const tokenProvider = (source: TokenSource, request: TokenRequest): AuthProvider => {
  const outside = {}
  /** The token that was shown last, for each call. */
  const shown = new WeakMap<object, Redacted.Redacted>()
  const run = <A, E>(effect: Effect.Effect<A, E>) =>
    currentCall()?.framework.promise(effect) ?? Effect.runPromise(effect)
  return {
    token: async () => {
      const token = await run(source.token(request))
      shown.set(currentCall() ?? outside, token)
      return Redacted.value(token)
    },
    onUnauthorized: async () => {
      const token = shown.get(currentCall() ?? outside)
      if (token !== undefined) await run(source.rejected(token))
    }
  }
}
