import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { connect } from "node:net"
import { withApp } from "./golden.ts"
import { fastagentic, fixture, temporaryFolder } from "./process.ts"

const post = async (url: string, body: unknown) => {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body) })
  return { status: response.status, body: await response.json() }
}
const get = async (url: string) => (await fetch(url)).json()

describe("a server that is stopped", () => {
  it("a run that waits for a decision survives a restart", async () => {
    const cwd = temporaryFolder()
    let [runId, id] = ["", ""]
    await withApp("app.ts", async ({ running, url }) => {
      const paused = await post(`${url}/agents/greeter`, { name: "Ada" })
      assert.strictEqual(paused.status, 202)
      runId = paused.body.runId
      id = paused.body.interrupts[0].id
      running.child.kill("SIGINT")
      assert.strictEqual(await running.exited, 0)
    }, { cwd })
    await withApp("app.ts", async ({ url }) => {
      const { items } = await get(`${url}/runs?state=suspended`)
      assert.deepStrictEqual(items.map((run: { runId: string }) => run.runId), [runId])
      const answered = await post(`${url}/runs/${runId}/interrupts/${id}`, { decision: "approve", value: true })
      assert.include([200, 202], answered.status)
      const journal = await (await fetch(`${url}/runs/${runId}/events`)).text()
      assert.include(journal, "Ada is fine: true")
      assert.deepStrictEqual([...journal.matchAll(/^id: (\d+)$/gmu)].map(([, seq]) => Number(seq)), [
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8
      ])
    }, { cwd })
  })

  it("a run resumes after SIGKILL from its last commit", async () => {
    const cwd = temporaryFolder()
    let runId = ""
    await withApp("app.ts", async ({ running, url }) => {
      const started = await post(`${url}/agents/greeter/runs`, { name: "nap" })
      assert.strictEqual(started.status, 202)
      runId = started.body.runId
      await new Promise((resolve) => setTimeout(resolve, 300))
      running.child.kill("SIGKILL")
      await running.exited
    }, { cwd })
    await withApp("app.ts", async ({ url }) => {
      const journal = await (await fetch(`${url}/runs/${runId}/events`)).text()
      assert.include(journal, "nap is fine: true")
      assert.strictEqual([...journal.matchAll(/^event: token$/gmu)].length, 1)
      const run = await get(`${url}/runs/${runId}`)
      assert.deepInclude(run, { state: "completed", attempt: 2 })
    }, { cwd })
  })

  it("SIGTERM ends open streams with a retry hint and exits 0", () =>
    withApp("app.ts", async ({ running, url }) => {
      const stream = fetch(`${url}/agents/greeter/stream`, { method: "POST", body: JSON.stringify({ name: "slow" }) })
        .then((response) => response.text())
      await new Promise((resolve) => setTimeout(resolve, 300))
      running.child.kill("SIGTERM")
      assert.match(await stream, /retry: \d+\n\n$/u)
      assert.strictEqual(await running.exited, 0)
    }))

  it("a second signal stops at once and keeps the run", async () => {
    const cwd = temporaryFolder()
    await withApp("app.ts", async ({ running, url }) => {
      await post(`${url}/agents/greeter/runs`, { name: "slow" })
      running.child.kill("SIGINT")
      running.child.kill("SIGINT")
      assert.include([0, 130], await running.exited)
    }, { cwd })
    await withApp("app.ts", async ({ url }) => {
      const { items } = await get(`${url}/runs`)
      assert.deepInclude(items[0], { state: "running", attempt: 2 })
    }, { cwd })
  })

  it("a second signal of another kind stops at once", () =>
    withApp("app.ts", async ({ running, url }) => {
      // An incomplete request delays a graceful stop.
      const socket = connect(Number(new URL(url).port), "127.0.0.1")
      await once(socket, "connect")
      socket.on("error", () => {}).write(
        "POST /agents/greeter HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
      )
      await new Promise((resolve) => setTimeout(resolve, 200))
      running.child.kill("SIGTERM")
      await new Promise((resolve) => setTimeout(resolve, 300))
      assert.isNull(running.child.exitCode)
      running.child.kill("SIGINT")
      assert.strictEqual(await running.exited, 130)
      socket.destroy()
    }))

  it("a second server on the same store fails in one line", async () => {
    const cwd = temporaryFolder()
    await withApp("app.ts", async () => {
      const second = fastagentic(["run", fixture("app.ts"), "--mode", "http", "--port", "0", "--store", "runs.db"], {
        cwd
      })
      assert.strictEqual(await second.exited, 2)
      assert.match(second.stderr(), /^fastagentic: .*runs\.db.* in use[^\n]*\n$/u)
    }, { cwd })
  })
})
