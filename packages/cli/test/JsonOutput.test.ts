import { assert, describe, it } from "@effect/vitest"
import { join } from "node:path"
import { withApp } from "./golden.ts"
import { command, fixture, temporaryFolder } from "./process.ts"

const subcommands = [
  ["approvals", "list"],
  ["approvals", "approve"],
  ["approvals", "edit"],
  ["approvals", "deny"],
  ["audit", "verify"],
  ["audit", "heads"],
  ["audit", "redact"],
  ["audit", "cut"],
  ["audit", "key"],
  ["call"],
  ["chat"],
  ["check"],
  ["keys", "create"],
  ["keys", "list"],
  ["keys", "revoke"],
  ["keys", "rotate"],
  ["principals", "revoke"],
  ["principals", "restore"],
  ["principals", "cancel"],
  ["push", "list"],
  ["push", "redrive"],
  ["runs", "list"],
  ["runs", "get"],
  ["runs", "events"],
  ["runs", "cancel"],
  ["runs", "retry"],
  ["runs", "fork"],
  ["runs", "prune"],
  ["store", "backup"],
  ["tail"]
]

describe("--json", { timeout: 60_000 }, () => {
  it("every command that prints data has it", async () => {
    for (const path of subcommands) {
      assert.include((await command([...path, "--help"])).stdout, "--json", path.join(" "))
    }
  })

  it("commands of a store print one JSON value a line, and nothing else", async () => {
    const cwd = temporaryFolder()
    await withApp("speaking.ts", async ({ ask, post }) => {
      await post("/agents/pay", { amount: 1 })
      await post("/agents/tell", { text: "hm", ask: true })
      const listed = await ask("approvals", "list", "--json")
      assert.deepInclude(JSON.parse(listed.stdout), { name: "again", kind: "input", message: "Say it again?" })
      const { id, runId } = JSON.parse(listed.stdout)
      const denied = await ask("approvals", "deny", runId, id, "--json")
      assert.strictEqual(JSON.parse(denied.stdout).runId, runId)
    }, { cwd })

    const at = async (...args: ReadonlyArray<string>) => {
      const { code, stdout } = await command(args, { cwd, env: { FASTAGENTIC_STORE: "runs.db" } })
      return { code, values: stdout.trimEnd().split("\n").map((line): Record<string, unknown> => JSON.parse(line)) }
    }
    const { values: [created = {}] } = await at("keys", "create", "ann", "--scope", "runs:read", "--json")
    assert.deepInclude(created, { id: "ann", tenant: "default", scopes: ["runs:read"] })
    assert.include(String(created["secret"]), String(created["prefix"]))
    const { values: [key = {}] } = await at("keys", "list", "--json")
    assert.deepInclude(key, { id: "ann", state: "active", prefix: created["prefix"] })
    for (const hidden of ["secret", "hash"]) assert.notProperty(key, hidden)
    const { values: [rotated = {}] } = await at("keys", "rotate", String(created["prefix"]), "--json")
    assert.deepStrictEqual(await at("keys", "revoke", String(rotated["prefix"]), "--json"), {
      code: 0,
      values: [{ prefix: rotated["prefix"], state: "revoked" }]
    })
    assert.deepStrictEqual(await at("principals", "revoke", "bob", "--json"), {
      code: 0,
      values: [{ id: "bob", change: "revoke", keys: 0, schedules: 0, runs: 0 }]
    })
    const verdicts = await at("audit", "verify", "--json")
    assert.strictEqual(verdicts.code, 1)
    const [verdict = {}] = verdicts.values
    assert.deepInclude(verdict, { findings: [], from: 1 })
    assert.isString(verdict["unproven"])
    const checked = await at("check", fixture("speaking.ts"), "--against", "runs.db", "--finished", "--json")
    assert.strictEqual(checked.code, 0)
    assert.deepStrictEqual(checked.values.map(({ verdict }) => verdict), checked.values.map(() => "ok"))
    const copied = await at("store", "backup", "copy.db", "--json")
    assert.deepInclude(copied.values[0] ?? {}, { file: join(cwd, "copy.db"), blobs: 0 })
    const pruned = await at("runs", "prune", "--older-than", "0s", "--dry-run", "--json")
    assert.deepInclude(pruned.values, { dryRun: true, tenant: "local", agent: "pay", state: "completed", runs: 1 })
  })
})
