import { assert, describe, it } from "@effect/vitest"
import { cpSync, existsSync, readdirSync, renameSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { fastagentic, fixture, listening, type Running, temporaryFolder } from "./process.ts"

const large = "Ada ".repeat(50_000)

const json = async (url: string, init?: RequestInit) => {
  const response = await fetch(url, init)
  return { status: response.status, body: await response.json() }
}

const post = (url: string, body: unknown) => json(url, { method: "POST", body: JSON.stringify(body) })

const serve = (store: string, ...args: ReadonlyArray<string>) =>
  fastagentic(["run", fixture("app.ts"), "--mode", "http", "--port", "0", ...args], {
    env: { FASTAGENTIC_STORE: store }
  })

const kill = async ({ child, exited }: Running) => {
  child.kill("SIGKILL")
  await exited
}

const backup = async (store: string, target: string, env: Record<string, string> = {}) => {
  const running = fastagentic(["store", "backup", target, "--store", store], { env })
  return { code: await running.exited, stdout: running.stdout(), stderr: running.stderr() }
}

const waiting = async (url: string, name: string) => {
  const { body: { runId } } = await post(`${url}/agents/greeter/runs`, { name })
  while ((await json(`${url}/runs/${runId}`)).body.state !== "suspended") await setTimeout(20)
  return String(runId)
}

const approve = async (url: string, runId: string) => {
  const { body: { items: [asked] } } = await json(`${url}/runs/${runId}/interrupts`)
  await post(`${url}/runs/${runId}/interrupts/${asked.id}`, { decision: "approve", value: true })
  while (true) {
    const { body } = await json(`${url}/runs/${runId}`)
    if (body.state === "completed") return String(body.output)
    await setTimeout(20)
  }
}

const removeStore = (store: string) => {
  for (const end of ["", "-wal", "-shm", ".blobs"]) rmSync(store + end, { recursive: true, force: true })
}

describe("fastagentic store backup", () => {
  it("copies a store whose server works, and a server on the copy goes on with its runs", async () => {
    const folder = temporaryFolder()
    const [store, target] = [join(folder, "app.db"), join(folder, "backup.db")]
    const first = serve(store)
    const before = await listening(first)
    const runId = await waiting(before, large)
    // Runs that begin and end while the copy is made.
    const controller = new AbortController()
    const load = Array.from({ length: 4 }, async () => {
      while (!controller.signal.aborted) await post(`${before}/agents/greeter`, { name: "nap" })
    })
    const made = await backup(store, target)
    controller.abort()
    assert.strictEqual(made.code, 0, made.stderr)
    assert.include(made.stdout, `${target} ${statSync(target).size} bytes`)
    assert.match(made.stdout, /backup\.db\.blobs [1-9]\d* blobs?\n/u)
    await Promise.all(load)
    const later = await waiting(before, "later")
    await kill(first)
    removeStore(store)
    renameSync(target, store)
    renameSync(`${target}.blobs`, `${store}.blobs`)
    const second = serve(store)
    const after = await listening(second)
    assert.strictEqual((await json(`${after}/runs/${later}`)).status, 404)
    assert.strictEqual(await approve(after, runId), `${large} is fine: true`)
    assert.strictEqual(await approve(after, await waiting(after, "Ada")), "Ada is fine: true")
    // The socket that the killed server has left is no obstacle.
    assert.strictEqual((await backup(store, join(folder, "again.db"))).code, 0)
    await kill(second)
  }, 60_000)

  it("copies a store that has no server, and refuses what it cannot copy", async () => {
    const folder = temporaryFolder()
    const [store, target] = [join(folder, "app.db"), join(folder, "backup.db")]
    const running = serve(store)
    const runId = await waiting(await listening(running), large)
    await kill(running)
    assert.strictEqual((await backup(store, target)).code, 0)
    const twice = await backup(store, target)
    assert.strictEqual(twice.code, 2)
    assert.include(twice.stderr, "the file exists")
    assert.include((await backup(join(folder, "none.db"), join(folder, "x.db"))).stderr, "there is no such file")
    assert.include((await backup("postgres://127.0.0.1/acme", join(folder, "x.db"))).stderr, "is no SQLite file")
    assert.isFalse(existsSync(join(folder, "x.db")))
    const again = serve(target)
    assert.strictEqual(await approve(await listening(again), runId), `${large} is fine: true`)
    await kill(again)
  }, 60_000)

  it("copies only blobs that the target does not have, and says where it leaves others", async () => {
    const folder = temporaryFolder()
    const store = join(folder, "app.db")
    const running = serve(store)
    const url = await listening(running)
    await waiting(url, large)
    await backup(store, join(folder, "one.db"))
    const count = () => readdirSync(join(folder, "two.db.blobs"), { recursive: true }).length
    cpSync(join(folder, "one.db.blobs"), join(folder, "two.db.blobs"), { recursive: true })
    const had = count()
    const second = await backup(store, join(folder, "two.db"))
    assert.notInclude(second.stdout, "blobs")
    assert.strictEqual(count(), had)
    const elsewhere = await backup(store, join(folder, "three.db"), { FASTAGENTIC_BLOBS: join(folder, "elsewhere") })
    assert.include(elsewhere.stderr, "FASTAGENTIC_BLOBS")
    await kill(running)
  }, 60_000)
})

describe("fastagentic runs prune", () => {
  it("makes the file of a store shorter", async () => {
    const folder = temporaryFolder()
    const store = join(folder, "app.db")
    const running = serve(store)
    const url = await listening(running)
    const name = "x".repeat(30_000)
    const names = Array.from({ length: 200 }, () => name)
    for (let at = 0; at < names.length; at += 20) {
      const runs = await Promise.all(names.slice(at, at + 20).map((name) => waiting(url, name)))
      await Promise.all(runs.map((runId) => approve(url, runId)))
    }
    const { child, exited } = running
    child.kill("SIGTERM")
    await exited
    const full = statSync(store).size
    const prune = fastagentic(["runs", "prune", "--store", store, "--older-than", "0s"])
    assert.strictEqual(await prune.exited, 0, prune.stderr())
    assert.include(prune.stdout(), "200 runs removed")
    assert.isAbove(full, 10_000_000)
    assert.isBelow(statSync(store).size, 1_000_000)
  }, 120_000)
})
