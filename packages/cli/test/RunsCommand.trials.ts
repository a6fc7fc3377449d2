import { assert, describe, it } from "@effect/vitest"
import { golden, withApp } from "./golden.ts"
import { command } from "./process.ts"

const linesOf = (text: string) => text.trimEnd().split("\n")

describe("fastagentic runs", { timeout: 60_000 }, () => {
  it("a run is listed, shown, read, and cancelled", () =>
    withApp("speaking.ts", async ({ ask, post }) => {
      const { runId } = await post("/agents/tell", { text: "so be it", ask: true })
      const listed = await ask("runs", "list")
      assert.deepStrictEqual([listed.code, listed.stderr, golden(listed.stdout)], [
        0,
        "",
        "<run 1> suspended(interrupt) tell <time>\n"
      ])
      const shown = await ask("runs", "get", runId)
      assert.deepStrictEqual(linesOf(golden(shown.stdout)), [
        "run       <run 1>",
        "agent     tell",
        "state     suspended(interrupt)",
        "attempt   1",
        "events    6",
        "created   <time>",
        "trace     <trace 1>",
        `payload   {"text":"so be it","ask":true}`
      ])
      const read = await ask("runs", "events", runId)
      assert.deepStrictEqual([read.code, read.stderr], [0, ""])
      assert.deepStrictEqual(linesOf(golden(read.stdout)), [
        `run_started {"agent":"tell","places":true}`,
        "| so be it ",
        `interrupt {"id":"<run 1>","kind":"input","name":"again","message":"Say it again?","responseSchema":{"type":"boolean"}}`,
        `run_suspended {"reason":"interrupt","interrupts":["<run 1>"]}`
      ])
      const cancelled = await ask("runs", "cancel", runId, "--reason", "not today")
      assert.deepStrictEqual([cancelled.code, golden(cancelled.stdout)], [0, "<run 1> cancelled\n"])
      const last = await ask("runs", "events", runId, "--type", "run_cancelled", "--json")
      assert.deepStrictEqual(JSON.parse(last.stdout).data, { reason: "not today" })
      assert.strictEqual(
        (await ask("runs", "events", runId, "--after", String(JSON.parse(last.stdout).seq), "--follow")).code,
        0
      )
    }))

  it("a failed run is retried, and a run is forked after a step", () =>
    withApp("speaking.ts", async ({ ask, post }) => {
      const { runId } = await post("/agents/pay/runs", { amount: 13 })
      const followed = await ask("runs", "events", runId, "--follow", "--type", "checkpoint", "--type", "error")
      assert.strictEqual(followed.code, 0)
      assert.deepStrictEqual(linesOf(followed.stdout).map((line) => line.split(" ")[0]), [
        "checkpoint",
        "checkpoint",
        "error"
      ])
      const retried = await ask("runs", "retry", runId, "--json")
      const again = await ask("runs", "retry", runId, "--json")
      assert.deepStrictEqual([retried.code, retried.stderr], [0, ""])
      const retry = JSON.parse(retried.stdout).runId
      assert.strictEqual(JSON.parse(again.stdout).runId, retry)
      const events = await ask("runs", "events", retry, "--follow")
      assert.include(events.stdout, `done {"output":"paid 13"`)
      assert.include(golden((await ask("runs", "get", runId)).stdout), "retried   as <run 2>")

      const forked = await ask("runs", "fork", retry, "--after", "2", "--idempotency-key", "once")
      assert.deepStrictEqual([forked.code, forked.stderr], [0, ""])
      const same = await ask("runs", "fork", retry, "--after", "2", "--idempotency-key", "once")
      assert.strictEqual(same.stdout.split(" ")[0], forked.stdout.split(" ")[0])
      const beyond = await ask("runs", "fork", retry, "--after", "999")
      assert.strictEqual(beyond.code, 2)
      assert.match(beyond.stderr, /^fastagentic: [^\n]*this run has events 1 to[^\n]*\n$/u)
      const done = await ask("runs", "retry", retry)
      assert.strictEqual(done.code, 2)
      assert.match(done.stderr, /^fastagentic: [^\n]*completed[^\n]*\n$/u)
    }))

  it("a list has filters and pages, and says when there is more", () =>
    withApp("speaking.ts", async ({ ask, post }) => {
      const ids: Array<string> = []
      for (let amount = 1; amount <= 5; amount++) ids.unshift((await post("/agents/pay/runs", { amount })).runId)
      await post("/agents/tell", { text: "hm", ask: true })
      const idsOf = (text: string) => linesOf(text).map((line) => String(JSON.parse(line).runId))
      const first = await ask("runs", "list", "--agent", "pay", "--limit", "2", "--json")
      assert.deepStrictEqual(idsOf(first.stdout), ids.slice(0, 2))
      assert.strictEqual(first.stderr, `There are more runs: --after ${ids[1]}\n`)
      const rest = await ask("runs", "list", "--agent", "pay", "--limit", "3", "--json", "--after", ids[1] ?? "")
      assert.deepStrictEqual([idsOf(rest.stdout), rest.stderr], [ids.slice(2), ""])
      const all = await ask("runs", "list", "--all", "--json")
      assert.lengthOf(idsOf(all.stdout), 6)
      const waiting = await ask("runs", "list", "--state", "suspended", "--waits-for", "interrupt", "--kind", "agent")
      assert.deepStrictEqual(linesOf(golden(waiting.stdout)), ["<run 1> suspended(interrupt) tell <time>"])
      assert.strictEqual((await ask("runs", "list", "--agent", "nobody")).stdout, "")
    }))

  it("a list of as many runs as one request gives says where it continues", () =>
    withApp("speaking.ts", async ({ ask, post }) => {
      for (let batch = 0; batch < 10; batch++) {
        await Promise.all(Array.from({ length: 21 }, () => post("/agents/pay/runs", { amount: 1 })))
      }
      const first = await ask("runs", "list", "--limit", "200", "--json")
      const last = JSON.parse(linesOf(first.stdout)[199] ?? "").runId
      assert.strictEqual(first.stderr, `There are more runs: --after ${last}\n`)
      const rest = await ask("runs", "list", "--limit", "200", "--after", last)
      assert.deepStrictEqual([linesOf(rest.stdout).length, rest.stderr], [10, ""])
    }))

  it("text of a run gives no orders to the terminal", () =>
    withApp("speaking.ts", async ({ ask, post }) => {
      const { runId } = await post("/agents/tell/runs", { text: "a\u001b[2Jb\u202ec\u009bd" })
      const read = await ask("runs", "events", runId, "--type", "token", "--follow")
      assert.strictEqual(read.stdout, "| a\\u001b[2Jb\\u202ec\\u009bd \n")
      const shown = await ask("runs", "get", runId, "--json")
      for (const one of ["\u001b", "\u202e", "\u009b"]) assert.notInclude(shown.stdout, one)
      assert.strictEqual(JSON.parse(shown.stdout).output, "a\u001b[2Jb\u202ec\u009bd")
    }))

  it("a refusal and a wrong call are one line with exit code 2", () =>
    withApp("speaking.ts", async ({ ask }) => {
      const unknown = "01900000-0000-7000-8000-000000000000"
      for (const one of ["get", "events", "cancel", "retry", "fork"]) {
        const { code, stderr, stdout } = await ask("runs", one, unknown)
        assert.deepStrictEqual([code, stdout], [2, ""], one)
        assert.match(stderr, /^fastagentic: [^\n]*01900000[^\n]*\n$/u)
      }
      assert.match((await ask("runs", "list", "--after", "x")).stderr, /a cursor is the id of a run/u)
      assert.match((await ask("runs", "lst")).stderr, /did you mean list\?/u)
      const gone = await command(["runs", "list", "--url", "http://me:hush@127.0.0.1:9"])
      assert.deepStrictEqual([gone.code, gone.stderr], [2, "fastagentic: no answer from http://127.0.0.1:9\n"])
    }))
})
