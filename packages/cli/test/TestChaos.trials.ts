import { assert, describe, it } from "@effect/vitest"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
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

  it("the app does not outlive a command that is killed", async () => {
    const cwd = temporaryFolder()
    mkdirSync(join(cwd, "scenarios"))
    writeFileSync(join(cwd, "scenarios/one.json"), JSON.stringify({ agent: "tell", payload: { text: "one two" } }))
    const running = fastagentic(["test", fixture("speaking.ts"), "--chaos", "--kills", "1", "--runs", "5000"], { cwd })
    const children = () =>
      readFileSync(`/proc/${running.child.pid}/task/${running.child.pid}/children`, "utf8").trim().split(" ")
        .filter((pid) => pid !== "")
    const apps = await eventually(() => children().length > 0 ? children() : undefined)
    running.child.kill("SIGKILL")
    await running.exited
    await eventually(() => apps.every((pid) => !existsSync(`/proc/${pid}`)) ? true : undefined)
  })
})

/** A value that a look gives within ten seconds. */
const eventually = async <A>(look: () => A | undefined): Promise<A> => {
  for (const deadline = performance.now() + 10_000; performance.now() < deadline;) {
    const found = look()
    if (found !== undefined) return found
    await sleep(50)
  }
  throw new Error("it did not happen within ten seconds")
}
