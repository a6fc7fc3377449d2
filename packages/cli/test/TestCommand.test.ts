import { assert, describe, it } from "@effect/vitest"
import { type Event } from "@fastagentic/core"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { wrongIn } from "../src/internal/test/chaos.ts"
import { differences } from "../src/internal/test/golden.ts"
import * as Trace from "../src/internal/test/trace.ts"
import { command, fixture, temporaryFolder } from "./process.ts"

const scenarios = {
  pay: { agent: "pay", payload: { amount: 5 }, expect: { state: "completed", output: "paid 5" } },
  again: {
    agent: "tell",
    payload: { text: "hello there", ask: true },
    decisions: { again: [{ decision: "approve", value: true }] }
  },
  waits: { agent: "tell", payload: { text: "hello", ask: true }, expect: { state: "suspended" } },
  declined: { agent: "tell", payload: { text: "declined" }, expect: { error: "Declined" } }
}

const folderOf = (files: Readonly<Record<string, unknown>>, app = "speaking.ts") => {
  const cwd = temporaryFolder()
  mkdirSync(join(cwd, "scenarios"))
  for (const [name, scenario] of Object.entries(files)) {
    writeFileSync(
      join(cwd, "scenarios", `${name}.json`),
      typeof scenario === "string" ? scenario : JSON.stringify(scenario)
    )
  }
  const test = (...flags: ReadonlyArray<string>) => command(["test", fixture(app), ...flags], { cwd })
  return { cwd, test, file: (name: string) => join(cwd, "scenarios", name) }
}

