import { assert, describe, it } from "@effect/vitest"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import * as RedisServer from "@fastagentic/stores/test/redis/server"
import { Effect, Fiber, Redacted } from "effect"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import * as Store from "../src/Store.ts"
import { command, fastagentic, fixture, listening, temporaryFolder } from "./process.ts"

/** A store of its own, and its URL with a password: neither server asks for one. */
const stores = {
  postgres: {
    describeWithServer: PostgresServer.describeWithServer,
    open: Effect.map(PostgresServer.database, (url) => {
      const own = new URL(Redacted.value(url))
      own.password = "hush"
      return own.href
    })
  },
  redis: {
    describeWithServer: RedisServer.describeWithServer,
    open: Effect.map(RedisServer.ownServer(), ({ url }) => Redacted.value(url))
  }
}

const serve = (store: string, ...args: ReadonlyArray<string>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() =>
        fastagentic(["run", fixture("app.ts"), "--mode", "http", "--port", "0", ...args], {
          env: { FASTAGENTIC_STORE: store }
        })
      ),
      ({ child, exited }) =>
        Effect.promise(() => {
          child.kill("SIGKILL")
          return exited
        })
    ),
    (running) => ({ ...running, url: Effect.promise(() => listening(running)) })
  )

const json = (url: string, init?: RequestInit) =>
  Effect.promise(async () => {
    const response = await fetch(url, init)
    return { status: response.status, body: await response.json() }
  })

const post = (url: string, body: unknown) => json(url, { method: "POST", body: JSON.stringify(body) })

for (const [name, { describeWithServer, open }] of Object.entries(stores)) {
  describeWithServer(`fastagentic on ${name}`, () => {
    it.live("a process serves a run of the other", () =>
      Effect.gen(function*() {
        const store = yield* open
        const [one, other] = [yield* serve(store), yield* serve(store)]
        const [a, b] = [yield* one.url, yield* other.url]
        const { body: { runId } } = yield* post(`${a}/agents/greeter/runs`, { name: "Ada" })
        const { body: { items: [asked] } } = yield* Effect.repeat(
          Effect.delay(json(`${b}/runs/${runId}/interrupts`), "50 millis"),
          { until: ({ body }) => body.items.length > 0 }
        )
        const decided = yield* post(`${b}/runs/${runId}/interrupts/${asked.id}`, { decision: "approve", value: true })
        assert.include([200, 202], decided.status)
        const journal = yield* Effect.promise(async () => (await fetch(`${a}/runs/${runId}/events`)).text())
        assert.include(journal, "Ada is fine: true")
      }).pipe(Effect.scoped))

    it.live("a killed process's run is finished by the other, in the same stream", () =>
      Effect.gen(function*() {
        const store = yield* open
        const [one, other] = [yield* serve(store), yield* serve(store)]
        const [a, b] = [yield* one.url, yield* other.url]
        const { body: { runId } } = yield* post(`${a}/agents/greeter/runs`, { name: "nap" })
        const stream = yield* Effect.forkChild(
          Effect.promise(async () => (await fetch(`${b}/runs/${runId}/events`)).text())
        )
        yield* Effect.repeat(Effect.delay(json(`${b}/runs/${runId}`), "20 millis"), {
          until: ({ body }) => body.lastSeq >= 2 || body.seq >= 2
        })
        one.child.kill("SIGKILL")
        const journal = yield* Fiber.join(stream)
        assert.include(journal, "nap is fine: true")
        const seqs = [...journal.matchAll(/^id: (\d+)$/gmu)].map(([, seq]) => Number(seq))
        assert.deepStrictEqual(seqs, seqs.map((_, index) => index + 1))
        assert.strictEqual([...journal.matchAll(/^event: token$/gmu)].length, 1)
        assert.deepInclude((yield* json(`${b}/runs/${runId}`)).body, { state: "completed", attempt: 2 })
      }).pipe(Effect.scoped))

    it.live("a file that one process takes is read at the other, also when the first is killed", () =>
      Effect.gen(function*() {
        const store = yield* open
        const [one, other] = [yield* serve(store), yield* serve(store)]
        const [a, b] = [yield* one.url, yield* other.url]
        const bytes = new Uint8Array(700_000).map((_, index) => index % 251)
        const form = new FormData()
        form.append("file", new File([bytes], "a.bin", { type: "application/octet-stream" }))
        const { body: stored, status } = yield* json(`${a}/files`, { method: "POST", body: form })
        assert.deepStrictEqual([status, stored.size], [201, bytes.length])
        one.child.kill("SIGKILL")
        const read = yield* Effect.promise(async () => {
          const response = await fetch(`${b}/files/${stored.fileId}`)
          return new Uint8Array(await response.arrayBuffer())
        })
        assert.deepStrictEqual(read, bytes)
      }).pipe(Effect.scoped))

    it.live("keys are managed beside a running server, and the password is never printed", () =>
      Effect.gen(function*() {
        const store = yield* open
        const server = yield* serve(store, "--auth", "keys")
        const url = yield* server.url
        assert.notInclude(server.stdout() + server.stderr(), "hush")
        assert.match(server.stdout(), new RegExp(`Store     ${name}://`, "u"))
        const keys = (...args: ReadonlyArray<string>) =>
          Effect.promise(async () => {
            const { code, stderr, stdout } = await command(["keys", ...args, "--store", store])
            assert.strictEqual(code, 0, stderr)
            return stdout.trim()
          })
        const status = (key: string) =>
          Effect.map(json(`${url}/agents`, { headers: { "x-api-key": key } }), (answer) => answer.status)
        const key = yield* keys("create", "ci", "--tenant", "acme", "--scope", "*")
        assert.strictEqual(yield* status(key), 200)
        const next = yield* keys("rotate", key.split("_")[1] ?? "")
        assert.deepStrictEqual([yield* status(key), yield* status(next)], [401, 200])
        assert.match(yield* keys("list"), / revoked .*\n.* active /u)
        yield* keys("revoke", next.split("_")[1] ?? "")
        assert.strictEqual(yield* status(next), 401)
      }).pipe(Effect.scoped))
  })
}

