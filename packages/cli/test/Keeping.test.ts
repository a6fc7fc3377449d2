import { assert, describe, it } from "@effect/vitest"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import * as RedisServer from "@fastagentic/stores/test/redis/server"
import { Effect, Redacted } from "effect"
import { existsSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { fastagentic, fixture, listening, type Running, temporaryFolder } from "./process.ts"

const name = "Ada ".repeat(50_000)

const json = async (url: string, init?: RequestInit) => {
  const response = await fetch(url, init)
  return { status: response.status, body: await response.json() }
}

const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  json(url, { method: "POST", body: JSON.stringify(body), headers })

const serve = (env: Record<string, string>, ...args: ReadonlyArray<string>) =>
  fastagentic(["run", fixture("app.ts"), "--mode", "http", "--port", "0", ...args], { env })

const stop = async ({ child, exited }: Running, signal: "SIGKILL" | "SIGTERM") => {
  child.kill(signal)
  await exited
}

const finished = async (url: string, name: string, key: string) => {
  const { body: { runId } } = await post(`${url}/agents/greeter/runs`, { name }, { "idempotency-key": key })
  await answered(url, runId)
  return String(runId)
}

const answered = async (url: string, runId: string) => {
  while (true) {
    const { body: { items: [asked] } } = await json(`${url}/runs/${runId}/interrupts`)
    if (asked !== undefined) {
      await post(`${url}/runs/${runId}/interrupts/${asked.id}`, { decision: "approve", value: true })
    }
    const { body: { state } } = await json(`${url}/runs/${runId}`)
    if (state === "completed") return
    await setTimeout(50)
  }
}

const gone = async (url: string, runId: string) => {
  while ((await json(`${url}/runs/${runId}`)).status !== 404) await setTimeout(100)
}

const filesIn = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile()).map((one) =>
    join(one.parentPath, one.name)
  )

const prune = async (store: string, env: Record<string, string>, ...args: ReadonlyArray<string>) => {
  const running = fastagentic(["runs", "prune", "--store", store, ...args], { env })
  assert.strictEqual(await running.exited, 0, running.stderr())
  return running.stdout().trim().split("\n")
}

describe("large values and a SQLite file", () => {
  it("are kept beside it, over a crash, until the run is removed", async () => {
    const folder = temporaryFolder()
    const store = join(folder, "app.db")
    const blobs = `${store}.blobs`
    const first = serve({ FASTAGENTIC_STORE: store })
    const before = await listening(first)
    const { body: { runId } } = await post(`${before}/agents/greeter/runs`, { name })
    while ((await json(`${before}/runs/${runId}`)).body.state !== "suspended") await setTimeout(20)
    await stop(first, "SIGKILL")
    assert.strictEqual(filesIn(blobs).length, 1)
    const second = serve({ FASTAGENTIC_STORE: store })
    const after = await listening(second)
    await answered(after, runId)
    const done = await json(`${after}/runs/${runId}`)
    assert.include(JSON.stringify(done.body), `${name} is fine: true`)
    assert.include(await (await fetch(`${after}/runs/${runId}/events`)).text(), `${name} is fine: true`)
    const other = await finished(after, `${name}!`, "other")
    assert.strictEqual(filesIn(blobs).length, 4)
    await stop(second, "SIGTERM")
    assert.deepStrictEqual(await prune(store, {}, "--older-than", "1d"), ["0 runs removed"])
    assert.deepStrictEqual(await prune(store, {}, "--older-than", "0s", "--state", "failed"), ["0 runs removed"])
    const found = await prune(store, {}, "--older-than", "0s", "--dry-run")
    assert.match(found[0] ?? "", /^\S+ greeter completed 2$/u)
    assert.strictEqual(found[1], "2 runs would be removed")
    // A blob that is lost is the trouble of its run.
    const [lost = ""] = filesIn(blobs)
    rmSync(lost)
    const third = serve({ FASTAGENTIC_STORE: store })
    const last = await listening(third)
    const answers = await Promise.all([runId, other].map((runId) => json(`${last}/runs/${runId}`)))
    assert.deepStrictEqual(answers.map(({ status }) => status).sort(), [200, 500])
    assert.include(JSON.stringify(answers), "JournalDamaged")
    await stop(third, "SIGTERM")
    assert.strictEqual((await prune(store, {}, "--older-than", "0s")).at(-1), "2 runs removed")
    assert.deepStrictEqual(filesIn(blobs), [])
  }, 120_000)

  it("of a server that keeps nothing for long leave nothing behind", async () => {
    const folder = temporaryFolder()
    const blobs = join(folder, "elsewhere")
    const env = { FASTAGENTIC_STORE: join(folder, "app.db"), FASTAGENTIC_BLOBS: blobs }
    const running = serve(env, "--retention", "failed=1d,completed=2s")
    const url = await listening(running)
    const runId = await finished(url, name, "key")
    assert.isFalse(existsSync(`${env.FASTAGENTIC_STORE}.blobs`))
    await gone(url, runId)
    assert.deepStrictEqual(filesIn(blobs), [])
    // The key has gone with its run.
    assert.notStrictEqual(await finished(url, "another", "key"), runId)
    await stop(running, "SIGTERM")
  }, 120_000)

  it("what cannot be understood is one line", async () => {
    for (const [flag, value] of [["--retention", "finished=7d"], ["--retention", "failed=soon"]] as const) {
      const running = serve({ FASTAGENTIC_STORE: "memory" }, flag, value)
      assert.strictEqual(await running.exited, 2)
      assert.match(running.stderr(), /^fastagentic: --retention [^\n]+\n$/u)
    }
  }, 60_000)
})

