import { type AgentCard, canonicalizeAgentCard, verifyAgentCardSignature } from "@a2a-js/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Auth, Principal } from "@fastagentic/core"
import { CardSigner } from "@fastagentic/protocols/a2a"
import { Effect, Layer, Redacted } from "effect"
import { textsOf } from "../../src/a2a/A2aCanonical.ts"
import { layerRuntime, mounted, serve } from "../fixture.ts"
import { list, object, wires } from "./wires.ts"

const keys = [Redacted.make("9d".repeat(32)), Redacted.make("4c".repeat(32))] as const

const start = (auth?: Layer.Layer<Auth.Auth>) =>
  serve(
    mounted("a2a").pipe(Layer.provide(CardSigner.CardSigner.layer(keys)), Layer.provide(layerRuntime(auth)))
  )

const get = (url: string, headers: Record<string, string> = {}) =>
  Effect.promise(async () => object(await (await fetch(url, { headers })).json()))

/** Looks a key up at the address that the signature names, as a client does. */
const byAddress = (own: string, only?: string) => async (kid: string, jku = "") => {
  if (jku !== `${own}/a2a/.well-known/jwks.json`) throw new Error(`an unexpected address: ${jku}`)
  const { keys } = object(await (await fetch(jku)).json())
  const found = list(keys).map(object).find((key) => key["kid"] === kid && (only === undefined || only === kid))
  if (found === undefined) throw new Error("no such key")
  return found
}

/**
 * The official client reads a card once more before it canonicalizes it, and loses the security schemes of one that it has read
 * already, so it gets the JSON.
 */
const canonicalOf = (card: object) =>
  // cast: the client reads the JSON of a card here, whatever the type says.
  canonicalizeAgentCard(card as AgentCard)

const verify = (card: object, own: string, only?: string) =>
  Effect.promise(() =>
    // cast: as above.
    verifyAgentCardSignature(byAddress(own, only))(card as AgentCard).then(() => true, () => false)
  )

describe("A signed card", () => {
  for (const [name, auth] of [["without", undefined], ["with", Auth.layerKeys([])]] as const) {
    it.live(`${name} security schemes is verified by the official client, in both of its forms and with each key`, () =>
      Effect.gen(function*() {
        const url = yield* start(auth)
        const at = `${url}/.well-known/agent-card.json`
        const { keys: published } = yield* get(`${url}/a2a/.well-known/jwks.json`)
        assert.strictEqual(list(published).length, 2)
        assert.notInclude(JSON.stringify(published), "\"d\"")
        for (const headers of [{ "a2a-version": "1.0" }, {}]) {
          for (
            const card of [yield* get(at, headers), yield* get(`${url}/a2a/echo/.well-known/agent-card.json`, headers)]
          ) {
            assert.isTrue(yield* verify(card, url))
            for (const { kid } of list(published).map(object)) assert.isTrue(yield* verify(card, url, String(kid)))
            assert.isFalse(yield* verify({ ...card, description: "another" }, url))
            assert.isFalse(yield* verify({ ...card, supportedInterfaces: [] }, url))
          }
        }
      }).pipe(Effect.scoped))
  }

  it.live("is verified as well when it is the extended one of a caller, over all bindings and in both versions", () =>
    Effect.gen(function*() {
      const principal = new Principal.Principal({ id: "ann", tenant: "acme", scopes: [], roles: [], claims: {} })
      const url = yield* start(Auth.layerKeys([{ key: Redacted.make("key-of-ann"), principal }]))
      for (const wire of wires) {
        const { error, json } = yield* wire.call(`${url}/a2a`, "card", {}, { "x-api-key": "key-of-ann" })
        assert.isUndefined(error, wire.name)
        const card = wire.binding === "JSON-RPC" ? object(object(json)["result"]) : object(json)
        assert.isTrue(yield* verify(card, url), wire.name)
        assert.isFalse(yield* verify({ ...card, skills: [] }, url), wire.name)
      }
    }).pipe(Effect.scoped))

  it("has among its texts the one of the official client, and the one of the specification", async () => {
    const card = {
      name: "a",
      description: "",
      version: "1",
      supportedInterfaces: [{ url: "https://a", protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
      capabilities: { streaming: true, pushNotifications: false },
      securitySchemes: { bearer: { httpAuthSecurityScheme: { scheme: "Bearer" } } },
      securityRequirements: [{ schemes: { bearer: { list: [] } } }],
      defaultInputModes: ["text/plain"],
      defaultOutputModes: ["text/plain"],
      skills: [{ id: "ż", name: "10", description: "9", tags: ["t"], inputModes: [], outputModes: [] }]
    }
    const texts = textsOf({ ...card, signatures: [{ protected: "x", signature: "y" }] })
    assert.include(texts, canonicalOf(card))
    assert.isTrue(texts.some((text) => text.includes("\"securityRequirements\":[{\"schemes\":{\"bearer\":{}}}]")))
  })
})
