// A certified OAuth issuer on a port of its own that gives tokens to clients for themselves, and exchanges those of users
// (RFC 8693) for clients that it knows; a client can be revoked.
import { Effect } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import Provider from "oidc-provider"

const exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"

/** A token, as the formats of the provider fill it. */
interface Token {
  resourceServer?: { readonly accessTokenTTL: number }
  scope?: string
  readonly accountId?: string
  readonly clientId?: string
  readonly extra?: unknown
  save(): Promise<string>
}

interface Context {
  readonly oidc: { readonly params: Record<string, string>; readonly client: { readonly clientId: string } }
  body: unknown
}

/** The parts of the provider that the grant uses, which its types do not have. */
interface Inside {
  readonly AccessToken: new(options: object) => Token
  readonly ResourceServer: new(identifier: string, info: object) => { readonly accessTokenTTL: number }
  readonly Client: { find(id: string): Promise<unknown> }
  registerGrantType(name: string, handler: (ctx: Context) => Promise<void>, parameters: ReadonlyArray<string>): void
}

export const startExchange = Effect.fnUntraced(function*(options: {
  readonly clients: Readonly<Record<string, string>>
  /** The tenant of each user and client. */
  readonly tenants: Readonly<Record<string, string>>
  readonly scopes: ReadonlyArray<string>
  /** How long tokens for clients and exchanged ones are valid, in seconds. */
  readonly ttl?: number
}) {
  const { clients, scopes, tenants, ttl = 600 } = options
  const state = { requests: [] as Array<Record<string, string>>, revoked: new Set<string>() }
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
  const { privateKey, publicKey } = yield* Effect.promise(() =>
    crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"])
  )
  const { key_ops: _, ...jwk } = yield* Effect.promise(() => crypto.subtle.exportKey("jwk", privateKey))

  const stored = new Map<string, object>()
  const clientOf = (id: string) =>
    clients[id] === undefined || state.revoked.has(id) ? undefined : {
      client_id: id,
      client_secret: clients[id],
      grant_types: ["client_credentials", exchangeGrant],
      redirect_uris: [],
      response_types: [],
      scope: scopes.join(" ")
    }
  class Store {
    readonly model: string
    constructor(model: string) {
      this.model = model
    }
    async find(id: string) {
      return this.model === "Client" ? clientOf(id) : stored.get(`${this.model}:${id}`)
    }
    async upsert(id: string, payload: object) {
      stored.set(`${this.model}:${id}`, payload)
    }
    async destroy(id: string) {
      stored.delete(`${this.model}:${id}`)
    }
    async consume() {}
    async findByUid() {
      return undefined
    }
    async findByUserCode() {
      return undefined
    }
    async revokeByGrantId() {}
  }

  const infoOf = (resource: string, accessTokenTTL = ttl) => ({
    scope: scopes.join(" "),
    audience: resource,
    accessTokenTTL,
    accessTokenFormat: "jwt",
    jwt: { sign: { alg: "ES256" } }
  })
  const secondsOf = (_: unknown, { resourceServer }: Token) => resourceServer?.accessTokenTTL ?? ttl
  const provider = new Provider(issuer, {
    adapter: Store,
    jwks: { keys: [{ ...jwk, kid: "one", alg: "ES256", use: "sig" }] },
    scopes: [...scopes],
    ttl: { AccessToken: secondsOf, ClientCredentials: secondsOf },
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    cookies: { keys: ["a key of the test"] },
    findAccount: (_: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    extraTokenClaims: (ctx: Context | undefined, { accountId, clientId = "" }: Token) => ({
      org_id: tenants[accountId ?? clientId],
      ...(ctx?.oidc.params["grant_type"] === exchangeGrant ? { act: { sub: ctx.oidc.client.clientId } } : {})
    }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: { enabled: true, getResourceServerInfo: (_: unknown, resource: string) => infoOf(resource) }
    }
  })
  // cast: the types of the package leave its models out.
  const inside = provider as unknown as Inside

  const tokenFor = async (accountId: string, client: unknown, resource: string, scope: string, seconds?: number) => {
    const token = new inside.AccessToken({ accountId, client, gty: exchangeGrant })
    token.resourceServer = new inside.ResourceServer(resource, infoOf(resource, seconds))
    token.scope = scope
    return token.save()
  }

  /** The user of a token that this issuer has signed and that has not expired. */
  const subjectOf = async (token: string) => {
    const [head = "", body = "", signature = ""] = token.split(".")
    const isOurs = await crypto.subtle.verify(
      { name: "ECDSA", hash: "SHA-256" },
      publicKey,
      Buffer.from(signature, "base64url"),
      Buffer.from(`${head}.${body}`)
    )
    const { exp, sub }: { exp: number; sub: string } = JSON.parse(Buffer.from(body, "base64url").toString())
    return isOurs && exp > Date.now() / 1_000 ? sub : undefined
  }

  inside.registerGrantType(exchangeGrant, async (ctx) => {
    const { client, params } = ctx.oidc
    const { resource = "", scope = "", subject_token: subject = "" } = params
    const accountId = await subjectOf(subject).catch(() => undefined)
    if (accountId === undefined) {
      const error = Object.assign(new Error("invalid_grant"), { expose: true, status: 400, statusCode: 400 })
      throw Object.assign(error, { error: "invalid_grant", error_description: `it is not ${subject}` })
    }
    ctx.body = {
      access_token: await tokenFor(accountId, client, resource, scope),
      issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
      token_type: "Bearer",
      expires_in: ttl
    }
  }, ["subject_token", "subject_token_type", "requested_token_type", "resource", "scope", "audience"])

  const callback = provider.callback()
  handle = (request, response) => {
    if (request.url === "/token") {
      const parts: Array<Buffer> = []
      request.on("data", (part: Buffer) => parts.push(part))
      request.on(
        "end",
        () => state.requests.push(Object.fromEntries(new URLSearchParams(Buffer.concat(parts).toString())))
      )
    }
    return callback(request, response)
  }

  /** A token of a user for the app itself, such as a login gives. */
  const login = (user: string, resource: string, scope: string, seconds?: number) =>
    Effect.promise(async () => {
      const [client] = Object.keys(clients)
      return tokenFor(user, await inside.Client.find(client ?? ""), resource, scope, seconds)
    })
  return { issuer, login, state }
})
