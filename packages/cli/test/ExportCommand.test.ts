import { assert, describe, it } from "@effect/vitest"
import { withApp } from "./golden.ts"
import { command, fixture } from "./process.ts"

describe("fastagentic export", { timeout: 60_000 }, () => {
  it("the documents are those that the server gives", () =>
    withApp("speaking.ts", async ({ ask, url }) => {
      const openapi = await ask("export", "openapi")
      assert.deepStrictEqual([openapi.code, openapi.stderr], [0, ""])
      assert.deepStrictEqual(JSON.parse(openapi.stdout), await (await fetch(`${url}/openapi.json`)).json())
      const card = await ask("export", "a2a")
      assert.deepStrictEqual(JSON.parse(card.stdout), await (await fetch(`${url}/.well-known/agent-card.json`)).json())
      const mcp = await ask("export", "mcp")
      assert.deepStrictEqual([mcp.code, mcp.stderr], [0, ""])
      const { prompts, resources, tools } = JSON.parse(mcp.stdout)
      assert.includeMembers(tools.map(({ name }: { name: string }) => name), ["pay", "tell", "other"])
      assert.deepStrictEqual([Array.isArray(prompts), Array.isArray(resources)], [true, true])
    }))

  it("a server that does not answer is one line with exit code 2", async () => {
    for (const name of ["openapi", "mcp", "a2a"]) {
      const { code, stderr } = await command(["export", name, "--url", "http://me:hush@127.0.0.1:9"])
      assert.deepStrictEqual([code, stderr], [2, "fastagentic: no answer from http://127.0.0.1:9\n"])
    }
  })

  it("an app without a server gets the addresses of --url, with --json on one line, and a wrong address is refused", async () => {
    const ask = (url: string) => command(["export", "a2a", "--app", fixture("speaking.ts"), "--json", "--url", url])
    const { code, stderr, stdout } = await ask("https://agents.example.com/base/")
    assert.deepStrictEqual([code, stderr, stdout.trim().split("\n").length], [0, "", 1])
    assert.include(stdout, "\"https://agents.example.com/base/a2a\"")
    for (
      const url of [
        "agents.example.com",
        "ftp://example.com",
        "https://me:hush@example.com",
        "https://example.com/?q=1"
      ]
    ) {
      assert.deepStrictEqual(await ask(url), {
        code: 2,
        stdout: "",
        stderr: "fastagentic: --url must be an http or https URL without credentials, query and fragment\n"
      })
    }
  })
})