stores.postgres.describeWithServer("fastagentic with the engine that spreads runs", () => {
  it.live("runs of one process are driven by both", () =>
    Effect.gen(function*() {
      const store = yield* stores.postgres.open
      const [one, other] = [yield* serve(store, "--engine", "cluster"), yield* serve(store, "--engine", "cluster")]
      const [a, b] = [yield* one.url, yield* other.url]
      assert.notInclude(one.stdout() + one.stderr(), "hush")
      const drivenBy = (url: string) =>
        Effect.map(
          Effect.promise(async () => (await fetch(`${url}/metrics`)).text()),
          (text) => /^fastagentic_runs_active\S* ([1-9]\d*)$/mu.test(text)
        )
      const begin = Effect.forEach(Array.from({ length: 10 }), () => post(`${a}/agents/greeter/runs`, { name: "nap" }))
      const answered: Array<string> = []
      // The second may not have its shards yet.
      let shared = false
      while (!shared) {
        answered.push(...(yield* begin).map(({ body }) => String(body.runId)))
        yield* Effect.sleep("300 millis")
        shared = (yield* drivenBy(a)) && (yield* drivenBy(b))
      }
      for (const runId of answered) {
        const journal = yield* Effect.promise(async () => (await fetch(`${a}/runs/${runId}/events`)).text())
        assert.include(journal, "nap is fine: true")
      }
    }).pipe(Effect.scoped), 60_000)
})