describe("fastagentic test", { timeout: 60_000 }, () => {
  it("what was recorded is the same the next time, with other ids and times", async () => {
    const { file, test } = folderOf(scenarios)
    const first = await test()
    assert.deepStrictEqual([first.code, existsSync(file("contract"))], [0, false])
    assert.include(first.stdout, "note   scenario pay: answers; --update records it")
    const recorded = await test("--update")
    assert.deepStrictEqual([recorded.code, recorded.stderr], [0, ""])
    const trace = readFileSync(file("traces/again.json"), "utf8")
    assert.notMatch(trace, /[0-9a-f]{8}-[0-9a-f]{4}-|traceparent|"ts"/u)
    assert.include(trace, "<id 1>")
    const second = await test("--json")
    assert.strictEqual(second.code, 0, second.stdout)
    const lines = second.stdout.trim().split("\n").map((line) => JSON.parse(line))
    assert.deepStrictEqual(lines.map(({ verdict }) => verdict), Array.from({ length: 7 }, () => "ok"))
    assert.deepStrictEqual(lines.map(({ check }) => check), [
      "contract openapi",
      "contract mcp",
      "contract a2a",
      ...Object.keys(scenarios).sort().map((name) => `scenario ${name}`)
    ])
  })

  it("approvals are decided by the name of the tool, in an agent and when it is called itself", async () => {
    const decisions = { pay: [{ decision: "approve" }] }
    const { test } = folderOf({
      agent: { agent: "pays", payload: {}, decisions, expect: { state: "completed" } },
      tool: { tool: "pay", payload: {}, decisions, expect: { state: "completed" } },
      nobody: { tool: "pay", payload: {}, expect: { state: "suspended" } }
    }, "audited.ts")
    const { code, stdout } = await test("--update")
    assert.strictEqual(code, 0, stdout)
  })

  it("another contract, trace, output, state or refusal is a fault with its place, and exit code 1", async () => {
    const { file, test } = folderOf(scenarios)
    await test("--update")
    const openapi = readFileSync(file("contract/openapi.json"), "utf8")
    writeFileSync(file("contract/openapi.json"), openapi.replace("/agents/pay\"", "/agents/pays\""))
    writeFileSync(file("again.json"), JSON.stringify({ ...scenarios.again, payload: { text: "bye", ask: true } }))
    writeFileSync(
      file("pay.json"),
      JSON.stringify({ ...scenarios.pay, expect: { state: "failed", output: "paid 6", error: "Broke" } })
    )
    writeFileSync(file("waits.json"), JSON.stringify({ agent: "tell", payload: { text: 1 } }))
    writeFileSync(file("none.json"), JSON.stringify({ agent: "nobody" }))
    const { code, stderr, stdout } = await test()
    assert.deepStrictEqual([code, stderr], [1, "fastagentic: 7 faults found\n"])
    for (
      const part of [
        "FAULT  contract openapi: /paths/~1agents~1pays is nothing, recorded is {",
        "FAULT  scenario again: /1/data/delta is \"bye \", recorded is \"hello there \"",
        "FAULT  scenario pay: it is completed, not failed",
        "FAULT  scenario pay: output / is \"paid 5\", expected is \"paid 6\"",
        "FAULT  scenario pay: its error is none, not Broke",
        "FAULT  scenario waits: it is refused: ",
        "FAULT  scenario none: it is refused: "
      ]
    ) assert.include(stdout, part)
  })

  it("values of named fields are not recorded", async () => {
    const { file, test } = folderOf({ pay: { ...scenarios.pay, redact: ["output"] } })
    await test("--update")
    const trace = readFileSync(file("traces/pay.json"), "utf8")
    assert.include(trace, "\"output\": \"<redacted>\"")
    assert.notInclude(trace, "paid 5")
  })

  it("a scenario that cannot be read, and a file that is no app, are one line with exit code 2", async () => {
    for (const [text, part] of [["{", "again.json: "], [`{"agent":"pay","pay":1}`, "again.json: "]] as const) {
      const { code, stderr } = await folderOf({ again: text }).test()
      assert.strictEqual(code, 2)
      assert.include(stderr, part)
      assert.strictEqual(stderr.split("\n").length, 2, stderr)
    }
    const { code, stderr } = await command(["test", fixture("noApp.ts")])
    assert.strictEqual(code, 2)
    assert.include(stderr, "exports no app")
  })

  it("a run that does not end in time is a fault", async () => {
    const { test } = folderOf({ slow: { agent: "tell", payload: { text: "slow words" } } })
    const { code, stdout } = await test("--timeout", "1s")
    assert.strictEqual(code, 1)
    assert.include(stdout, "FAULT  scenario slow: it did not end in time")
  })

  it("an app that asks for credentials is named with what it asks for, and its token is not recorded", async () => {
    const { cwd, file } = folderOf({ count: { agent: "count", payload: { to: 3 } } })
    const test = (...flags: ReadonlyArray<string>) => command(["test", fixture("counting.ts"), ...flags], { cwd })
    const refused = await test()
    assert.strictEqual(refused.code, 1)
    assert.include(refused.stdout, "FAULT  contract mcp: Authentication failed: credentials are required.")
    const recorded = await test("--update", "--token", "hush")
    assert.strictEqual(recorded.code, 0, recorded.stdout)
    for (const name of ["traces/count.json", "contract/mcp.json", "contract/openapi.json", "contract/a2a.json"]) {
      assert.notInclude(readFileSync(file(name), "utf8"), "hush")
    }
  })

  it("a tool that takes another time leaves the same trace", () => {
    const took = (durationMs: number) =>
      Trace.of([{
        runId: "r",
        seq: 1,
        ts: durationMs,
        attempt: 1,
        type: "tool_result",
        data: { toolCallId: "c", name: "find", result: "found", isError: false, durationMs }
      }])
    assert.deepStrictEqual(took(3), took(13))
    assert.deepInclude(took(3)[0]?.data, { result: "found" })
  })

  it("chaos names a gap, a lost event and another one", () => {
    const event = (seq: number, delta = "a"): Event.RunEvent => ({
      runId: "r",
      seq,
      ts: 0,
      attempt: 1,
      type: "token",
      data: { delta }
    })
    const seen = new Map([[2, JSON.stringify(event(2))]])
    assert.deepStrictEqual(wrongIn([event(1), event(2)], seen), [])
    assert.lengthOf(wrongIn([event(1)], seen), 1)
    assert.lengthOf(wrongIn([event(1), event(2, "b")], seen), 1)
    assert.lengthOf(wrongIn([event(1), event(3)], new Map()), 1)
  })

  it("differences are places in a value, and no more than a reader takes in", () => {
    assert.deepStrictEqual(differences({ a: [1, 2], "b/c": {} }, { a: [1, 3], "b/c": {} }), [
      "/a/1 is 3, recorded is 2"
    ])
    assert.deepStrictEqual(differences({ "b/c": 1 }, {}), ["/b~1c is nothing, recorded is 1"])
    assert.deepStrictEqual(differences([], {}), ["/ is {}, recorded is []"])
    assert.lengthOf(differences(Array.from({ length: 50 }, () => 1), []), 8)
  })
})
