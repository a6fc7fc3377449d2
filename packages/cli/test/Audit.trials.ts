import { assert, describe, it } from "@effect/vitest"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import * as RedisServer from "@fastagentic/stores/test/redis/server"
import { Effect, Redacted } from "effect"
import { createHash } from "node:crypto"
import { copyFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { command, fastagentic, fixture, listening, temporaryFolder } from "./process.ts"

const env = { FASTAGENTIC_AUDIT_KEY: "0f".repeat(32) }

const audit = async (cwd: string, args: ReadonlyArray<string>, environment: Record<string, string> = env) => {
  const { code, stderr, stdout } = await command(["audit", ...args], { cwd, env: environment })
  return { code, stdout: stdout.trim().split("\n"), stderr: stderr.trim() }
}

/** The number of entries: a run's entry is written after its caller has the answer. */
const countIn = (cwd: string, tenant = "local") => {
  const database = new DatabaseSync(join(cwd, "acme.db"))
  const row = database.prepare("SELECT max(seq) AS last FROM audit WHERE tenant = ?").get(tenant)
  database.close()
  return Number(row?.["last"])
}

/** A server that answered three calls and was stopped. */
const served = async (cwd: string, store = "acme.db") => {
  const args = ["run", fixture("app.ts"), "--mode", "http", "--port", "0", "--store", store]
  const server = fastagentic(args, { cwd, env })
  try {
    const url = await listening(server)
    for (const name of ["Ada", "Ben", "Cleo"]) {
      await fetch(`${url}/agents/greeter`, { method: "POST", body: JSON.stringify({ name }) })
    }
    const page = await fetch(`${url}/audit?order=oldest`)
    return await page.json()
  } finally {
    server.child.kill("SIGTERM")
    await server.exited
  }
}

describe("fastagentic audit", () => {
  it("verify accepts an intact log, and names every row that was changed with SQL", async () => {
    const cwd = temporaryFolder()
    const { items } = await served(cwd)
    assert.containSubset(items, [{ seq: 1, principal: "local", action: "start", target: "agent/greeter" }])
    const last = countIn(cwd)
    assert.isAtLeast(last, 7)
    const whole = await audit(cwd, ["verify", "--store", "acme.db"])
    assert.deepStrictEqual(whole, {
      code: 0,
      stdout: [`local: whole, entries 1 to ${last}, signed up to ${last}`],
      stderr: ""
    })

    const tamper = (sql: string) => {
      copyFileSync(join(cwd, "acme.db"), join(cwd, "copy.db"))
      const database = new DatabaseSync(join(cwd, "copy.db"))
      database.exec(sql)
      database.close()
    }

    const after = async (sql: string, args: ReadonlyArray<string> = [], environment = env) => {
      tamper(sql)
      const { code, stderr, stdout } = await audit(cwd, ["verify", "--store", "copy.db", ...args], environment)
      assert.strictEqual(code, stdout.length === 1 ? 0 : 1, sql)
      assert.match(
        stderr,
        code === 0 ? /^$/u : /^fastagentic: the audit log is not whole: local/u,
        `${sql} ${stderr}`
      )
      return stdout.slice(1)
    }
    const change = "UPDATE audit SET body = replace(body, 'greeter', 'cleaner') WHERE seq = 3 AND tenant = 'local'"
    assert.deepStrictEqual(await after(change), [
      "local: changed: entry 3 is not what was written after entry 2"
    ])
    assert.deepStrictEqual(await after("DELETE FROM audit WHERE seq = 3 AND tenant = 'local'"), [
      "local: missing: entry 3 is gone"
    ])
    assert.deepStrictEqual(await after("DELETE FROM audit WHERE seq < 3 AND tenant = 'local'"), [
      "local: missing: entries 1 to 2 are gone"
    ])
    assert.deepStrictEqual(
      await after(`
        UPDATE audit SET seq = 1000 WHERE seq = 2 AND tenant = 'local';
        UPDATE audit SET seq = 2 WHERE seq = 3 AND tenant = 'local';
        UPDATE audit SET seq = 3 WHERE seq = 1000`),
      [
        "local: moved: in the place of entry 2 is entry 3",
        "local: moved: in the place of entry 3 is entry 2"
      ]
    )
    const gone = `local: truncated: entries 4 to ${last} are gone from the end`
    const truncate = "DELETE FROM audit WHERE seq > 3 AND tenant = 'local'"
    assert.deepStrictEqual(await after(truncate), [gone])
    const shorten = `${truncate};
      UPDATE audit_chains SET seq = 3, hash = (SELECT hash FROM audit WHERE seq = 3 AND tenant = 'local')
        WHERE tenant = 'local'`
    assert.deepStrictEqual(await after(shorten), [gone])
    assert.deepStrictEqual(
      await after(
        "INSERT INTO audit (tenant, seq, hash, body) SELECT tenant, 99, hash, body FROM audit WHERE seq = 3 AND tenant = 'local'"
      ),
      [
        `local: missing: entries ${last + 1} to 98 are gone`,
        `local: added: entries ${last + 1} to 99 were never recorded`,
        "local: moved: in the place of entry 99 is entry 3"
      ]
    )
    assert.deepStrictEqual(await after("DELETE FROM audit_keys"), [
      "local: key: the key of entry 1 is gone, and no entry says who redacted it"
    ])

    // The index lists what was signed, so heads, tails and tenants that are removed together are missed.
    const heads = await audit(cwd, ["heads", "--store", "acme.db"])
    writeFileSync(join(cwd, "anchors"), heads.stdout.join("\n"))
    const own = "WHERE tenant = 'local'"
    assert.deepStrictEqual(await after(`${shorten}; DELETE FROM audit_heads ${own}`), [
      gone,
      `local: signature: the head at ${last} is gone`
    ])
    assert.deepStrictEqual(await after(`DELETE FROM audit_heads ${own}`), [
      `local: signature: the head at ${last} is gone`
    ])
    const erase = ["audit", "audit_chains", "audit_heads", "audit_keys"].map((table) => `DELETE FROM ${table} ${own};`)
    assert.deepStrictEqual(await after(erase.join("")), [
      `local: truncated: entries 1 to ${last} are gone from the end`,
      `local: signature: the head at ${last} is gone`
    ])
    assert.deepStrictEqual(await after(`${shorten}; DELETE FROM audit_heads`, ["--anchors", "anchors"]), [gone])
    assert.deepStrictEqual(await after(`UPDATE audit_heads SET seq = 3 ${own}`), [
      "local: signature: the head at 3 is not what was signed",
      `local: signature: the head at ${last} is gone`
    ])
    assert.deepStrictEqual(
      await after(
        "UPDATE audit_keys SET key = CASE substr(key, 1, 1) WHEN 'a' THEN 'b' ELSE 'a' END || substr(key, 2)"
      ),
      [
        "local: key: the key of entry 1 does not open it"
      ].concat(
        Array.from({ length: last - 1 }, (_, index) => `local: key: the key of entry ${index + 2} does not open it`)
      )
    )
    const other = { FASTAGENTIC_AUDIT_KEY: "aa".repeat(32) }
    assert.include(
      (await after("", [], other))[0],
      `local: signature: the head at ${last} is signed with a key that was not given`
    )

    // Nothing is broken, and nothing proves it.
    const unproven = async (
      sql: string,
      args: ReadonlyArray<string> = [],
      environment: Record<string, string> = env,
      then: () => void = () => {}
    ) => {
      tamper(sql)
      then()
      const { code, stderr, stdout } = await audit(cwd, ["verify", "--store", "copy.db", ...args], environment)
      assert.strictEqual(code, 1)
      assert.match(stderr, /^fastagentic: the audit log cannot be proven: /u)
      return stdout.map((line) => line.replace(/\), .*/u, ")"))
    }
    assert.deepStrictEqual(await unproven("DELETE FROM audit_heads; DELETE FROM audit WHERE tenant <> 'local'"), [
      "local: CANNOT BE PROVEN (nothing is signed)"
    ])
    assert.deepStrictEqual(await unproven("DELETE FROM audit_heads WHERE tenant <> 'local'"), [
      `local: whole, entries 1 to ${last}, signed up to ${last}`,
      "the index of tenants: CANNOT BE PROVEN (there is no signed index of tenants)"
    ])
    assert.deepStrictEqual(await unproven("", [], {}), [
      "local: CANNOT BE PROVEN (no public key was given to check signatures with)"
    ])
    assert.include((await unproven("", ["--max-age", "0 seconds"])).at(-1), "the newest signature is from")
    const forge = () => {
      const database = new DatabaseSync(join(cwd, "copy.db"))
      const end = database.prepare(`SELECT hash, body FROM audit ${own} AND seq = ${last}`).get()
      const body = String(end?.["body"]).replace(`"seq":${last}`, `"seq":${last + 1}`)
      const hash = createHash("sha256").update(`${String(end?.["hash"])}\n${body}`).digest("hex")
      database.prepare("INSERT INTO audit (tenant, seq, hash, body) VALUES ('local', ?, ?, ?)").run(
        last + 1,
        hash,
        body
      )
      database.prepare(`UPDATE audit_chains SET seq = ?, hash = ? ${own}`).run(last + 1, hash)
      database.close()
    }
    assert.deepStrictEqual(await unproven("", [], env, forge), [
      `local: CANNOT BE PROVEN (entries ${last + 1} to ${last + 1} are not signed)`
    ])

    const key = await audit(cwd, ["key"])
    assert.deepStrictEqual(await after("", ["--signer", key.stdout[0] ?? ""], other), [])
  }, 120_000)

  it("verify names each part of a log that was put back to an older state, also with the index", async () => {
    const cwd = temporaryFolder()
    const serve = async () => {
      const args = ["run", fixture("lab.ts"), "--mode", "http", "--port", "0", "--store", "acme.db"]
      const server = fastagentic(args, { cwd, env })
      const url = await listening(server)
      for (const id of ["ann", "eve"]) {
        const headers = { "content-type": "application/json", "x-api-key": `key-of-${id}` }
        const answer = await fetch(`${url}/agents/plain`, { method: "POST", headers, body: "{\"mark\":\"m\"}" })
        assert.strictEqual(answer.status, 200)
      }
      server.child.kill("SIGTERM")
      await server.exited
    }
    await serve()
    copyFileSync(join(cwd, "acme.db"), join(cwd, "older.db"))
    const older = countIn(cwd, "acme")
    await serve()
    const newer = countIn(cwd, "acme")
    assert.isAbove(newer, older)
    writeFileSync(join(cwd, "anchors"), (await audit(cwd, ["heads", "--store", "acme.db"])).stdout.join("\n"))

    /** Puts rows back, of tables that have them and of a tenant or the index. */
    const after = async (parts: Record<string, ReadonlyArray<string>>, args: ReadonlyArray<string> = []) => {
      copyFileSync(join(cwd, "acme.db"), join(cwd, "copy.db"))
      const database = new DatabaseSync(join(cwd, "copy.db"))
      database.exec("ATTACH 'older.db' AS older".replace("older.db", join(cwd, "older.db")))
      for (const [tenant, tables] of Object.entries(parts)) {
        for (const table of tables) {
          const own = tenant === "index" ? "tenant NOT IN ('acme', 'other')" : `tenant = '${tenant}'`
          database.exec(`DELETE FROM main.${table} WHERE ${own};
            INSERT INTO main.${table} SELECT * FROM older.${table} WHERE ${own}`)
        }
      }
      database.close()
      const { code, stdout } = await audit(cwd, ["verify", "--store", "copy.db", ...args])
      assert.strictEqual(code, 1, stdout.join("\n"))
      return stdout.filter((line) => !line.includes(": whole"))
    }
    const all = ["audit", "audit_chains", "audit_heads", "audit_keys"]
    const gone = `acme: truncated: entries ${older + 1} to ${newer} are gone from the end`
    assert.include(await after({ acme: all }), gone)
    const unlisted = /^other: signature: the index does not list the head at \d+$/u
    assert.isTrue((await after({ acme: all, index: all })).some((line) => unlisted.test(line)))
    assert.isTrue((await after({ index: all })).some((line) => unlisted.test(line)))
    assert.match(
      (await after({ acme: all, index: all, other: ["audit_heads"] })).join(" "),
      /other: CANNOT BE PROVEN \(entries \d+ to \d+ are not signed\)/u
    )
    // All of it is an older log that was whole: only what is kept elsewhere, or its age, tells.
    const back = { acme: all, other: all, index: all }
    assert.include(await after(back, ["--anchors", "anchors"]), gone)
    assert.include((await after(back, ["--max-age", "0 seconds"])).join(" "), "the newest signature is from")
  }, 120_000)

  it("redact and cut leave a log that verify accepts", async () => {
    const cwd = temporaryFolder()
    await served(cwd)
    const { code } = await audit(cwd, ["redact", "local", "--tenant", "local", "--store", "acme.db"])
    assert.strictEqual(code, 0)
    const { items } = await served(cwd)
    assert.strictEqual(items[0].principal, null)
    assert.containSubset(items, [{ principal: "cli", action: "redact" }])
    assert.strictEqual(items.at(-1).principal, "local")
    assert.strictEqual((await audit(cwd, ["verify", "--store", "acme.db"])).code, 0)
    const count = countIn(cwd)
    const cut = await audit(cwd, ["cut", "--older-than", "0 days", "--store", "acme.db"])
    assert.deepStrictEqual(cut.stdout, [`local: entries up to ${count} are gone`])
    const rest = await served(cwd)
    assert.strictEqual(rest.items[0].seq, count + 1)
    const verdict = await audit(cwd, ["verify", "--store", "acme.db"])
    const last = countIn(cwd)
    assert.deepStrictEqual(verdict.stdout, [
      `local: whole, entries ${count + 1} to ${last}, signed up to ${last}`
    ])
  }, 120_000)

  it("verify refuses stores without a log and unusable anchors", async () => {
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, "none.db"), "")
    const empty = await audit(cwd, ["verify", "--store", "none.db"])
    assert.deepInclude(empty, { code: 2, stderr: "fastagentic: none.db has no audit log" })
    const odd = await audit(cwd, ["verify", "--store", "none.db"], { FASTAGENTIC_AUDIT_KEY: "sesame" })
    assert.strictEqual(odd.code, 2)
    assert.match(odd.stderr, /^fastagentic: [^\n]+$/u)
    assert.notInclude(odd.stderr, "sesame")
    const anchors = await audit(cwd, ["verify", "--store", "none.db", "--anchors", "none"])
    assert.strictEqual(anchors.code, 2)
  })
})

const servers = {
  postgres: { ...PostgresServer, open: PostgresServer.database },
  redis: { ...RedisServer, open: Effect.map(RedisServer.ownServer(), ({ url }) => url) }
}

for (const [name, { describeWithServer, open }] of Object.entries(servers)) {
  describeWithServer(`fastagentic audit on ${name}`, () => {
    it.live("verify accepts the entries of two concurrent servers", () =>
      Effect.gen(function*() {
        const store = Redacted.value(yield* open)
        const cwd = temporaryFolder()
        yield* Effect.promise(() => Promise.all([served(cwd, store), served(cwd, store)]))
        const verdict = yield* Effect.promise(() => audit(cwd, ["verify", "--store", store]))
        assert.strictEqual(verdict.code, 0, `${verdict.stdout.join("\n")} ${verdict.stderr}`)
        // Two servers, three calls each: each has a start and an end, and each log was read.
        assert.deepStrictEqual(verdict.stdout, ["local: whole, entries 1 to 14, signed up to 14"])
      }).pipe(Effect.scoped), 120_000)
  })
}
