import { assert, describe, it } from "@effect/vitest"
import { request } from "node:http"
import { fastagentic, fixture, listening } from "./process.ts"

const status = (url: string, headers: Record<string, string>) =>
  new Promise<number | undefined>((resolve, reject) => {
    const outgoing = request(`${url}/agents`, { headers }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    outgoing.on("error", reject).end()
  })

describe("a server without an auth layer", () => {
  it("serves this machine's own programs and pages, and no other page", async () => {
    const running = fastagentic(["run", fixture("app.ts"), "--mode", "http", "--port", "0", "--store", "memory"])
    try {
      const url = await listening(running)
      const { host } = new URL(url)
      assert.strictEqual(await status(url, {}), 200)
      assert.strictEqual(await status(url, { origin: "http://localhost:3000" }), 200)
      assert.strictEqual(await status(url, { host, origin: "https://evil.example" }), 403)
      assert.strictEqual(await status(url, { host, origin: "null" }), 403)
      assert.strictEqual(await status(url, { host: "rebound.example" }), 403)
    } finally {
      running.child.kill("SIGKILL")
    }
  })
})
