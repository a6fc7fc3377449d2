// A certified OAuth issuer on a port of its own with registration, consent and refresh, and a browser that says yes.
import { Effect } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import Provider from "oidc-provider"

/** Grants what a client asks for and its state allows; other scopes are left out of the token. */
export const startIssuer = Effect.fnUntraced(function*(scopes: ReadonlyArray<string>) {
  const state = { allowed: scopes }
  let handle = (_: IncomingMessage, response: ServerResponse): unknown => response.destroy()
  const server = createServer((request, response) => void handle(request, response))
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
  const address = server.address()
  const issuer = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  const { privateKey } = yield* Effect.promise(() =>
    crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"])
  )
  const { key_ops: _, ...jwk } = yield* Effect.promise(() => crypto.subtle.exportKey("jwk", privateKey))
  /** The resources that the issuer was asked for. */
  const asked: Array<string> = []
  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...jwk, kid: "one", alg: "ES256", use: "sig" }] },
    scopes: [...scopes, "openid", "offline_access"],
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    clientAuthMethods: ["none", "client_secret_basic", "client_secret_post"],
    cookies: { keys: ["a key of the test"] },
    findAccount: (_: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_: unknown, resource: string) => {
          asked.push(resource)
          return {
            scope: state.allowed.join(" "),
            audience: resource,
            accessTokenFormat: "jwt",
            jwt: { sign: { alg: "ES256" } }
          }
        }
      }
    }
  })
  const callback = provider.callback()
  handle = (request, response) =>
    request.url?.startsWith("/interaction/") ? agree(provider, request, response) : callback(request, response)
  return { issuer, asked, state }
})

/** Ada logs in and agrees to all that is asked. */
const agree = async (provider: Provider, request: IncomingMessage, response: ServerResponse) => {
  const { params, prompt, session } = await provider.interactionDetails(request, response)
  if (prompt.name === "login") {
    return provider.interactionFinished(request, response, { login: { accountId: "ada" } })
  }
  const grant = new provider.Grant({ accountId: session?.accountId, clientId: params.client_id })
  grant.addOIDCScope(prompt.details.missingOIDCScope?.join(" ") ?? "")
  for (const [resource, scopes] of Object.entries(prompt.details.missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(" "))
  }
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } })
}

/** Follows the redirects of an authorization with cookies, until the one to the client; its parameters. */
export const browse = async (start: URL, callback: string): Promise<URLSearchParams> => {
  const cookies = new Map<string, string>()
  let url = start
  for (let step = 0; step < 10; step++) {
    if (url.href.startsWith(callback)) return url.searchParams
    const cookie = Array.from(cookies, ([name, value]) => `${name}=${value}`).join("; ")
    const response = await fetch(url, { redirect: "manual", headers: { cookie } })
    for (const line of response.headers.getSetCookie()) {
      const [name = "", value = ""] = line.split(";", 1)[0]?.split(/=(.*)/su) ?? []
      cookies.set(name, value)
    }
    const location = response.headers.get("location")
    if (location === null) throw new Error(`${url.pathname} answers ${response.status}: ${await response.text()}`)
    url = new URL(location, url)
  }
  throw new Error("too many redirects")
}
