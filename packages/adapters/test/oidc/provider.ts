import { Effect } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import { createServer } from "node:http"
import Provider from "oidc-provider"
import { makeKey } from "./issuer.ts"

/** A certified issuer on a port of its own, whose one client gets tokens for any resource. */
export const startProvider = Effect.fnUntraced(function*(
  client: { readonly id: string; readonly secret: string },
  accessTokenFormat: "jwt" | "opaque"
) {
  let handle: (request: IncomingMessage, response: ServerResponse) => void = (_, response) => response.destroy()
  const server = createServer((request, response) => handle(request, response))
  const stop = Effect.sync(() => {
    server.close()
    server.closeAllConnections()
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () => stop
  )
  const address = server.address()
  const issuer = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  const { privateKey } = yield* Effect.promise(() => makeKey("one"))
  const { key_ops: _, ...jwk } = yield* Effect.promise(() => crypto.subtle.exportKey("jwk", privateKey))
  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...jwk, kid: "one", alg: "ES256", use: "sig" }] },
    clients: [{
      client_id: client.id,
      client_secret: client.secret,
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: "ES256",
      scope: "orders:read"
    }],
    scopes: ["orders:read"],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_: unknown, resource: string) => ({
          scope: "orders:read",
          audience: resource,
          accessTokenFormat,
          jwt: { sign: { alg: "ES256" } }
        })
      }
    }
  })
  handle = provider.callback()
  return { issuer, stop }
})