describe("a store that cannot be used", () => {
  const refusal = async (args: ReadonlyArray<string>) => {
    const { code, stderr, stdout } = await command(args)
    assert.deepStrictEqual([code, stdout], [2, ""])
    assert.match(stderr, /^fastagentic: [^\n]+\n$/u)
    assert.notInclude(stderr, "hush")
    return stderr
  }
  const run = (store: string) => refusal(["run", fixture("app.ts"), "--mode", "http", "--port", "0", "--store", store])

  it("a store without support for the cluster engine is refused in one line", async () => {
    const spread = ["run", fixture("app.ts"), "--engine", "cluster", "--store"]
    assert.include(await refusal([...spread, "memory"]), "--engine cluster needs a store that is")
    assert.include(
      await refusal([...spread, "redis://me:hush@127.0.0.1:1/3"]),
      "--engine cluster needs a store that is"
    )
    assert.match(
      await refusal([...spread, "postgres://me:hush@127.0.0.1:1/x"]),
      /me:\*\*\*@127\.0\.0\.1:1\/x cannot be used/u
    )
  })

  it("an unreachable store is one line without the password", async () => {
    const refused = /(postgres|redis):\/\/me:\*\*\*@127\.0\.0\.1:1\/\w* cannot be used: .*ECONNREFUSED/u
    assert.match(await run("postgres://me:hush@127.0.0.1:1/x"), refused)
    assert.match(await run("redis://me:hush@127.0.0.1:1/3"), refused)
    assert.match(await refusal(["keys", "list", "--store", "redis://me:hush@127.0.0.1:1/3"]), refused)
    assert.include(await run("redis://me:hush@127.0.0.1:1/x"), "its path is not the number of a database")
    assert.include(await run("mysql://me:hush@127.0.0.1/x"), "--store mysql://…: a store is")
    assert.include(await run("postgres://me:hu/hush@127.0.0.1/x"), "is not a URL")
    assert.include(await run("postgres://me:hush@db.internal/x?ssl=true"), "its option \"ssl\" is not understood")
    assert.include(await run("redis://me:hush@127.0.0.1/0?timeout=1"), "its option \"timeout\" is not understood")
    assert.include(await refusal(["keys", "create", "ci", "--store", "memory"]), "a store that lasts")
  })

  it("a mistyped URL shows nothing of its password, and is no file", async () => {
    const values = [
      "postgress://me:hush@127.0.0.1/x",
      "postgres:/me:hush@127.0.0.1/x",
      "postgres:me:hush@127.0.0.1/x",
      "redis:/me:hush@127.0.0.1",
      "me:hush@127.0.0.1/x",
      "//me:hush@127.0.0.1/x",
      "postgres://me:12#hush@127.0.0.1/x",
      "postgres://me:12?hush@127.0.0.1/x",
      "postgres://me:12/hush@127.0.0.1/x",
      "redis://me:12/hush@127.0.0.1"
    ]
    for (const value of values) {
      const error = await Effect.runPromise(Effect.flip(Store.parse(value)))
      assert.notInclude(`${error.message}${JSON.stringify(error)}`, "hush", value)
    }
    await run("postgres:/me:hush@127.0.0.1/x")
    assert.isFalse(existsSync("postgres:"))
  })

  it("a missing store is one line, and no file is created", async () => {
    const looks = [
      ["keys", "list", "--store"],
      ["runs", "prune", "--older-than", "1d", "--store"],
      ["audit", "verify", "--store"],
      ["check", fixture("app.ts"), "--against"]
    ]
    for (const look of looks) {
      const file = join(temporaryFolder(), "misspelt.db")
      assert.include(await refusal([...look, file]), "misspelt.db cannot be used: there is no such file")
      assert.isFalse(existsSync(file))
      assert.include(await refusal([...look, "memory"]), "nothing is kept there")
    }
  })

  it("a store that accepts connections without answering is one line", async () => {
    const silent = createServer(() => {}).listen(0, "127.0.0.1")
    await once(silent, "listening")
    const address = silent.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    try {
      const refusals = await Promise.all([
        run(`postgres://me:hush@127.0.0.1:${port}/x`),
        run(`redis://me:hush@127.0.0.1:${port}`)
      ])
      for (const refusal of refusals) assert.include(refusal, "cannot be used: ")
    } finally {
      silent.close()
    }
  })
})
