import { assert, describe, it } from "@effect/vitest"
import { Auth } from "@fastagentic/core"
import { A2aSchema } from "@fastagentic/protocols/a2a"
import { Effect, Layer, Schema } from "effect"
import { layerRuntime, mountedWith, serve } from "../fixture.ts"
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
})
