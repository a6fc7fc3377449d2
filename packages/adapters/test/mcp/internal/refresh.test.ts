// Refreshes of tokens by calls that run side by side, at a fake issuer.
import { assert, describe, it } from "@effect/vitest"
import { refreshOnce } from "../../../src/mcp/internal/refresh.ts"

const asking = (token: string) => ({
  method: "POST",
  body: new URLSearchParams({ grant_type: "refresh_token", refresh_token: token })
})

describe("refreshes of one token", () => {
  it("that are asked for side by side are one request, whose answer all get", async () => {
    let sent = 0
    const fetch = refreshOnce(async () => {
      sent++
      await new Promise((resolve) => setTimeout(resolve, 20))
      return Response.json({ access_token: `token ${sent}` })
    })
    const answers = await Promise.all([1, 2, 3].map(() => fetch("https://issuer.example/token", asking("a"))))
    const bodies = await Promise.all(answers.map((answer) => answer.json()))
    assert.deepStrictEqual(bodies, [1, 2, 3].map(() => ({ access_token: "token 1" })))
    await fetch("https://issuer.example/token", asking("b"))
    assert.strictEqual(sent, 2)
  })

  it("that fail are asked for again", async () => {
    let sent = 0
    const fetch = refreshOnce(() => {
      sent++
      return sent === 1 ? Promise.reject(new Error("gone")) : Promise.resolve(new Response("{}", { status: 200 }))
    })
    const failure = await fetch("https://issuer.example/token", asking("a")).catch((error: unknown) => error)
    assert.instanceOf(failure, Error)
    assert.strictEqual((await fetch("https://issuer.example/token", asking("a"))).status, 200)
  })

  it("leave other requests alone", async () => {
    let sent = 0
    const fetch = refreshOnce(() => {
      sent++
      return Promise.resolve(new Response("{}"))
    })
    const body = new URLSearchParams({ grant_type: "authorization_code", code: "a" })
    await Promise.all([
      fetch("https://issuer.example/token", { method: "POST", body }),
      fetch("https://one.example/mcp")
    ])
    assert.strictEqual(sent, 2)
  })
})
