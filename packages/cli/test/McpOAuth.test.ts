import { assert, describe, it } from "@effect/vitest"
import {
  Client,
  type OAuthClientProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError
} from "@modelcontextprotocol/client"
import { Effect, Layer } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { Agent, App, type Server } from "fastagentic"
import { Oidc } from "fastagentic/oidc"
import { mkdtempSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { browse, startIssuer } from "./issuing.ts"
import { onSqlite } from "./serving.ts"

class Notes extends Agent.make("notes", { description: "Reads the notes", payload: {}, scopes: ["notes:read"] }) {}
class Archive extends Agent.make("archive", {
  description: "Archives the notes",
  payload: {},
  scopes: ["notes:read", "notes:write"]
}) {}
class Desk extends App.make("desk", { version: "1.0.0", agents: [Notes, Archive] }) {}

const handlers = Layer.merge(
  Notes.toLayer(() => Effect.succeed("a note")),
  Archive.toLayer(() => Effect.succeed("archived"))
)

const all = ["notes:read", "notes:write"]
const callback = "http://127.0.0.1:9/callback"

/** A port that was free a moment ago: the audience of the tokens names it before the server has it. */
const freePort = Effect.promise(() =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
)

const start = Effect.fnUntraced(function*(audiencePath: string, options: Server.Options = {}) {
  const issuing = yield* startIssuer(all)
  const port = yield* freePort
  const auth = Layer.orDie(Oidc.layer({
    issuer: issuing.issuer,
    audience: `http://127.0.0.1:${port}${audiencePath}`
  })).pipe(Layer.provide(FetchHttpClient.layer))
  const filename = join(mkdtempSync(join(tmpdir(), "oauth-")), "app.db")
  const { url } = yield* onSqlite(Desk, handlers, filename, { auth, port, ...options })
  return { ...issuing, url }
})

/** The official client's memory of one user, and the address to which it sent the browser last. */
const makeUser = () => {
  const stored: {
    client?: Parameters<NonNullable<OAuthClientProvider["saveClientInformation"]>>[0]
    tokens?: Parameters<OAuthClientProvider["saveTokens"]>[0]
    discovery?: Parameters<NonNullable<OAuthClientProvider["saveDiscoveryState"]>>[0]
    verifier?: string
    sentTo?: URL
  } = {}
  const provider: OAuthClientProvider = {
    redirectUrl: callback,
    clientMetadata: { client_name: "a desktop app", redirect_uris: [callback], token_endpoint_auth_method: "none" },
    clientInformation: () => stored.client,
    saveClientInformation: (client) => {
      stored.client = client
    },
    tokens: () => stored.tokens,
    saveTokens: (tokens) => {
      stored.tokens = tokens
    },
    redirectToAuthorization: (url) => {
      stored.sentTo = url
    },
    saveCodeVerifier: (verifier) => {
      stored.verifier = verifier
    },
    discoveryState: () => stored.discovery,
    saveDiscoveryState: (discovery) => {
      stored.discovery = discovery
    },
    codeVerifier: () => stored.verifier ?? ""
  }
  return { provider, stored }
}

/** Connects; the client that needs a token sends its user to the issuer, and connects again with what it got. */
const connect = Effect.fnUntraced(function*(url: URL, { provider, stored }: ReturnType<typeof makeUser>) {
  const open = () => {
    const transport = new StreamableHTTPClientTransport(url, { authProvider: provider })
    return { transport, client: new Client({ name: "desktop", version: "1.0.0" }) }
  }
  const first = open()
  const refused = yield* Effect.promise(() =>
    first.client.connect(first.transport).then(() => undefined, (error: unknown) => error)
  )
  assert.instanceOf(refused, UnauthorizedError)
  yield* consent(first.transport, stored)
  const second = open()
  yield* Effect.promise(() => second.client.connect(second.transport))
  yield* Effect.addFinalizer(() => Effect.promise(() => second.client.close()))
  return second
})

const consent = (transport: StreamableHTTPClientTransport, { sentTo }: ReturnType<typeof makeUser>["stored"]) =>
  Effect.promise(async () => {
    if (sentTo === undefined) throw new Error("the client has not sent its user to the issuer")
    await transport.finishAuth(await browse(sentTo, callback))
  })

const call = (client: Client, name: string) => Effect.tryPromise(() => client.callTool({ name, arguments: {} }))

const scopesIn = (url: URL | undefined) => (url?.searchParams.get("scope") ?? "").split(" ").toSorted()

describe("the official MCP client with a certified issuer", () => {
  it.live("registers, gets consent and a token for the endpoint, and calls", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* start("/mcp")
      const user = makeUser()
      const { client } = yield* connect(new URL(`${url}/mcp`), user)
      assert.deepStrictEqual(scopesIn(user.stored.sentTo), all)
      assert.strictEqual(user.stored.sentTo?.searchParams.get("resource"), `${url}/mcp`)
      assert.strictEqual(user.stored.sentTo?.searchParams.get("code_challenge_method"), "S256")
      assert.deepStrictEqual([...new Set(asked)], [`${url}/mcp`])
      const { tools } = yield* Effect.promise(() => client.listTools())
      assert.deepStrictEqual(tools.map(({ name }) => name), ["answer_run", "archive", "cancel_run", "get_run", "notes"])
      assert.include(JSON.stringify(yield* call(client, "archive")), "archived")
    }).pipe(Effect.scoped))

  it.live("a token without a scope leads to a second consent for all scopes of the operation", () =>
    Effect.gen(function*() {
      const { state, url } = yield* start("/mcp")
      state.allowed = ["notes:read"]
      const user = makeUser()
      const { client, transport } = yield* connect(new URL(`${url}/mcp`), user)
      assert.include(JSON.stringify(yield* call(client, "notes")), "a note")
      state.allowed = all
      yield* Effect.flip(call(client, "archive"))
      assert.deepStrictEqual(scopesIn(user.stored.sentTo), all)
      yield* consent(transport, user.stored)
      assert.include(JSON.stringify(yield* call(client, "archive")), "archived")
    }).pipe(Effect.scoped))

  it.live("under a prefix a token for the whole host is found and accepted", () =>
    Effect.gen(function*() {
      const { url } = yield* start("", { prefix: "/agents" })
      const user = makeUser()
      const { client } = yield* connect(new URL(`${url}/agents/mcp`), user)
      assert.strictEqual(user.stored.sentTo?.searchParams.get("resource"), url)
      assert.include(JSON.stringify(yield* call(client, "notes")), "a note")
    }).pipe(Effect.scoped))

  it.live("a token for another resource of the issuer is refused, and its challenge names the metadata", () =>
    Effect.gen(function*() {
      const one = yield* start("/mcp")
      const other = yield* start("/other")
      const user = makeUser()
      yield* connect(new URL(`${one.url}/mcp`), user)
      const response = yield* Effect.promise(() =>
        fetch(`${other.url}/mcp`, {
          method: "POST",
          headers: { authorization: `Bearer ${user.stored.tokens?.access_token}` },
          body: "{}"
        })
      )
      assert.strictEqual(response.status, 401)
      assert.strictEqual(
        response.headers.get("www-authenticate"),
        `Bearer realm="agents", error="invalid_token", ` +
          `resource_metadata="${other.url}/.well-known/oauth-protected-resource/mcp", scope="notes:read notes:write"`
      )
    }).pipe(Effect.scoped))
})
