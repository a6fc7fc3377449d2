import { assert, describe, it } from "@effect/vitest"
import * as RedisServer from "@fastagentic/stores/test/redis/server"
import { Effect, Redacted } from "effect"
import { writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { golden, printed, withApp } from "./golden.ts"
import { command, fastagentic, temporaryFolder } from "./process.ts"

const tail = (url: string, ...args: ReadonlyArray<string>) => fastagentic(["tail", "--url", url, ...args])
const stop = async (running: ReturnType<typeof tail>) => {
  running.child.kill("SIGINT")
  assert.strictEqual(await running.exited, 0)
}
const freePort = async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === "object" && address !== null ? String(address.port) : ""
}

describe("fastagentic tail", { timeout: 60_000 }, () => {
  it("events of new and of open runs are printed, those of the past are not", () =>
    withApp("speaking.ts", async ({ ask, post, url }) => {
      await post("/agents/pay", { amount: 1 })
      const asked = await post("/agents/tell", { text: "before", ask: true })
      const running = tail(url)
      await printed(running, "Following")
      const [interrupt = ""] = (await ask("approvals", "list")).stdout.split(" ").slice(1)
      await ask("approvals", "approve", asked.runId, interrupt, "--value", "true")
      await printed(running, "done {")
      await post("/agents/tell", { text: "line one\nline two" })
      await printed(running, "done {", 2)
      await stop(running)
      assert.deepStrictEqual(golden(running.stdout()).trimEnd().split("\n"), [
        `<run 1> tell interrupt_resolved {"id":"<run 2>","decision":"approve","by":"local","value":true}`,
        `<run 1> tell run_started {"agent":"tell","resumed":true}`,
        "<run 1> tell | before",
        `<run 1> tell done {"output":"before"}`,
        `<run 3> tell run_started {"agent":"tell","places":true}`,
        "<run 3> tell | line one",
        "<run 3> tell | line two ",
        `<run 3> tell done {"output":"line one\\nline two"}`
      ])
    }))

  it("filters choose runs and events, and JSON is one event a line", () =>
    withApp("speaking.ts", async ({ post, url }) => {
      const running = tail(url, "--agent", "pay", "--type", "done", "--json")
      await printed(running, "Following")
      await post("/agents/tell", { text: "unwanted" })
      await post("/agents/pay", { amount: 4 })
      await printed(running, "paid 4")
      await stop(running)
      assert.match(
        golden(running.stdout()),
        /^\{"runId":"<run 1>","seq":\d+,"ts":0,"attempt":1,"type":"done","data":\{"output":"paid 4"\}\}\n$/u
      )
    }))

  it("a server that was killed is waited for, and words of a lost attempt are taken back", async () => {
    const [cwd, port] = [temporaryFolder(), await freePort()]
    let running: ReturnType<typeof tail> | undefined
    await withApp("speaking.ts", async ({ post, url }) => {
      running = tail(url)
      await printed(running, "Following")
      await post("/agents/other/runs", {})
      await printed(running, "first words")
    }, { cwd, port, env: { WORDS: "first words", MILLIS: "60000" } })
    if (running === undefined) return assert.fail("no tail")
    await printed(running, "tail waits")
    await withApp("speaking.ts", async ({ post }) => {
      if (running === undefined) return
      await printed(running, "done {")
      await post("/agents/pay", { amount: 7 })
      await printed(running, "paid 7")
      await stop(running)
    }, { cwd, port, env: { WORDS: "other words" } })
    const lines = golden(running.stdout()).split("\n").filter((line) => line.includes(" other "))
    assert.deepStrictEqual(lines.filter((line) => !line.includes("run_started")), [
      "<run 1> other | first words",
      "<run 1> other superseded: the text starts again",
      "<run 1> other | other words",
      `<run 1> other done {"output":"other words"}`
    ])
    assert.match(running.stderr(), /no answer from \S+; tail waits\n(?:[^]*)answers again/u)
  })

  it("a tail that was killed continues where it was", () =>
    withApp("speaking.ts", async ({ post, url }) => {
      const file = join(temporaryFolder(), "position.json")
      const first = tail(url, "--position", file, "--json")
      await printed(first, "Following")
      const open = await post("/agents/tell/runs", { text: "slow words" })
      await post("/agents/pay", { amount: 1 })
      await printed(first, "paid 1")
      await printed(first, "slow words".split(" ")[1] ?? "")
      await new Promise((resolve) => setTimeout(resolve, 2_500))
      first.child.kill("SIGKILL")
      await first.exited
      await post("/agents/pay", { amount: 2 })
      await fetch(`${url}/runs/${open.runId}/cancel`, { method: "POST", body: "{}" })
      const second = tail(url, "--position", file, "--json")
      await printed(second, "run_cancelled")
      await printed(second, "paid 2")
      await stop(second)
      const keyOf = (line: string) => {
        const { runId, seq } = JSON.parse(line)
        return `${runId} ${seq}`
      }
      const all = (first.stdout() + second.stdout()).trimEnd().split("\n").map(keyOf)
      assert.strictEqual(new Set(all).size, all.length, "an event was printed twice")
      const runs = new Map<string, number>()
      for (const key of all) {
        const [runId = "", seq = ""] = key.split(" ")
        assert.strictEqual(Number(seq), (runs.get(runId) ?? 0) + 1, "an event is missing")
        runs.set(runId, Number(seq))
      }
      assert.strictEqual(runs.size, 3)
    }))

  it("a tail ends when its reader has gone", () =>
    withApp("speaking.ts", async ({ post, url }) => {
      const running = tail(url)
      await printed(running, "Following")
      running.child.stdout?.destroy()
      await post("/agents/pay", { amount: 1 })
      assert.strictEqual(await running.exited, 0)
    }))

  it("no server, no such position and a refused token are one line with exit code 2", async () => {
    const none = await command(["tail", "--url", "http://127.0.0.1:9"])
    assert.deepStrictEqual([none.code, none.stderr], [2, "fastagentic: no answer from http://127.0.0.1:9\n"])
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, "bad.json"), "{}")
    const bad = await command(["tail", "--position", "bad.json"], { cwd })
    assert.strictEqual(bad.code, 2)
    assert.match(bad.stderr, /^fastagentic: --position bad\.json: [^\n]*\n$/u)
  })
})

RedisServer.describeWithOwnServer("fastagentic tail with two nodes", () => {
  it.live("runs of all nodes are printed by the node that is asked", () =>
    Effect.gen(function*() {
      const store = Redacted.value((yield* RedisServer.ownServer()).url)
      yield* Effect.promise(() =>
        withApp("speaking.ts", (one) =>
          withApp("speaking.ts", async (other) => {
            const running = tail(one.url)
            await printed(running, "Following")
            const open = await other.post("/agents/tell/runs", { text: "slow other node" })
            await printed(running, "slow other node")
            await one.post("/agents/pay", { amount: 1 })
            await other.post("/agents/pay", { amount: 2 })
            await printed(running, "paid 1")
            await printed(running, "paid 2")
            assert.strictEqual((await one.ask("runs", "cancel", open.runId)).code, 0)
            await printed(running, `${open.runId} tell run_cancelled`)
            await stop(running)
          }, { store }), { store })
      )
    }).pipe(Effect.scoped))
})
