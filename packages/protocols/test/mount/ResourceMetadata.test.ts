import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Audit, Auth, Budget, Principal, RateLimit, RunError, RunStore } from "@fastagentic/core"
import { Mount } from "@fastagentic/protocols/mount"
import { Effect, Layer, Schema } from "effect"
import { raw } from "../http/rest.ts"
import { headers as mcpHeaders } from "../mcp/wire.ts"
import { serveHost } from "./support.ts"

class Read extends Agent.make("read", { description: "Reads", payload: {}, scopes: ["notes:read"] }) {}
class Write
  extends Agent.make("write", { description: "Writes", payload: {}, scopes: ["notes:read", "notes:write"] })
{}
class Desk extends App.make("desk", { version: "1.0.0", title: "The desk", agents: [Read, Write] }) {}

const issuer = "https://id.example.com"
const reader = new Principal.Principal({ id: "ada", tenant: "acme", scopes: ["notes:read"], roles: [], claims: {} })

/** Takes one token of an issuer. */
const tokens = (...audiences: ReadonlyArray<string>) =>
  Layer.succeed(Auth.Auth, {
    open: false,
    schemes: ["bearer"],
    issuers: [{ issuer, audiences }],
    authenticate: ({ bearer }) =>
      bearer === undefined
        ? Effect.fail(new RunError.Unauthenticated({ reason: "credentials are required" }))
        : Effect.succeed(reader)
  })

const serve = (options: Mount.Options, auth: Layer.Layer<Auth.Auth>) =>
  serveHost(
    Mount.layer(Desk, { grace: "100 millis", ...options }).pipe(
      Layer.provide(Layer.merge(Read.toLayer(() => Effect.succeed("")), Write.toLayer(() => Effect.succeed("")))),
      Layer.provide([
        auth,
        RunStore.RunStore.layerMemory,
        RateLimit.layerUnlimited,
        Budget.layerUnlimited,
        Audit.layerMemory
      ])
    )
  )

const wellKnown = "/.well-known/oauth-protected-resource"

const Metadata = Schema.Struct({ resource: Schema.String })
const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Metadata))

const resourceAt = (url: string, path: string, headers: Record<string, string> = {}) =>
  Effect.map(raw(url, path, { headers }), ({ body, status }) => status === 200 ? decode(body).resource : status)

const call = (name: string) => JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name } })

const challengeAt = (
  url: string,
  path: string,
  options: { readonly body?: string; readonly headers?: Record<string, string> } = {}
) =>
  Effect.map(
    raw(url, path, { method: "POST", body: options.body ?? "{}", headers: { ...mcpHeaders, ...options.headers } }),
    ({ headers, status }) => `${status} ${headers["www-authenticate"]}`
  )

