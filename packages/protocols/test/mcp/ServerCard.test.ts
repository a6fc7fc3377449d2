import { assert, describe, it } from "@effect/vitest"
import { App, Auth, Principal } from "@fastagentic/core"
import { Effect, Layer, Redacted } from "effect"
import * as ServerCard from "../../src/mcp/ServerCard.ts"
import { layerRuntime, mountedWith, serve } from "../fixture.ts"

const keys = Auth.layerKeys([{ key: Redacted.make("right"), principal: Principal.local }])

const read = (url: string, headers: Record<string, string> = {}) =>
  Effect.promise(async () => {
    const response = await fetch(url, { headers })
    const text = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: text === "" ? undefined : JSON.parse(text)
    }
  })

describe("The card of an MCP server", () => {
  it.live("is public, is found through the AI Catalog, and names the endpoint but no tools", () =>
    Effect.gen(function*() {
      const options = { publicUrl: "https://agents.example.com/desk" }
      const url = yield* serve(Layer.provide(mountedWith(options, "mcp"), layerRuntime(keys)))
      const { headers, json, status, text } = yield* read(`${url}/mcp/server-card`)
      assert.strictEqual(status, 200)
      assert.strictEqual(headers.get("content-type"), "application/mcp-server-card+json")
      assert.strictEqual(headers.get("access-control-allow-origin"), "*")
      assert.deepStrictEqual(json, {
        $schema: "https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json",
        name: "com.example.agents/acme",
        version: "1.0.0",
        description: "A support desk",
        title: "Acme",
        remotes: [{
          type: "streamable-http",
          url: "https://agents.example.com/desk/mcp",
          headers: [
            { name: "Authorization", description: "Bearer and a token or an API key", isSecret: true },
            { name: "X-Api-Key", description: "An API key", isSecret: true }
          ],
          supportedProtocolVersions: ["2026-07-28", "2025-11-25", "2025-06-18"]
        }]
      })
      assert.notInclude(text, "refund_order")
      const again = yield* read(`${url}/mcp/server-card`, { "if-none-match": headers.get("etag") ?? "" })
      assert.deepStrictEqual([again.status, again.text], [304, ""])
      const catalog = yield* read(`${url}/.well-known/ai-catalog.json`)
      assert.deepStrictEqual(catalog.json.entries, [{
        identifier: "urn:air:agents.example.com:mcp:acme",
        displayName: "Acme",
        type: "application/mcp-server-card+json",
        url: "https://agents.example.com/desk/mcp/server-card",
        version: "1.0.0"
      }])
      const entry = yield* read(`${url}/mcp/server.json`)
      assert.deepInclude(entry.json, {
        $schema: "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        name: "com.example.agents/acme"
      })
      assert.notProperty(entry.json.remotes[0], "supportedProtocolVersions")
    }).pipe(Effect.scoped))

  it("has the domain of its provider, and texts and icons that a registry takes", () => {
    const app = App.make("a b/c", {
      version: "1",
      description: "é".repeat(150),
      provider: { organization: "Acme", url: "https://www.acme.example" },
      icons: [{ src: "data:image/png;base64,AA==" }, { src: "https://acme.example/i.png", sizes: ["48x48"] }]
    })
    const address = { origin: "http://127.0.0.1:3000", path: "" }
    const access = { open: true, schemes: [], issuers: [] }
    const entry = ServerCard.registryEntry(app, address, access)
    assert.deepInclude(entry, {
      name: "example.acme.www/a-b-c",
      description: `${"é".repeat(99)}…`,
      websiteUrl: "https://www.acme.example",
      icons: [{ src: "https://acme.example/i.png", sizes: ["48x48"] }],
      remotes: [{ type: "streamable-http", url: "http://127.0.0.1:3000/mcp" }]
    })
    assert.lengthOf(ServerCard.card(app, address, access).icons ?? [], 2)
    const odd = App.make("i".repeat(300), {
      version: "1",
      provider: { organization: "Acme", url: "https://my_host.example" },
      icons: [
        { src: `https://acme.example/${"a".repeat(300)}` },
        { src: "https://acme.example/i.png", sizes: ["large"] },
        { src: "https://acme.example/i.svg", sizes: ["any"] }
      ]
    })
    const oddEntry = ServerCard.registryEntry(odd, address, access)
    assert.match(oddEntry.name, /^[a-zA-Z0-9.-]+\/[a-zA-Z0-9._-]+$/u)
    assert.isAtMost(oddEntry.name.length, 200)
    assert.deepStrictEqual(oddEntry.icons, [{ src: "https://acme.example/i.svg", sizes: ["any"] }])
    const nameless = App.make("plain", { version: "1" })
    assert.strictEqual(ServerCard.card(nameless, address, access).name, "127.0.0.1/plain")
    assert.match(ServerCard.card(nameless, { origin: "http://[::1]:80", path: "" }, access).name, /^[\w.-]+\/plain$/u)
  })
})
