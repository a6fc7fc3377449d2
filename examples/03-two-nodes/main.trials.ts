import { assert, it } from "@effect/vitest"
import { database, describeWithServer } from "@fastagentic/stores/test/postgres/server"
import { Effect, Redacted } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

const file = fileURLToPath(new URL("demo.ts", import.meta.url))

/** Runs the README's command on a database of its own. */
const demo = (url: string) =>
  Effect.callback<{ readonly code: number | null; readonly output: string }>((resume) => {
    const child = spawn(process.execPath, [file], {
      env: { ...process.env, DATABASE_URL: url },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => output += text)
    child.stderr.setEncoding("utf8").on("data", (text: string) => output += text)
    child.once("close", (code) => resume(Effect.succeed({ code, output })))
    return Effect.sync(() => child.kill("SIGTERM"))
  })

describeWithServer("two nodes", () => {
  it.live("a reader's stream continues when the node that runs it is killed", () =>
    Effect.gen(function*() {
      const { code, output } = yield* demo(Redacted.value(yield* database))
      assert.strictEqual(code, 0, output)
      assert.match(output, /SIGKILL to pid \d+/u)
      assert.match(output, /attempt 2 {2}done/u)
    }), 60_000)
})
