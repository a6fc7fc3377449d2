import { assert, describe, it } from "@effect/vitest"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fastagentic, fixture, listening, temporaryFolder } from "./process.ts"

type Variant = "compatible" | "diverging" | "renamed" | "migrated"

/** A server that runs for the length of an effect. */
const serve = async (
  store: string,
  variant: Variant | undefined,
  use: (url: string) => Promise<unknown>
) => {
  const file = fixture(variant === undefined ? "app.ts" : "upgraded.ts")
  const running = fastagentic(["run", file, "--mode", "http", "--port", "0", "--store", store], {
    env: variant === undefined ? {} : { VARIANT: variant }
  })
  try {
    await use(await listening(running))
  } finally {
    running.child.kill("SIGKILL")
    await running.exited
  }
  return running.stderr()
}

const json = async (url: string, body?: unknown) => {
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }
  const response = await fetch(url, init)
  return response.json()
}

const check = async (store: string, variant: Variant, ...args: ReadonlyArray<string>) => {
  const running = fastagentic(["check", fixture("upgraded.ts"), "--against", store, ...args], {
    env: { VARIANT: variant }
  })
  const code = await running.exited
  return { code, out: running.stdout(), err: running.stderr() }
}

/** Starts a run that waits for its answer. */
const waiting = async (url: string) => {
  const { runId } = await json(`${url}/agents/greeter/runs`, { name: "Ada" })
  for (;;) {
    const run = await json(`${url}/runs/${runId}`)
    if (run.state === "suspended") return String(runId)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe("fastagentic check", () => {
  it("the check predicts what the deployment does", async () => {
    const store = join(temporaryFolder(), "runs.db")
    let runId = ""
    await serve(store, undefined, async (url) => {
      runId = await waiting(url)
      const busy = await check(store, "compatible")
      assert.deepStrictEqual([busy.code, busy.out], [2, ""])
      assert.strictEqual(busy.err, `fastagentic: ${store} is in use: stop the server first\n`)
    })
    const bytes = readFileSync(store)

    const [fits, diverging, renamed, migrated, nobody] = await Promise.all([
      check(store, "compatible"),
      check(store, "diverging"),
      check(store, "renamed"),
      check(store, "migrated", "--agent", "greeter", "--limit", "1"),
      check(store, "renamed", "--agent", "nobody")
    ])
    assert.deepStrictEqual(
      [fits.code, fits.out, fits.err],
      [0, `${runId} greeter suspended: ok, up to interrupt "ok"\n1 ok\n`, ""]
    )
    assert.deepStrictEqual([diverging.code, diverging.out, diverging.err], [
      1,
      `${runId} greeter suspended: diverges, wants step "state of mind" where step "mood" is recorded\n1 diverges\n`,
      "fastagentic: 1 run does not go on with this code\n"
    ])
    assert.strictEqual(renamed.code, 1)
    assert.match(renamed.out, /: pinned, its payload does not fit any more \(name, person\)\n1 pinned\n$/u)
    assert.deepStrictEqual([migrated.code, migrated.out], [
      0,
      `${runId} greeter suspended: migrates, up to interrupt "ok"\n1 migrates\n`
    ])
    assert.deepStrictEqual([nobody.code, nobody.out], [0, "no runs to check\n"])
    assert.deepStrictEqual(readFileSync(store), bytes)

    const pinned = await serve(store, "renamed", async (url) => {
      const { items } = await json(`${url}/runs?waitsFor=migration`)
      assert.deepStrictEqual(items.map((run: { readonly runId: string }) => run.runId), [runId])
    })
    assert.match(pinned, /Runs of earlier definitions.* pinned=1/u)
    await serve(store, "migrated", async (url) => {
      const { items: [asked] } = await json(`${url}/runs/${runId}/interrupts`)
      await json(`${url}/runs/${runId}/interrupts/${asked.id}`, { decision: "approve", value: true })
      const journal = await (await fetch(`${url}/runs/${runId}/events`)).text()
      assert.include(journal, "dear Ada is fine: true")
    })
    const done = await check(store, "migrated", "--finished")
    assert.deepStrictEqual([done.code, done.out], [0, `${runId} greeter completed: ok, up to its end\n1 ok\n`])
  }, 180_000)

  it("a missing store is not created", async () => {
    const store = join(temporaryFolder(), "none.db")
    const none = await check(store, "compatible")
    assert.strictEqual(none.code, 2)
    assert.match(none.err, /^fastagentic: .*none\.db cannot be used: .+\n$/u)
  }, 60_000)

  it("checks the tools for MCP hosts when no store is named", async () => {
    const kept = fastagentic(["check", fixture("upgraded.ts")], { env: { VARIANT: "compatible" } })
    assert.strictEqual(await kept.exited, 0)
    assert.strictEqual(kept.stdout(), "the tools keep the rules of known MCP hosts\n")
    const file = join(temporaryFolder(), "union.ts")
    const from = (name: string) => JSON.stringify(import.meta.resolve(name))
    const code = `import { App } from ${from("../src/index.ts")}
import { Effect } from ${from("effect")}
import { Tool, Toolkit } from ${from("effect/ai")}
const Tools = Toolkit.make(Tool.dynamic("either", { parameters: { type: "object", oneOf: [{}, {}] } }))
class Union extends App.make("union", { version: "1", tools: Tools }) {}
export default Union.provide(Tools.toLayer({ either: () => Effect.succeed(1) }))
`
    writeFileSync(file, code)
    const broken = fastagentic(["check", file])
    assert.strictEqual(await broken.exited, 1, broken.stderr())
    assert.include(broken.stdout(), "either: its parameters have oneOf at the top")
  })
})