const journal = async (url: string, runId: string, after = 0) => {
  const headers = { "last-event-id": String(after) }
  const body = await (await fetch(`${url}/runs/${runId}/events`, { headers })).text()
  return [...body.matchAll(/^data: (.+)$/gmu)].map(([, line = ""]) => JSON.parse(line))
}

const tales = (env: Record<string, string>, ...args: ReadonlyArray<string>) =>
  fastagentic(["run", fixture("tales.ts"), "--mode", "http", "--port", "0", ...args], { env })

const rows = /^(\d+) rows of the journals of 1 run would become (\d+)$/u

describe("journals of a SQLite file", () => {
  it("take less room and say the same", async () => {
    const store = join(temporaryFolder(), "app.db")
    const first = tales({ FASTAGENTIC_STORE: store })
    const before = await listening(first)
    const { headers } = await fetch(`${before}/agents/teller`, { method: "POST", body: JSON.stringify({ words: 300 }) })
    const runId = headers.get("x-run-id") ?? ""
    const told = await journal(before, runId)
    assert.isAbove(told.length, 300)
    await stop(first, "SIGTERM")
    const [asked = ""] = await prune(store, {}, "--tokens-older-than", "0s", "--dry-run")
    const [, many, few] = rows.exec(asked) ?? []
    assert.isAbove(Number(many), 50)
    assert.isBelow(Number(few), 10)
    assert.deepStrictEqual(await prune(store, {}, "--tokens-older-than", "1d"), [
      "0 rows of the journals of 0 runs became 0"
    ])
    const done = await prune(store, {}, "--older-than", "1d", "--tokens-older-than", "0s")
    assert.deepStrictEqual(done, ["0 runs removed", asked.replace("would become", "became")])
    const second = tales({ FASTAGENTIC_STORE: store })
    const after = await listening(second)
    for (const seq of [0, 1, 150, 299]) {
      assert.deepStrictEqual(await journal(after, runId, seq), told.slice(seq))
    }
    await stop(second, "SIGTERM")
  }, 120_000)
})

const stores = {
  postgres: { describeWithServer: PostgresServer.describeWithServer, open: PostgresServer.database },
  redis: {
    describeWithServer: RedisServer.describeWithServer,
    open: Effect.map(RedisServer.ownServer(), ({ url }) => url)
  }
}

for (const [kind, { describeWithServer, open }] of Object.entries(stores)) {
  describeWithServer(`journals on ${kind}`, () => {
    it.live("are compacted by two servers while readers come and go", () =>
      Effect.gen(function*() {
        const store = Redacted.value(yield* open)
        const env = { FASTAGENTIC_STORE: store, FASTAGENTIC_RETENTION: "tokens=1s" }
        yield* Effect.promise(async () => {
          const servers = [tales(env), tales(env)]
          try {
            const [one = "", other = ""] = await Promise.all(servers.map(listening))
            const body = JSON.stringify({ words: 400 })
            const { headers } = await fetch(`${one}/agents/teller`, { method: "POST", body })
            const runId = headers.get("x-run-id") ?? ""
            const told = await journal(one, runId)
            assert.isAbove(told.length, 400)
            // One reader after the other, from ever later in the journal, until nothing is left to compact.
            for (let seq = 0, left = "1"; left !== "0"; seq = (seq + 37) % 400) {
              assert.deepStrictEqual(await journal(seq % 2 === 0 ? one : other, runId, seq), told.slice(seq))
              const [line = ""] = await prune(store, env, "--tokens-older-than", "0s", "--dry-run")
              left = line.split(" ")[0] ?? ""
            }
            for (const seq of [0, 1, 200, 255, 399]) {
              assert.deepStrictEqual(await journal(other, runId, seq), told.slice(seq))
            }
          } finally {
            await Promise.all(servers.map((server) => stop(server, "SIGKILL")))
          }
        })
      }).pipe(Effect.scoped), 120_000)
  })

  describeWithServer(`old runs on ${kind}`, () => {
    it.live("are removed beside two servers, with the blobs that these share", () =>
      Effect.gen(function*() {
        const store = Redacted.value(yield* open)
        const blobs = temporaryFolder()
        const env = { FASTAGENTIC_STORE: store, FASTAGENTIC_BLOBS: blobs }
        yield* Effect.promise(async () => {
          const servers = [serve(env), serve(env)]
          try {
            const [one = "", other = ""] = await Promise.all(servers.map(listening))
            const runId = await finished(one, name, "key")
            assert.include(JSON.stringify((await json(`${other}/runs/${runId}`)).body), `${name} is fine`)
            const { body } = await post(`${other}/agents/greeter/runs`, { name: "waiting" })
            const lines = await prune(store, env, "--older-than", "0s")
            assert.match(lines[0] ?? "", /^\S+ greeter completed 1$/u)
            assert.strictEqual((await json(`${one}/runs/${runId}`)).status, 404)
            assert.strictEqual((await json(`${one}/runs/${body.runId}`)).status, 200)
            assert.deepStrictEqual(filesIn(blobs), [])
          } finally {
            await Promise.all(servers.map((server) => stop(server, "SIGKILL")))
          }
        })
      }).pipe(Effect.scoped), 120_000)
  })
}
