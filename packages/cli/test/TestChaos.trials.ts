import { assert, describe, it } from "@effect/vitest"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fastagentic, fixture, temporaryFolder } from "./process.ts"

const chaos = async (app: string, scenario: unknown, ...flags: ReadonlyArray<string>) => {
  const cwd = temporaryFolder()
  mkdirSync(join(cwd, "scenarios"))
  writeFileSync(join(cwd, "scenarios/one.json"), JSON.stringify(scenario))
  const running = fastagentic(["test", fixture(app), "--chaos", "--seed", "7", ...flags], { cwd })
  return { code: await running.exited, stdout: running.stdout(), stderr: running.stderr() }
}

describe("fastagentic test --chaos", { timeout: 120_000 }, () => {
  it("kills the app of the user, and nothing that it has committed is lost", async () => {
    const asks = {
      agent: "tell",
      payload: { text: "one two", ask: true },
      decisions: { again: [{ decision: "approve", value: true }] },
      expect: { state: "completed" }
    }
    const { code, stderr, stdout } = await chaos("speaking.ts", asks, "--kills", "2", "--runs", "6")
    assert.deepStrictEqual([code, stderr], [0, ""], stdout)
    assert.match(stdout, /ok {5}chaos: 6 runs over 2 kills, seed 7: \d+ events seen, none lost/u)
  })

  it("an app whose runs end otherwise in another process is named, with the seed that shows it again", async () => {
    // The first run of each process fails.
    const { code, stdout } = await chaos(
      "speaking.ts",
      { agent: "pay", payload: { amount: 13 } },
      "--kills",
      "1",
      "--runs",
      "4"
    )
    assert.strictEqual(code, 1)
    assert.match(stdout, /FAULT {2}chaos: one \(run [^)]+\): it is completed, and failed without kills/u)
    assert.include(stdout, "the same kills again: --seed 7")
  })

  it("an app that asks for credentials gets the token there too", async () => {
    const { code, stderr, stdout } = await chaos(
      "counting.ts",
      { agent: "count", payload: { to: 3 }, expect: { output: "counted to 3" } },
      "--kills",
      "1",
      "--runs",
      "2",
      "--token",
      "hush"
    )
    assert.deepStrictEqual([code, stderr], [0, ""], stdout)
    assert.include(stdout, "ok     chaos: 2 runs over 1 kill")
  })
})
