import { assert, describe, it } from "@effect/vitest"
import { BlobStore } from "@fastagentic/core/store/BlobStore"
import { S3BlobStore } from "@fastagentic/stores/blob"
import * as S3 from "@fastagentic/stores/test/blob/server"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import * as RedisServer from "@fastagentic/stores/test/redis/server"
import { Effect, Redacted } from "effect"
import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { command, fastagentic, fixture, listening, type Running, temporaryFolder } from "./process.ts"

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
  const { code, stderr, stdout } = await command(["runs", "prune", "--store", store, ...args], { env })
  assert.strictEqual(code, 0, stderr)
  return stdout.trim().split("\n")
}

describe("large values and a SQLite file", () => {
  it("large values are kept beside the file, over a crash, until the run is removed", async () => {
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
    // A lost blob affects its own run only.
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

  it("unreferenced values are swept by a server, and by the command", async () => {
    const folder = temporaryFolder()
    const blobs = join(folder, "elsewhere")
    const env = { FASTAGENTIC_STORE: join(folder, "app.db"), FASTAGENTIC_BLOBS: blobs }
    const running = serve(env, "--retention", "completed=1s,failed=1d,blobs=1h")
    const url = await listening(running)
    const { body: { runId } } = await post(`${url}/agents/greeter/runs`, { name })
    while ((await json(`${url}/runs/${runId}`)).body.state !== "suspended") await setTimeout(20)
    await stop(running, "SIGKILL")
    const [used = ""] = filesIn(blobs)
    const orphan = (letter: string) => {
      const file = join(blobs, letter.repeat(2), letter.repeat(64))
      mkdirSync(join(blobs, letter.repeat(2)), { recursive: true })
      writeFileSync(file, JSON.stringify({ run: runId, value: letter }))
      return file
    }
    const [old, young] = [orphan("a"), orphan("b")]
    for (const file of [used, old]) utimesSync(file, 1, 1)
    const [found, ...more] = await prune(env.FASTAGENTIC_STORE, env, "--dry-run")
    assert.deepStrictEqual(more, [])
    assert.match(found ?? "", /^1 unused blob with \d\d bytes would be removed$/u)
    assert.deepStrictEqual(filesIn(blobs).sort(), [used, old, young].sort())
    const second = serve(env, "--retention", "completed=1s,failed=1d,blobs=1h")
    const again = await listening(second)
    while (existsSync(old)) await setTimeout(100)
    assert.isTrue(existsSync(young))
    assert.include(JSON.stringify((await json(`${again}/runs/${runId}`)).body), name)
    await stop(second, "SIGTERM")
    const [swept = ""] = await prune(env.FASTAGENTIC_STORE, env, "--blobs-older-than", "0s")
    assert.match(swept, /^1 unused blob with \d\d bytes removed$/u)
    assert.deepStrictEqual(filesIn(blobs), [used])
  }, 120_000)

  it("a short retention leaves no values behind", async () => {
    const folder = temporaryFolder()
    const blobs = join(folder, "elsewhere")
    const env = { FASTAGENTIC_STORE: join(folder, "app.db"), FASTAGENTIC_BLOBS: blobs }
    const running = serve(env, "--retention", "failed=1d,completed=2s")
    const url = await listening(running)
    const runId = await finished(url, name, "key")
    assert.isFalse(existsSync(`${env.FASTAGENTIC_STORE}.blobs`))
    await gone(url, runId)
    assert.deepStrictEqual(filesIn(blobs), [])
    // The key was removed with its run.
    assert.notStrictEqual(await finished(url, "another", "key"), runId)
    await stop(running, "SIGTERM")
  }, 120_000)

  it("an invalid retention is refused in one line", async () => {
    for (const [flag, value] of [["--retention", "finished=7d"], ["--retention", "failed=soon"]] as const) {
      const { code, stderr } = await command([
        "run",
        fixture("app.ts"),
        "--mode",
        "http",
        "--store",
        "memory",
        flag,
        value
      ])
      assert.strictEqual(code, 2)
      assert.match(stderr, /^fastagentic: --retention [^\n]+\n$/u)
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
  it("compacted journals take less room and read the same", async () => {
    const store = join(temporaryFolder(), "app.db")
    const first = tales({ FASTAGENTIC_STORE: store })
    const before = await listening(first)
    const { headers } = await fetch(`${before}/agents/teller`, { method: "POST", body: JSON.stringify({ words: 300 }) })
    const runId = headers.get("x-run-id") ?? ""
    const recorded = await journal(before, runId)
    assert.isAbove(recorded.length, 300)
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
      assert.deepStrictEqual(await journal(after, runId, seq), recorded.slice(seq))
    }
    await stop(second, "SIGTERM")
  }, 120_000)
})

S3.describeWithServer("large values in a bucket", () => {
  it.live(
    "blobs configured by the environment are read whole and removed with their run",
    () =>
      Effect.gen(function*() {
        const { accessKeyId, bucket, endpoint, region, secretAccessKey } = yield* S3.options
        const prefix = "acme/blobs of tales"
        const env = {
          FASTAGENTIC_STORE: join(temporaryFolder(), "app.db"),
          FASTAGENTIC_BLOBS: `s3://${bucket}/${encodeURI(prefix)}`,
          AWS_ACCESS_KEY_ID: accessKeyId,
          AWS_SECRET_ACCESS_KEY: Redacted.value(secretAccessKey),
          AWS_REGION: region,
          AWS_ENDPOINT_URL_S3: endpoint
        }
        const inBucket = <A, E>(use: (blobs: BlobStore["Service"]) => Effect.Effect<A, E>) =>
          BlobStore.use(use).pipe(Effect.provide(
            S3BlobStore.layer({ accessKeyId, bucket, endpoint, region, secretAccessKey, prefix: `${prefix}/` }),
            { local: true }
          ))
        const count = Effect.map(inBucket((blobs) => blobs.list("")), (found) => found.length)
        const first = serve(env)
        const runId = yield* Effect.promise(async () => {
          const url = await listening(first)
          const { body: { runId } } = await post(`${url}/agents/greeter/runs`, { name })
          while ((await json(`${url}/runs/${runId}`)).body.state !== "suspended") await setTimeout(50)
          await stop(first, "SIGKILL")
          return String(runId)
        })
        assert.strictEqual(yield* count, 1)
        assert.isFalse(existsSync(`${env.FASTAGENTIC_STORE}.blobs`))
        yield* Effect.promise(async () => {
          const second = serve(env)
          const url = await listening(second)
          await answered(url, runId)
          assert.include(JSON.stringify((await json(`${url}/runs/${runId}`)).body), `${name} is fine: true`)
          assert.include(await (await fetch(`${url}/runs/${runId}/events`)).text(), `${name} is fine: true`)
          await stop(second, "SIGTERM")
        })
        assert.strictEqual(yield* count, 2)
        const text = (run: string) => new TextEncoder().encode(JSON.stringify({ run, value: "x".repeat(100) }))
        yield* inBucket((blobs) => Effect.all([blobs.put(text(runId)), blobs.put(text("a run of somebody else"))]))
        const runs = (...args: ReadonlyArray<string>) =>
          Effect.promise(() =>
            prune(env.FASTAGENTIC_STORE, env, "--older-than", "0s", "--blobs-older-than", "0s", ...args)
          )
        const foreseen = yield* runs("--dry-run")
        assert.strictEqual(foreseen[1], "1 run would be removed")
        assert.match(foreseen[2] ?? "", /^1 unused blob with 1\d\d bytes would be removed$/u)
        assert.strictEqual(yield* count, 4)
        const [, done] = yield* Effect.promise(() => prune(env.FASTAGENTIC_STORE, env, "--blobs-older-than", "0s"))
          .pipe(Effect.andThen(runs()))
        assert.strictEqual(done, "1 run removed")
        assert.strictEqual(yield* count, 1)
      }),
    180_000
  )
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
    it.live("journals are compacted by two servers while readers come and go", () =>
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
            const recorded = await journal(one, runId)
            assert.isAbove(recorded.length, 400)
            // Readers start one after the other, each later in the journal, until nothing is left to compact.
            for (let seq = 0, left = "1"; left !== "0"; seq = (seq + 37) % 400) {
              assert.deepStrictEqual(await journal(seq % 2 === 0 ? one : other, runId, seq), recorded.slice(seq))
              const [line = ""] = await prune(store, env, "--tokens-older-than", "0s", "--dry-run")
              left = line.split(" ")[0] ?? ""
            }
            for (const seq of [0, 1, 200, 255, 399]) {
              assert.deepStrictEqual(await journal(other, runId, seq), recorded.slice(seq))
            }
          } finally {
            await Promise.all(servers.map((server) => stop(server, "SIGKILL")))
          }
        })
      }).pipe(Effect.scoped), 120_000)
  })

  describeWithServer(`old runs on ${kind}`, () => {
    it.live("runs are removed beside two servers, with their shared blobs", () =>
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
