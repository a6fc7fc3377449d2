import { assert, describe, it } from "@effect/vitest"
import { join } from "node:path"
import { fastagentic, fixture, listening, temporaryFolder } from "./process.ts"

const start = (env: Record<string, string>) =>
  fastagentic(
    ["run", fixture("app.ts"), "--mode", "http", "--port", "0", "--store", join(temporaryFolder(), "app.db")],
    { env }
  )

describe("The agent card of fastagentic run", () => {
  it("is signed with each key of FASTAGENTIC_CARD_KEY, and says that FASTAGENTIC_PUSH_SECRET is given", async () => {
    const running = start({
      FASTAGENTIC_CARD_KEY: `${"9d".repeat(32)}, ${"4c".repeat(32)}`,
      FASTAGENTIC_PUSH_SECRET: "a secret of forty characters for tests!!"
    })
    const url = await listening(running)
    const get = async (path: string) => Object(await (await fetch(url + path)).json())
    const { capabilities, signatures } = await get("/.well-known/agent-card.json")
    const { keys } = await get("/a2a/.well-known/jwks.json")
    running.child.kill()
    await running.exited
    const headers = signatures.map((signature: { readonly protected: string }) =>
      JSON.parse(Buffer.from(signature.protected, "base64url").toString())
    )
    assert.strictEqual(capabilities.pushNotifications, true)
    assert.lengthOf(keys, 2)
    assert.deepStrictEqual(
      new Set(headers.map(({ kid }: { readonly kid: string }) => kid)),
      new Set(keys.map(({ kid }: { readonly kid: string }) => kid))
    )
    for (const { jku } of headers) assert.strictEqual(jku, `${url}/a2a/.well-known/jwks.json`)
  })

  it("needs keys of 64 hex digits", async () => {
    const running = start({ FASTAGENTIC_CARD_KEY: `${"9d".repeat(32)},short` })
    assert.notStrictEqual(await running.exited, 0)
    assert.include(running.stderr(), "FASTAGENTIC_CARD_KEY has to be 64 hex digits")
  })
})
