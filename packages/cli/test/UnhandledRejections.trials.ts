import { assert, describe, it } from "@effect/vitest"
import { join } from "node:path"
import { fastagentic, fixture, listening, temporaryFolder } from "./process.ts"

const post = async (url: string) => {
  const response = await fetch(url, { method: "POST", body: "{}", headers: { "content-type": "application/json" } })
  return { status: response.status, runId: response.headers.get("x-run-id") ?? "", body: await response.json() }
}

describe("A rejected promise that user code forgets", () => {
  it("is logged with the run that probably caused it, and ends neither the node nor another run", async () => {
    const store = join(temporaryFolder(), "careless.db")
    const server = fastagentic(["run", fixture("careless.ts"), "--mode", "http", "--port", "0", "--store", store])
    const url = await listening(server)
    const waiting = post(`${url}/agents/careful`)
    await new Promise((resolve) => setTimeout(resolve, 300))
    const careless = await post(`${url}/agents/careless`)
    assert.deepStrictEqual([careless.status, careless.body], [200, "done"])
    assert.deepInclude(await waiting, { status: 200, body: "waited" })
    const lines = (server.stdout() + server.stderr()).split("\n")
    const line = lines.find((one) => one.includes("A promise was rejected and nothing handled it")) ?? ""
    assert.include(line + lines.join("\n"), "forgotten")
    assert.include(line, careless.runId)
    assert.strictEqual(server.child.exitCode, null)
    server.child.kill("SIGTERM")
    await server.exited
  }, 60_000)
})
