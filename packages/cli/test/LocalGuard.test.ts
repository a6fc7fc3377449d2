import { assert, describe, it } from "@effect/vitest"
import { type IncomingMessage, request } from "node:http"
import { fastagentic, fixture, listening } from "./process.ts"

const answer = (url: string, headers: Record<string, string>) =>
  new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request(`${url}/agents`, { headers }, (response) => {
      response.resume()
      resolve(response)
    })
    outgoing.on("error", reject).end()
  })

const status = async (url: string, headers: Record<string, string>) => (await answer(url, headers)).statusCode

describe("a server without an auth layer", () => {
  it("programs of this machine and the server's own pages are served, and no other page", async () => {
    const running = fastagentic(["run", fixture("app.ts"), "--mode", "http", "--port", "0", "--store", "memory"])
    try {
      const url = await listening(running)
      const { host } = new URL(url)
      assert.strictEqual(await status(url, {}), 200)
      assert.strictEqual(await status(url, { origin: url }), 200)
      assert.strictEqual(await status(url, { origin: "http://localhost:3000" }), 403)
      assert.strictEqual(await status(url, { host, origin: "https://evil.example" }), 403)
      assert.strictEqual(await status(url, { host, origin: "null" }), 403)
      assert.strictEqual(await status(url, { host: "rebound.example" }), 403)
      const refused = await answer(url, { host: "rebound.example" })
      assert.match(String(refused.headers["x-trace-id"]), /^[0-9a-f]{32}$/u)
    } finally {
      running.child.kill("SIGKILL")
    }
  })
})
