import { assert, describe, it } from "@effect/vitest"
import { command, fastagentic, fixture, listening } from "./process.ts"

const approvals = (...args: ReadonlyArray<string>) => command(["approvals", ...args])

describe("fastagentic approvals", () => {
  it("open decisions are listed and decided", async () => {
    const server = fastagentic(["run", fixture("app.ts"), "--mode", "http", "--port", "0", "--store", "memory"])
    try {
      const url = await listening(server)
      const ask = async () => {
        const answer = await fetch(`${url}/agents/greeter`, { method: "POST", body: JSON.stringify({ name: "Ada" }) })
        assert.strictEqual(answer.status, 202)
        return await answer.json() as { readonly runId: string }
      }
      const [first, second] = [await ask(), await ask()]
      const listed = await approvals("list", "--url", url)
      assert.deepStrictEqual([listed.code, listed.stderr], [0, ""])
      const waiting = new Map(
        listed.stdout.trim().split("\n").map((line) => {
          const [runId = "", id = ""] = line.split(" ")
          return [runId, id]
        })
      )
      assert.deepStrictEqual([...waiting.keys()].sort(), [first.runId, second.runId].sort())

      const decide = (decision: "approve" | "deny", { runId }: typeof first, ...options: ReadonlyArray<string>) =>
        approvals(decision, runId, waiting.get(runId) ?? "", ...options, "--url", url)
      const wrong = await decide("approve", first, "--value", "12")
      assert.strictEqual(wrong.code, 2)
      assert.match(wrong.stderr, /^fastagentic: The input for "ok" is invalid: .*\n$/u)
      const yes = await decide("approve", first, "--value", "true")
      assert.deepStrictEqual([yes.code, yes.stderr], [0, ""])
      const no = await decide("deny", second, "--reason", "not now")
      assert.strictEqual(no.code, 0)
      assert.strictEqual((await approvals("list", "--url", url)).stdout, "")
      const interrupts = await (await fetch(`${url}/runs/${second.runId}/interrupts`)).json()
      assert.containSubset(interrupts, { items: [{ resolution: { decision: "deny", reason: "not now" } }] })
    } finally {
      server.child.kill()
      await server.exited
    }
  })

  it("an unreachable server is reported in one line", async () => {
    const { code, stderr } = await approvals("list", "--url", "http://me:hush@127.0.0.1:9")
    assert.strictEqual(code, 2)
    assert.strictEqual(stderr, "fastagentic: no answer from http://127.0.0.1:9\n")
  })
})
