// Idempotency keys of tool calls, decisions and follow-ups, over real sockets on SQLite.
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { json, request } from "./matrix/transports.ts"
import { fastagentic, fixture, listening, temporaryFolder } from "./process.ts"

const cwd = temporaryFolder()
const paid = join(cwd, "paid")

/** Serves the app on one SQLite file, and kills the server at the end. */
const served = async (use: (url: string) => Promise<void>) => {
  const running = fastagentic(["run", fixture("keyed.ts"), "--mode", "http", "--port", "0", "--store", "keyed.db"], {
    cwd,
    env: { PAID: paid }
  })
  try {
    await use(await listening(running))
  } finally {
    running.child.kill("SIGKILL")
    await running.exited
  }
}

const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  request(url, { method: "POST", headers: { ...json, ...headers }, body: JSON.stringify(body) })

const lines = () => readFileSync(paid, "utf8").trim().split("\n").length

describe("a tool call with an idempotency key", () => {
  it("runs once over a restart, and a repeat with another input is a conflict", async () => {
    const key = { "idempotency-key": "payment 1" }
    await served(async (url) => {
      assert.strictEqual((await post(`${url}/tools/pay`, { amount: 5 }, key)).body, "paid 5")
      assert.strictEqual((await post(`${url}/tools/pay`, { amount: 5 }, key)).body, "paid 5")
      assert.strictEqual(lines(), 1)
    })
    await served(async (url) => {
      assert.strictEqual((await post(`${url}/tools/pay`, { amount: 5 }, key)).body, "paid 5")
      assert.strictEqual((await post(`${url}/tools/pay`, { amount: 6 }, key)).status, 409)
      assert.strictEqual(lines(), 1)
    })
  }, 60_000)

  it("runs once however many calls without a key came between", async () => {
    await served(async (url) => {
      const key = { "idempotency-key": "payment 2" }
      assert.strictEqual((await post(`${url}/tools/pay`, { amount: 7 }, key)).body, "paid 7")
      for (let batch = 0; batch < 11; batch++) {
        await Promise.all(Array.from({ length: 100 }, () => post(`${url}/tools/pay`, { amount: 1 })))
      }
      const before = lines()
      assert.strictEqual((await post(`${url}/tools/pay`, { amount: 7 }, key)).body, "paid 7")
      assert.strictEqual(lines(), before)
    })
  }, 60_000)
})

describe("a decision with a key", () => {
  const interrupts = async (url: string, runId: string) =>
    (await request(`${url}/runs/${runId}/interrupts`)).body.items as ReadonlyArray<
      { id: string; name: string; state: string }
    >
  const openOf = async (url: string, runId: string) =>
    (await interrupts(url, runId)).filter(({ state }) => state === "open").map(({ name }) => name)

  it("over A2A decides one question however often its message arrives", async () => {
    await served(async (url) => {
      const send = async (messageId: string, taskId?: string) => {
        const message = { messageId, role: "ROLE_USER", parts: [{ text: "yes" }], ...(taskId && { taskId }) }
        const { body } = await post(`${url}/a2a/twice`, {
          jsonrpc: "2.0",
          id: 1,
          method: "SendMessage",
          params: { message: taskId === undefined ? { ...message, parts: [{ data: {} }] } : message }
        }, { "a2a-version": "1.0" })
        return body.result.task
      }
      const task = await send("start")
      assert.deepStrictEqual(await openOf(url, task.id), ["first"])
      assert.strictEqual((await send("answer 1", task.id)).status.state, "TASK_STATE_INPUT_REQUIRED")
      assert.deepStrictEqual(await openOf(url, task.id), ["second"])
      assert.strictEqual((await send("answer 1", task.id)).status.state, "TASK_STATE_INPUT_REQUIRED")
      assert.deepStrictEqual(await openOf(url, task.id), ["second"])
      assert.strictEqual((await send("answer 2", task.id)).status.state, "TASK_STATE_COMPLETED")
      assert.strictEqual((await send("answer 2", task.id)).status.state, "TASK_STATE_COMPLETED")
    })
  }, 60_000)

  it("over REST decides one question, and is a conflict with another decision", async () => {
    await served(async (url) => {
      const { body: { runId } } = await post(`${url}/agents/twice`, {})
      const key = { "idempotency-key": "k" }
      const answer = (id: string | undefined, value: boolean) =>
        post(`${url}/runs/${runId}/interrupts/${id}`, { decision: "approve", value }, key)
      const [first] = await interrupts(url, runId)
      assert.strictEqual((await answer(first?.id, true)).status, 202)
      await request(`${url}/runs/${runId}/events?after=0`, { headers: { accept: "application/json" } })
      while ((await openOf(url, runId)).length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
      const second = (await interrupts(url, runId)).find(({ name }) => name === "second")
      assert.oneOf((await answer(second?.id, true)).status, [200, 202])
      assert.deepStrictEqual(await openOf(url, runId), ["second"])
      assert.strictEqual((await answer(second?.id, false)).status, 409)
    })
  }, 60_000)
})
