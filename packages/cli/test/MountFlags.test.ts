import { assert, describe, it } from "@effect/vitest"
import { request } from "node:http"
import { command, fastagentic, fixture, listening } from "./process.ts"

const serve = ["run", fixture("app.ts"), "--mode", "http", "--port", "0", "--store", "memory"]

interface Answer {
  readonly status: number | undefined
  readonly headers: Readonly<Record<string, string | Array<string> | undefined>>
  readonly body: string
}

const ask = (url: string, headers: Record<string, string> = {}) =>
  new Promise<Answer>((resolve, reject) => {
    request(url, { headers }, (response) => {
      let body = ""
      response.setEncoding("utf8").on("data", (chunk: string) => body += chunk)
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, body }))
    }).on("error", reject).end()
  })

describe("fastagentic run", () => {
  it("serves under a prefix, for a public URL, listed origins, hosts and proxies", async () => {
    const flags = ["--prefix", "/shop", "--public-url", "https://example.com/shop"]
    const lists = ["--cors-origin", "https://a.example", "--cors-origin", "https://b.example"]
    const more = ["--allowed-host", "shop.internal", "--trusted-proxy", "127.0.0.1"]
    const running = fastagentic([...serve, ...flags, ...lists, ...more])
    try {
      const url = await listening(running)
      assert.match(url, /\/shop$/u)
      const { body } = await ask(`${url}/openapi.json`)
      assert.include(body, "\"servers\":[{\"url\":\"https://example.com/shop\"}]")
      for (const origin of ["https://a.example", "https://b.example"]) {
        const listed = await ask(`${url}/agents`, { origin })
        assert.strictEqual(listed.headers["access-control-allow-origin"], origin)
      }
      assert.strictEqual((await ask(`${url}/agents`, { origin: "https://c.example" })).status, 403)
      assert.strictEqual((await ask(`${url}/agents`, { host: "shop.internal" })).status, 200)
      assert.strictEqual((await ask(`${url}/agents`, { host: "other.internal" })).status, 403)
      const forwarded = await ask(`${url}/openapi.json`, { "x-forwarded-host": "edge.example" })
      assert.include(forwarded.body, "\"servers\":[{\"url\":\"https://edge.example/shop\"}]")
    } finally {
      running.child.kill("SIGKILL")
    }
  })

  it("refuses an invalid address, origin or proxy in one line", async () => {
    const invalid = [["--public-url", "example.com"], ["--cors-origin", "*"], ["--trusted-proxy", "10.0.0.0/99"]]
    for (const flag of invalid) {
      const { code, stderr } = await command([...serve, ...flag])
      assert.strictEqual(code, 2)
      assert.strictEqual(stderr.trimEnd().split("\n").length, 1, stderr)
      assert.include(stderr, String(flag[1]))
    }
  })
})
