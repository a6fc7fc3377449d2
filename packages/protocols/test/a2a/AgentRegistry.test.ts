import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, Principal, RateLimit, Runtime } from "@fastagentic/core"
import { A2aRemote, AgentRegistry, CardSigner } from "@fastagentic/protocols/a2a"
import { Effect, Layer, Redacted, Schema } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as A2aVerify from "../../src/a2a/A2aVerify.ts"
import { layerRuntime, mounted, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"
import { type Json, list, object } from "./wires.ts"

/** A server with a signed card. */
const there = serve(
  mounted("a2a").pipe(
    Layer.provide(CardSigner.CardSigner.layer([Redacted.make("9d".repeat(32))])),
    Layer.provide(layerRuntime())
  )
)

class Clerk extends Agent.make("clerk", {
  description: "Files papers",
  payload: { text: Schema.String },
  examples: ["File this", "Find my paper"],
  presentation: { title: "The clerk", tags: ["Office"] }
}) {}
class Secret extends Agent.make("secret", { description: "Knows all", payload: {}, scopes: ["boss"] }) {}
class Desk extends A2aRemote.agent("desk", { description: "Support of another company" }) {}
class Here extends App.make("here", {
  version: "2.0.0",
  title: "Here",
  agents: [Clerk, Secret, Desk],
  provider: { organization: "Here Ltd", url: "https://here.example" }
}) {}

const auth = Auth.layerKeys([{
  key: Redacted.make("key-of-ann"),
  principal: new Principal.Principal({ id: "ann", tenant: "acme", scopes: [], roles: [], claims: {} })
}])
const ann = { authorization: "Bearer key-of-ann" }

const serveHere = (agents: Parameters<typeof AgentRegistry.layer>[0], remote: A2aRemote.Options) => {
  const registry = AgentRegistry.layer(agents, { refresh: "50 millis" }).pipe(Layer.provide(FetchHttpClient.layer))
  return serve(
    mounted("rest", "a2a").pipe(
      Layer.provide(
        Runtime.layer(Here).pipe(
          Layer.provide(Layer.mergeAll(
            Clerk.toLayer(() => Effect.succeed("filed")),
            Secret.toLayer(() => Effect.succeed("all")),
            A2aRemote.toLayer(Desk, remote).pipe(Layer.provide(FetchHttpClient.layer))
          )),
          Layer.provideMerge(Layer.mergeAll(layerStores, auth, RateLimit.layerUnlimited, Budget.layerUnlimited))
        )
      ),
      Layer.provide(registry)
    )
  )
}

const read = (url: string, headers: Record<string, string> = {}) =>
  Effect.promise(async () => {
    const response = await fetch(url, { headers })
    return { status: response.status, headers: response.headers, json: object(await response.json()) }
  })

const items = (json: Json) => list(json["items"]).map(object)

const untilListed = Effect.fnUntraced(function*(url: string, identifiers: ReadonlyArray<string>) {
  while (true) {
    const { json } = yield* read(`${url}/agents?source=external`, ann)
    const found = items(json)
    if (found.length >= identifiers.length) return found
    yield* Effect.sleep("20 millis")
  }
})

describe("The registry of agents", () => {
  it.live("lists agents of the app and of other servers, by words, by tag and by source", () =>
    Effect.gen(function*() {
      const url = yield* there
      const at = `${url}/.well-known/agent-card.json`
      const here = yield* serveHere({
        acme: { url: at, keys: `${url}/a2a/.well-known/jwks.json`, listed: true },
        inner: { url: `${url}/a2a/echo/.well-known/agent-card.json` },
        // This card is not signed by a key that its entry trusts.
        forged: { url: at, keys: [{ kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] },
        gone: { url: `${url}/nothing` }
      }, { url: at })
      const [acme, inner, ...more] = yield* untilListed(here, ["acme", "inner"])
      assert.deepStrictEqual(more, [])
      assert.deepInclude(acme, {
        identifier: "acme",
        title: "Acme",
        description: "A support desk",
        version: "1.0.0",
        card: at,
        source: "external",
        verified: true
      })
      assert.deepInclude(inner, { identifier: "inner", verified: false })
      const names = (query: string, headers = ann) =>
        Effect.map(read(`${here}/agents${query}`, headers), ({ json }) => items(json).map((one) => one["identifier"]))
      assert.deepStrictEqual(yield* names(""), ["clerk", "desk"])
      assert.deepStrictEqual(yield* names("?source=all"), ["clerk", "desk", "acme", "inner"])
      assert.deepStrictEqual(yield* names("?query=find%20PAPER"), ["clerk"])
      assert.deepStrictEqual(yield* names("?query=paper%20nothing&source=all"), [])
      assert.deepStrictEqual(yield* names("?tag=office"), ["clerk"])
      assert.deepStrictEqual(yield* names("?query=support&source=all"), ["desk", "acme"])
      assert.deepStrictEqual(yield* names("?tag=acme&source=external"), ["acme", "inner"])
      assert.strictEqual((yield* read(`${here}/agents?source=all`)).status, 401)
      assert.strictEqual((yield* read(`${here}/agents?source=some`, ann)).status, 400)
    }).pipe(Effect.scoped))

  it.live("names public agents of the app, and those of others that are to be listed, in the AI Catalog", () =>
    Effect.gen(function*() {
      const url = yield* there
      const at = `${url}/.well-known/agent-card.json`
      const here = yield* serveHere({ acme: { url: at, listed: true }, inner: { url: at } }, { url: at })
      yield* untilListed(here, ["acme", "inner"])
      const { headers, json, status } = yield* read(`${here}/.well-known/ai-catalog.json`)
      assert.deepStrictEqual([status, headers.get("content-type"), headers.get("access-control-allow-origin")], [
        200,
        "application/json",
        "*"
      ])
      assert.deepStrictEqual([json["specVersion"], json["host"]], ["1.0", { displayName: "Here Ltd" }])
      const entries = list(json["entries"]).map(object)
      assert.deepStrictEqual(entries.map(({ identifier, type }) => [identifier, type]), [
        ["urn:air:127.0.0.1:agent:clerk", "application/a2a-agent-card+json"],
        ["urn:air:127.0.0.1:agent:desk", "application/a2a-agent-card+json"],
        ["urn:air:127.0.0.1:agent:acme", "application/a2a-agent-card+json"]
      ])
      assert.deepInclude(entries[0], {
        displayName: "The clerk",
        representativeQueries: ["File this", "Find my paper"],
        tags: ["Office"],
        version: "2.0.0"
      })
      for (const { url } of entries) {
        const card = yield* read(String(url))
        assert.deepStrictEqual([card.status, list(card.json["supportedInterfaces"]).length > 0], [200, true])
      }
      assert.notInclude(JSON.stringify(json), "secret")
    }).pipe(Effect.scoped))
})

describe("A remote agent whose card has to be signed", () => {
  for (
    const [name, keys, tag] of [
      ["is called when one of the keys has signed it", undefined, "completed"],
      ["is refused without a signature of them", [], "failed"]
    ] as const
  ) {
    it.live(name, () =>
      Effect.gen(function*() {
        const url = yield* there
        const trusted = keys ?? `${url}/a2a/.well-known/jwks.json`
        const here = yield* serveHere({}, { url: `${url}/.well-known/agent-card.json`, keys: trusted, skill: "echo" })
        const answer = yield* Effect.promise(() =>
          fetch(`${here}/agents/desk`, {
            method: "POST",
            headers: { "content-type": "application/json", ...ann },
            body: JSON.stringify({ message: [{ type: "text", text: "hi" }] })
          }).then((response) => response.text())
        )
        assert.include(answer, tag === "completed" ? "hi" : "CARD_NOT_SIGNED")
      }).pipe(Effect.scoped))
  }

  it.effect("is verified with the algorithms of keys alone, and never by what the card itself says", () =>
    Effect.gen(function*() {
      const card = { name: "a", description: "d", version: "1" }
      const { subtle } = globalThis.crypto
      const sign = (header: Json, algorithm: Parameters<typeof subtle.sign>[0], key: CryptoKey) =>
        Effect.promise(async () => {
          const encoded = Buffer.from(JSON.stringify(header)).toString("base64url")
          const text = `${encoded}.${
            Buffer.from("{\"description\":\"d\",\"name\":\"a\",\"version\":\"1\"}").toString("base64url")
          }`
          const signature = await subtle.sign(algorithm, key, Buffer.from(text))
          return {
            ...card,
            signatures: [{ protected: encoded, signature: Buffer.from(signature).toString("base64url") }]
          }
        })
      const ecdsa = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }
      const rsa = {
        name: "RSASSA-PKCS1-v1_5",
        modulusLength: 2048,
        publicExponent: new Uint8Array([1, 0, 1]),
        hash: "SHA-256"
      }
      for (const [alg, algorithm] of [["ES256", ecdsa], ["RS256", rsa]] as const) {
        const pair = yield* Effect.promise(() => subtle.generateKey(algorithm, true, ["sign", "verify"]))
        const jwk = yield* Effect.promise(() => subtle.exportKey("jwk", pair.publicKey))
        const key = Schema.decodeUnknownSync(A2aVerify.PublicKey)({ ...jwk, kid: "k" })
        const signed = yield* sign({ alg, kid: "k" }, algorithm, pair.privateKey)
        assert.isTrue(yield* A2aVerify.isSigned(signed, [key]))
        assert.isTrue(yield* A2aVerify.isSigned({ ...signed, url: "a field of 0.3" }, [key]))
        assert.isFalse(yield* A2aVerify.isSigned({ ...signed, description: "e" }, [key]))
        assert.isFalse(yield* A2aVerify.isSigned(signed, []))
        assert.isFalse(yield* A2aVerify.isSigned(signed, [{ ...key, kid: "other" }]))
        assert.isFalse(yield* A2aVerify.isSigned(signed, [{ ...key, alg: "EdDSA" }]))
        for (
          const header of [{ alg: "none", kid: "k" }, { alg: "HS256", kid: "k" }, { alg, kid: "k", crit: ["b64"] }]
        ) {
          const odd = yield* sign(header, algorithm, pair.privateKey)
          assert.isFalse(yield* A2aVerify.isSigned(odd, [key]), JSON.stringify(header))
        }
      }
    }))
})
