import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, Principal, RateLimit, Runtime } from "@fastagentic/core"
import { A2aSchema } from "@fastagentic/protocols/a2a"
import { Effect, Layer, Redacted, Schema } from "effect"
import { layerRuntime, mounted, mountedWith, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"
import { connect, start } from "./support.ts"

const get = (url: string, headers: Record<string, string> = {}) => Effect.promise(() => fetch(url, { headers }))

const card = (url: string) =>
  Effect.gen(function*() {
    const response = yield* get(url)
    assert.strictEqual(response.status, 200)
    return yield* Schema.decodeUnknownEffect(A2aSchema.AgentCard)(yield* Effect.promise(() => response.json()))
  })

describe("A2A card", () => {
  it.live("lists the agents of the app", () =>
    Effect.gen(function*() {
      const url = yield* start()
      assert.deepStrictEqual(yield* card(`${url}/.well-known/agent-card.json`), {
        name: "Acme",
        description: "A support desk",
        version: "1.0.0",
        supportedInterfaces: [
          { url: `${url}/a2a`, protocolBinding: "JSONRPC", protocolVersion: "1.0" },
          { url: `${url}/a2a`, protocolBinding: "HTTP+JSON", protocolVersion: "1.0" },
          { url: `${url}/a2a`, protocolBinding: "JSONRPC", protocolVersion: "0.3" },
          { url: `${url}/a2a`, protocolBinding: "HTTP+JSON", protocolVersion: "0.3" }
        ],
        capabilities: { streaming: true, pushNotifications: false, extendedAgentCard: false },
        defaultInputModes: ["text/plain", "application/json"],
        defaultOutputModes: ["text/plain", "application/json"],
        skills: [
          {
            id: "echo",
            name: "echo",
            description: "Says what you say",
            tags: ["acme"],
            inputModes: ["text/plain", "application/json"],
            outputModes: ["text/plain"]
          },
          {
            id: "support",
            name: "support",
            description: "Answers questions about an order\n\nPrompts: triage (Sort a complaint by severity)",
            tags: ["acme", "durable"],
            examples: ["Where is order 1042?"],
            inputModes: ["text/plain", "application/json"],
            outputModes: ["application/json", "text/plain"]
          }
        ]
      })
      assert.deepStrictEqual(
        yield* card(`${url}/.well-known/agent.json`),
        yield* card(`${url}/.well-known/agent-card.json`)
      )
    }).pipe(Effect.scoped))

  it.live("is resolved by the SDK's client", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const client = yield* connect(url)
      const resolved = yield* Effect.promise(() => client.getAgentCard())
      assert.strictEqual(resolved.name, "Acme")
      assert.deepStrictEqual(resolved.skills.map((skill) => skill.id), ["echo", "support"])
    }).pipe(Effect.scoped))

  it.live("is answered with 304 when its ETag matches", () =>
    Effect.gen(function*() {
      const url = `${yield* start()}/.well-known/agent-card.json`
      const first = yield* get(url)
      const etag = first.headers.get("etag") ?? ""
      assert.match(etag, /^"[0-9a-f]{32}"$/u)
      assert.strictEqual(first.headers.get("cache-control"), "public, max-age=300")
      assert.match(first.headers.get("last-modified") ?? "", /GMT$/u)
      const second = yield* get(url, { "if-none-match": `"other", W/${etag}` })
      assert.strictEqual(second.status, 304)
      assert.strictEqual(second.headers.get("etag"), etag)
      assert.strictEqual((yield* get(url, { "if-none-match": "\"other\"" })).status, 200)
    }).pipe(Effect.scoped))

  it.live("names the accepted credentials", () =>
    Effect.gen(function*() {
      const url = yield* start(Auth.layerKeys([]))
      const { securityRequirements, securitySchemes } = yield* card(`${url}/.well-known/agent-card.json`)
      assert.deepStrictEqual(securitySchemes, {
        bearer: { httpAuthSecurityScheme: { scheme: "Bearer" } },
        apiKey: { apiKeySecurityScheme: { location: "header", name: "X-API-Key" } }
      })
      assert.deepStrictEqual(securityRequirements, [
        { schemes: { bearer: { list: [] } } },
        { schemes: { apiKey: { list: [] } } }
      ])
    }).pipe(Effect.scoped))

  it.live("exists for each agent", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const echo = yield* card(`${url}/a2a/echo/.well-known/agent-card.json`)
      assert.strictEqual(echo.name, "echo")
      assert.strictEqual(echo.supportedInterfaces[0]?.url, `${url}/a2a/echo`)
      assert.deepStrictEqual(echo.skills.map((skill) => skill.id), ["echo"])
      assert.strictEqual((yield* get(`${url}/a2a/nobody/.well-known/agent-card.json`)).status, 404)
    }).pipe(Effect.scoped))

  it.live("has the first icon with an address, of its agent or else of the app", () =>
    Effect.gen(function*() {
      const icon = (src: string) => ({ src: `https://example.com/${src}.png` })
      const Plain = Agent.make("plain", { description: "Has no icon", payload: {} })
      const Drawn = Agent.make("drawn", {
        description: "Has an icon",
        payload: {},
        presentation: { icons: [{ src: "data:image/png;base64,AA==" }, icon("agent")] }
      })
      const Looks = App.make("looks", { version: "1", agents: [Plain, Drawn], icons: [icon("app")] })
      const handlers = Layer.merge(Plain.toLayer(() => Effect.succeed("")), Drawn.toLayer(() => Effect.succeed("")))
      const runtime = Runtime.layer(Looks).pipe(
        Layer.provide(handlers),
        Layer.provideMerge(
          Layer.mergeAll(layerStores, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited)
        )
      )
      const url = yield* serve(mounted("a2a").pipe(Layer.provide(runtime)))
      const paths = ["", "/a2a/plain", "/a2a/drawn"]
      const cards = yield* Effect.forEach(paths, (path) => card(`${url}${path}/.well-known/agent-card.json`))
      assert.deepStrictEqual(cards.map(({ iconUrl }) => iconUrl), [icon("app").src, icon("app").src, icon("agent").src])
    }).pipe(Effect.scoped))

  it.live("has the public address of the server", () =>
    Effect.gen(function*() {
      const url = yield* serve(
        mountedWith({ publicUrl: "https://agents.example.com/acme" }, "a2a").pipe(
          Layer.provide(layerRuntime())
        )
      )
      const { supportedInterfaces } = yield* card(`${url}/.well-known/agent-card.json`)
      assert.strictEqual(supportedInterfaces[0]?.url, "https://agents.example.com/acme/a2a")
    }).pipe(Effect.scoped))

  it.live("has the provider, documentation, titles and tags of the declarations, and the issuers of tokens", () =>
    Effect.gen(function*() {
      class Clerk extends Agent.make("clerk", {
        description: "Files papers",
        payload: { paper: Schema.String },
        scopes: ["file"],
        presentation: { title: "The clerk", tags: ["paper", "durable"] }
      }) {}
      const provider = { organization: "Acme", url: "https://acme.example.com" }
      const documentationUrl = "https://acme.example.com/docs"
      class Office extends App.make("office", { version: "2.0.0", agents: [Clerk], provider, documentationUrl }) {}
      const tokenUrl = "https://login.example.com/token"
      const scopes = { file: "File papers" }
      const flows: ReadonlyArray<Auth.OAuthFlow> = [
        {
          type: "authorizationCode",
          authorizationUrl: "https://login.example.com/authorize",
          tokenUrl,
          scopes,
          pkceRequired: true
        },
        { type: "clientCredentials", tokenUrl, scopes },
        { type: "deviceCode", deviceAuthorizationUrl: "https://login.example.com/device", tokenUrl, scopes }
      ]
      const auth = Layer.effect(
        Auth.Auth,
        Effect.map(Auth.Auth, (auth) => ({
          ...auth,
          issuers: [{ issuer: "https://login.example.com/", audiences: ["office"], flows }]
        }))
      ).pipe(Layer.provide(Auth.layerKeys([{
        key: Redacted.make("key"),
        principal: new Principal.Principal({ id: "ann", tenant: "acme", scopes: ["file"], roles: [], claims: {} })
      }])))
      const url = yield* serve(
        mounted("a2a").pipe(Layer.provide(
          Runtime.layer(Office).pipe(
            Layer.provide(Clerk.toLayer(({ paper }) => Effect.succeed(paper))),
            Layer.provideMerge(Layer.mergeAll(layerStores, auth, RateLimit.layerUnlimited, Budget.layerUnlimited))
          )
        ))
      )
      const plain = yield* card(`${url}/.well-known/agent-card.json`)
      assert.deepInclude(plain, { provider, documentationUrl })
      const openIdConnectUrl = "https://login.example.com/.well-known/openid-configuration"
      assert.deepStrictEqual(plain.securitySchemes?.["oidc"], { openIdConnectSecurityScheme: { openIdConnectUrl } })
      for (const [name, flow] of [["oauth2", flows[0]], ["oauth22", flows[1]], ["oauth23", flows[2]]] as const) {
        const { type = "", ...fields } = flow ?? {}
        const shown: unknown = plain.securitySchemes?.[name]
        assert.deepStrictEqual(shown, { oauth2SecurityScheme: { flows: { [type]: fields } } })
      }
      assert.deepStrictEqual(plain.securityRequirements?.map(({ schemes }) => Object.keys(schemes)), [
        ["oauth2"],
        ["oauth22"],
        ["oauth23"],
        ["oidc"],
        ["bearer"],
        ["apiKey"]
      ])
      const hybrid = yield* Effect.promise(async () =>
        Object(await (await fetch(`${url}/.well-known/agent-card.json`)).json())
      )
      assert.deepInclude(hybrid.securitySchemes.oauth22, {
        type: "oauth2",
        flows: { clientCredentials: { tokenUrl, scopes } }
      })
      assert.deepInclude(hybrid.securitySchemes.oidc, { type: "openIdConnect", openIdConnectUrl })
      const extended = yield* Effect.promise(async () =>
        Object(
          await (await fetch(`${url}/a2a/extendedAgentCard`, {
            headers: { "a2a-version": "1.0", authorization: "Bearer key" }
          })).json()
        )
      )
      assert.deepInclude(extended.skills[0], { name: "The clerk", tags: ["paper", "durable", "office"] })
      for (const name of ["oauth2", "oidc"]) {
        assert.deepInclude(extended.skills[0].securityRequirements, { schemes: { [name]: { list: ["file"] } } })
      }
    }).pipe(Effect.scoped))

  it.live("takes no link that is not one of a page", () =>
    Effect.gen(function*() {
      class Odd extends App.make("odd", { version: "1.0.0", documentationUrl: "javascript:alert(1)" }) {}
      const built = yield* Effect.flip(Layer.build(
        Runtime.layer(Odd).pipe(
          Layer.provide(Layer.mergeAll(layerStores, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited))
        )
      ))
      assert.include(built.message, "its link \"javascript:alert(1)\" is no http or https address")
    }).pipe(Effect.scoped))
})