describe("Protected resource metadata", () => {
  it.live("is public at the root and at the path of MCP, and challenges of every protocol name it", () =>
    Effect.gen(function*() {
      const url = yield* serve({}, tokens("https://elsewhere.example.com"))
      assert.deepStrictEqual(JSON.parse((yield* raw(url, `${wellKnown}/mcp`)).body), {
        resource: `${url}/mcp`,
        authorization_servers: [issuer],
        scopes_supported: ["notes:read", "notes:write"],
        bearer_methods_supported: ["header"],
        resource_name: "The desk"
      })
      assert.strictEqual(yield* resourceAt(url, wellKnown), url)
      assert.strictEqual(yield* resourceAt(url, `${wellKnown}/other`), 404)
      assert.strictEqual(
        yield* challengeAt(url, "/mcp"),
        `401 Bearer resource_metadata="${url}${wellKnown}/mcp", scope="notes:read notes:write"`
      )
      for (const path of ["/agents/read", "/a2a"]) {
        assert.strictEqual(
          yield* challengeAt(url, path, { headers: { "a2a-version": "1.0" }, body: "{\"method\":\"ListTasks\"}" }),
          `401 Bearer resource_metadata="${url}${wellKnown}"`
        )
      }
    }).pipe(Effect.scoped))

  it.live("names all scopes of an operation to a caller that lacks some, before a stream opens", () =>
    Effect.gen(function*() {
      const url = yield* serve({}, tokens())
      const headers = { authorization: "Bearer token" }
      const scopes = "scope=\"notes:read notes:write\""
      const insufficient = `403 Bearer realm="agents", error="insufficient_scope", ${scopes}`
      assert.strictEqual(
        yield* challengeAt(url, "/mcp", { headers, body: call("write") }),
        `${insufficient}, resource_metadata="${url}${wellKnown}/mcp"`
      )
      assert.strictEqual(
        yield* challengeAt(url, "/agents/write", { headers: { ...headers, accept: "text/event-stream" } }),
        `${insufficient}, resource_metadata="${url}${wellKnown}"`
      )
    }).pipe(Effect.scoped))

  it.live("under a prefix is where the RFC puts it, and with a public URL or a trusted proxy names their addresses", () =>
    Effect.gen(function*() {
      const direct = yield* serve({ prefix: "/desk" }, tokens())
      assert.strictEqual(yield* resourceAt(direct, `${wellKnown}/desk/mcp`), `${direct}/desk/mcp`)
      assert.strictEqual(yield* resourceAt(direct, `${wellKnown}/desk`), `${direct}/desk`)
      assert.strictEqual(yield* resourceAt(direct, `/desk${wellKnown}/mcp`), `${direct}/desk/mcp`)
      assert.strictEqual(yield* resourceAt(direct, `${wellKnown}/mcp`), 404)

      const publicUrl = "https://agents.example.com/v1"
      const named = yield* serve({ prefix: "/desk", publicUrl }, tokens(publicUrl, "https://agents.example.com"))
      for (const path of [`${wellKnown}/v1/mcp`, `${wellKnown}/desk/mcp`, `/desk${wellKnown}/mcp`]) {
        assert.strictEqual(yield* resourceAt(named, path), publicUrl, path)
      }
      assert.include(yield* challengeAt(named, "/desk/mcp"), `resource_metadata="${publicUrl}${wellKnown}/mcp"`)

      const forwarded = { "x-forwarded-host": "proxy.example.com", "x-forwarded-proto": "https" }
      const behind = yield* serve({ guards: { proxies: ["127.0.0.1"] } }, tokens())
      const resource = "https://proxy.example.com/mcp"
      assert.strictEqual(yield* resourceAt(behind, `${wellKnown}/mcp`, forwarded), resource)
      const untrusted = yield* serve({}, tokens())
      assert.strictEqual(yield* resourceAt(untrusted, `${wellKnown}/mcp`, forwarded), `${untrusted}/mcp`)
    }).pipe(Effect.scoped))

  it.live("is readable by pages of listed origins only, after a preflight", () =>
    Effect.gen(function*() {
      const app = "https://app.example.com"
      const url = yield* serve({ prefix: "/desk", cors: [app] }, tokens())
      const asked = { "access-control-request-method": "GET", "access-control-request-headers": "mcp-protocol-version" }
      for (const path of [`${wellKnown}/desk/mcp`, `/desk${wellKnown}/mcp`]) {
        const preflight = yield* raw(url, path, { method: "OPTIONS", headers: { origin: app, ...asked } })
        assert.strictEqual(preflight.status, 204)
        assert.include(String(preflight.headers["access-control-allow-headers"]), "mcp-protocol-version")
        const read = yield* raw(url, path, { headers: { origin: app } })
        assert.strictEqual(read.headers["access-control-allow-origin"], app)
        const evil = "https://evil.example"
        assert.strictEqual((yield* raw(url, path, { headers: { origin: evil } })).status, 403)
      }
      const refused = yield* raw(url, "/desk/mcp", { method: "POST", body: "{}", headers: { origin: app } })
      assert.strictEqual(refused.status, 401)
      assert.include(String(refused.headers["access-control-expose-headers"]), "www-authenticate")
    }).pipe(Effect.scoped))

  it.live("does not exist without an issuer", () =>
    Effect.gen(function*() {
      const url = yield* serve({}, Auth.layerKeys([]))
      assert.strictEqual(yield* resourceAt(url, `${wellKnown}/mcp`), 404)
      assert.strictEqual(yield* challengeAt(url, "/mcp"), "401 Bearer, ApiKey realm=\"agents\"")
    }).pipe(Effect.scoped))
})
