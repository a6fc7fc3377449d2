import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
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
    const more = ["--allowed-host", "shop.internal", "--allowed-host", "edge.example", "--trusted-proxy", "127.0.0.1"]
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

  it("refuses an invalid address, origin, proxy, time or size in one line", async () => {
    const invalid = [
      ["--public-url", "example.com"],
      ["--cors-origin", "*"],
      ["--trusted-proxy", "10.0.0.0/99"],
      ["--wait", "soon"],
      ["--grace", "short"],
      ["--credential-check", "on"],
      ["--longest-delay", "1 year"],
      ["--body-limit", "huge"]
    ]
    for (const flag of invalid) {
      const { code, stderr } = await command([...serve, ...flag])
      assert.strictEqual(code, 2)
      assert.strictEqual(stderr.trimEnd().split("\n").length, 1, stderr)
      assert.include(stderr, String(flag[1]))
    }
  })

  it("the README names every flag of run", async () => {
    const { stdout } = await command(["run", "--help"])
    const [, listed = ""] = /^FLAGS\n([^]*?)\n\n/mu.exec(stdout) ?? []
    const names = [...listed.matchAll(/^ {2}(--[a-z-]+)/gmu)].map(([, name = ""]) => name)
    assert.includeMembers(names, ["--store", "--credential-check", "--longest-delay"])
    const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8")
    const [usage = ""] = /^`fastagentic run <file>.*$/mu.exec(readme) ?? []
    assert.deepStrictEqual(
      [...usage.matchAll(/\[(--[a-z-]+)[ \]]/gu)].map(([, name = ""]) => name).sort(),
      names.sort()
    )
  })
})
