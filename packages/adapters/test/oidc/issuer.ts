import { Effect } from "effect"
import * as Jose from "jose"
import { createServer } from "node:http"

export const audience = "https://agents.test"

/** A key pair of the issuer, with its published key. */
export const makeKey = async (kid: string, alg = "ES256") => {
  const { privateKey, publicKey } = await Jose.generateKeyPair(alg, { extractable: true })
  return { kid, alg, privateKey, publicKey, jwk: { ...(await Jose.exportJWK(publicKey)), kid, alg, use: "sig" } }
}

export type Key = Awaited<ReturnType<typeof makeKey>>

/** An issuer whose published keys and failures the test controls. */
export const startIssuer = Effect.fnUntraced(function*(...keys: ReadonlyArray<Key>) {
  const state = { keys: [...keys], down: false, reads: 0, delay: 0 }
  let issuer = ""
  const server = createServer((request, response) => {
    const answer = (body: unknown) =>
      setTimeout(() => response.setHeader("content-type", "application/json").end(JSON.stringify(body)), state.delay)
    if (state.down) {
      request.socket.destroy()
      return
    }
    if (request.url === "/.well-known/openid-configuration") answer({ issuer, jwks_uri: `${issuer}/jwks` })
    else if (request.url === "/jwks") {
      state.reads++
      answer({ keys: [{ kty: "oct", kid: "shared", k: "c2VjcmV0" }, ...state.keys.map(({ jwk }) => jwk)] })
    } else response.writeHead(404).end()
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () => Effect.sync(() => server.closeAllConnections()).pipe(Effect.andThen(Effect.sync(() => server.close())))
  )
  const address = server.address()
  issuer = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  return { issuer, state }
})

export interface Wish {
  readonly claims?: Record<string, unknown>
  readonly header?: Record<string, unknown>
}

/** A token signed by the issuer, with overrides. */
export const sign = (issuer: string, key: Key, { claims = {}, header = {} }: Wish = {}) => {
  const now = Math.floor(Date.now() / 1_000)
  const payload = { iss: issuer, aud: audience, sub: "ada", iat: now, exp: now + 300, scope: "orders:read", ...claims }
  return new Jose.SignJWT(payload)
    .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: "at+jwt", ...header })
    .sign(key.privateKey)
}
