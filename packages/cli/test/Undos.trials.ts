import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fastagentic, fixture, listening, temporaryFolder } from "./process.ts"

const Body = Schema.decodeUnknownSync(
  Schema.Struct({
    runId: Schema.String,
    state: Schema.String,
    waitsFor: Schema.optionalKey(Schema.String),
    error: Schema.optionalKey(Schema.Struct({ tag: Schema.String }))
  })
)

/** A server over one database, which is killed and started again. */
const world = () => {
  const folder = temporaryFolder()
  const log = join(folder, "log")
  const args = ["run", fixture("undoing.ts"), "--mode", "http", "--port", "0", "--store", "acme.db"]
  const lines = () => existsSync(log) ? readFileSync(log, "utf8").split("\n").filter((line) => line !== "") : []
  const until = async (check: () => boolean | Promise<boolean>) => {
    for (let look = 0; !(await check()); look++) {
      if (look > 1_500) assert.fail(lines().join("\n"))
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const begin = async () => {
    const running = fastagentic(args, { cwd: folder, env: { UNDO_LOG: log } })
    const url = await listening(running)
    const kill = async () => {
      running.child.kill("SIGKILL")
      await running.exited
    }
    return { url, kill }
  }
  return { lines, until, begin }
}

const post = async (url: string, body: unknown) => {
  const headers = { "content-type": "application/json" }
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) })
  return { status: response.status, body: await response.json() }
}
const read = async (url: string, runId: string) => Body(await (await fetch(`${url}/runs/${runId}`)).json())

/** Kills the server in each undo, and starts it again. */
const killedInEach = async (
  { begin, lines, until }: ReturnType<typeof world>,
  first: Awaited<ReturnType<ReturnType<typeof world>["begin"]>>,
  runId: string
) => {
  let { kill, url } = first
  for (const what of ["car", "hotel", "flight"]) {
    await until(() => lines().some((line) => line.startsWith(`begin ${what} `)))
    await kill()
    ;({ kill, url } = await begin())
  }
  await until(async () => ["failed", "cancelled"].includes((await read(url, runId)).state))
  const run = await read(url, runId)
  const events = await (await fetch(`${url}/runs/${runId}/events`)).text()
  await kill()
  const undone = lines().filter((line) => line.startsWith("undone "))
  assert.deepStrictEqual(undone, ["undone car", "undone hotel", "undone flight"])
  assert.strictEqual(lines().filter((line) => line.startsWith("booked ")).length, 3)
  // A try that was cut off is repeated with its key.
  for (const what of ["car", "hotel", "flight"]) {
    const tries = lines().filter((line) => line.startsWith(`begin ${what} `))
    assert.isAtLeast(tries.length, 2)
    assert.strictEqual(new Set(tries).size, 1)
  }
  assert.strictEqual(events.split("\"done\"").length - 1, 3)
  return run
}

describe("Undos over a socket, on SQLite", () => {
  it("of a run that fails continue after each SIGKILL, and run once in reverse order", async () => {
    const here = world()
    const server = await here.begin()
    const { body, status } = await post(`${server.url}/agents/trip/runs`, { fails: true })
    assert.strictEqual(status, 202)
    const run = await killedInEach(here, server, Body(body).runId)
    assert.deepStrictEqual([run.state, run.error?.tag], ["failed", "InternalError"])
  }, 120_000)

  it("of a run that is cancelled while it waits continue after each SIGKILL", async () => {
    const here = world()
    const server = await here.begin()
    const { runId } = Body((await post(`${server.url}/agents/trip/runs`, { fails: false })).body)
    await here.until(async () => (await read(server.url, runId)).waitsFor === "interrupt")
    await server.kill()
    const again = await here.begin()
    assert.deepStrictEqual(here.lines().filter((line) => line.startsWith("begin")), [])
    const cancelled = await post(`${again.url}/runs/${runId}/cancel`, {})
    const { state, waitsFor } = Body(cancelled.body)
    assert.deepStrictEqual([cancelled.status, state, waitsFor], [202, "suspended", "undo"])
    const run = await killedInEach(here, again, runId)
    assert.strictEqual(run.state, "cancelled")
  }, 120_000)
})
