import { assert, describe, it } from "@effect/vitest"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { fastagentic, fixture, listening, type Running, temporaryFolder } from "./process.ts"

describe("fastagentic run", () => {
  const post = async (url: string, body: unknown = {}) => {
    const response = await fetch(url, { method: "POST", body: JSON.stringify(body) })
    return { status: response.status, json: await response.json() }
  }
  const usage = async (url: string) => (await fetch(`${url}/usage`)).json()
  const serving = async (
    cwd: string,
    prices: string,
    use: (url: string, running: Running) => Promise<void>
  ) => {
    writeFileSync(join(cwd, "prices.json"), prices)
    const running = fastagentic(
      ["run", fixture("budgeted.ts"), "--mode", "http", "--port", "0", "--store", "runs.db"],
      {
        cwd,
        env: { FASTAGENTIC_PRICES: "prices.json" }
      }
    )
    try {
      await use(await listening(running), running)
    } finally {
      running.child.kill("SIGKILL")
    }
  }

  it("limits hold over a restart, with prices from a file", async () => {
    const cwd = temporaryFolder()
    // Ten cents for a token: the first answer costs more than a dollar.
    const dear = "{ \"offline-planner\": { \"input\": 0, \"output\": 3000 } }"
    let spent = 0
    await serving(cwd, dear, async (url, running) => {
      assert.strictEqual((await post(`${url}/agents/talker`)).status, 200)
      const { budgets, items, totalUsd } = await usage(url)
      assert.deepInclude(items[0], { agent: "talker", model: "offline-planner", calls: 1, costUsd: totalUsd })
      assert.deepInclude(budgets[0], { name: "mine", hardUsd: 5, settledUsd: totalUsd, reservedUsd: 0 })
      assert.isAbove(totalUsd, 0)
      spent = totalUsd
      running.child.kill("SIGKILL")
    })
    await serving(cwd, dear.replace("3000", "3900"), async (url) => {
      assert.strictEqual((await usage(url)).totalUsd, spent)
      const paused = await post(`${url}/agents/talker`)
      assert.strictEqual(paused.status, 202)
      const [interrupt] = paused.json.interrupts
      assert.strictEqual(interrupt.arguments.budget, "all")
      await post(`${url}/runs/${paused.json.runId}/interrupts/${interrupt.id}`, { decision: "approve" })
      const journal = await (await fetch(`${url}/runs/${paused.json.runId}/events`)).text()
      assert.include(journal, "event: done")
      assert.isAbove((await usage(url)).totalUsd, spent)
    })
  })
})
