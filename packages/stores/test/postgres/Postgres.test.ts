import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Audit } from "@fastagentic/core/audit/Audit"
import { AuditLog } from "@fastagentic/core/audit/AuditLog"
import { BudgetStore } from "@fastagentic/core/budget/BudgetStore"
import { ApiKeyStore } from "@fastagentic/core/door/ApiKeys"
import type { StoreUnavailable } from "@fastagentic/core/run/RunError"
import { ScheduleStore } from "@fastagentic/core/runtime/ScheduleStore"
import { RunNotifier } from "@fastagentic/core/store/RunNotifier"
import { RunStore } from "@fastagentic/core/store/RunStore"
import { makeRun } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Context, Effect, Fiber, Layer, Redacted, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Postgres } from "../../src/postgres/index.ts"
import { describeWithServer, emptyDatabase, lockAwaited } from "./server.ts"

const open = (options: Postgres.Options) => Layer.build(Layer.fresh(Postgres.layer(options)))

const client = (url: Redacted.Redacted) =>
  Effect.map(Layer.build(Layer.fresh(PgClient.layer({ url }))), (context) => Context.get(context, PgClient.PgClient))

describeWithServer("Postgres", () => {
  it.live("provides every store of one database, when nodes start together", () =>
    Effect.gen(function*() {
      const url = yield* emptyDatabase
      const nodes = yield* Effect.all(Array.from({ length: 8 }, () => open({ url })), { concurrency: "unbounded" })
      for (const node of nodes) {
        assert.deepStrictEqual(yield* Context.get(node, RunStore).unfinished, [])
        assert.deepStrictEqual(yield* Context.get(node, Audit).page({ tenant: "acme", limit: 1 }), [])
      }
      const sql = yield* client(url)
      assert.deepStrictEqual(yield* sql`SELECT migration_id, name FROM migrations ORDER BY 1`.values, [
        [1, "runs"],
        [2, "audit"],
        [3, "api_keys"],
        [4, "rate_counters"],
        [5, "audit_chain"],
        [6, "budgets"],
        [7, "waiting"],
        [8, "suspended"],
        [9, "schedules"],
        [10, "compacted"],
        [11, "schedule_definitions"],
        [12, "deadlines"],
        [13, "causes"],
        [14, "lists"],
        [15, "retries"],
        [16, "app"],
        [17, "audit_outbox"],
        [18, "tenant_turns"],
        [19, "threads"],
        [20, "disabled_accounts"],
        [21, "shared_notes"],
        [22, "push_targets"],
        [23, "blobs"],
        [24, "ends"]
      ])
    }))

  it.live("keeps apps in schemas of one database apart, and what they tell their nodes", () =>
    Effect.gen(function*() {
      const url = yield* emptyDatabase
      const [desk, shop] = yield* Effect.all(["desk", "shop"].map((schema) => open({ url, schema })))
      const inUrl = Redacted.make(`${Redacted.value(url)}?schema=desk`)
      const node = yield* open({ url: inUrl })
      if (desk === undefined || shop === undefined) return assert.fail()
      const [first, second, third] = [desk, shop, node].map((context) => Context.get(context, RunStore))
      const notices = yield* Effect.forEach([shop, node], (context) =>
        Effect.gen(function*() {
          const seen: Array<string> = []
          yield* Context.get(context, RunNotifier).changes.pipe(
            Stream.runForEach((notice) => Effect.sync(() => void seen.push(notice._tag))),
            Effect.forkScoped
          )
          while (seen.length === 0) yield* Effect.sleep("20 millis")
          return seen
        }))
      const run = makeRun()
      const change = { _tag: "Commit", runId: run.runId, attempt: 1, from: ["running"], ts: 1, events: [] } as const
      yield* first?.write([{ _tag: "Admit", run, events: [] }, change]) ?? Effect.void
      assert.strictEqual((yield* third?.get(run.runId) ?? Effect.undefined)?.runId, run.runId)
      assert.isUndefined(yield* second?.get(run.runId) ?? Effect.undefined)
      assert.deepStrictEqual(yield* second?.list({ tenant: run.tenant, limit: 5 }) ?? Effect.succeed([]), [])
      const [ofShop = [], ofDesk = []] = notices
      while (!ofDesk.includes("Changed")) yield* Effect.sleep("20 millis")
      assert.notInclude(ofShop, "Changed")
      assert.strictEqual(yield* first?.bind("desk") ?? Effect.succeed(""), "desk")
      assert.strictEqual(yield* second?.bind("shop") ?? Effect.succeed(""), "shop")
      assert.strictEqual(yield* third?.bind("shop") ?? Effect.succeed(""), "desk")
    }))

  it.live("does not change a database of another version", () =>
    Effect.gen(function*() {
      const url = yield* emptyDatabase
      const sql = yield* client(url)
      yield* Effect.scoped(open({ url }))
      yield* sql`INSERT INTO migrations (migration_id, name) VALUES (9999, 'later')`
      const newer = yield* Effect.flip(Effect.scoped(open({ url })))
      assert.containSubset(newer, { _tag: "MigrationError", kind: "BadState" })
      yield* sql`DELETE FROM migrations`
      yield* sql`INSERT INTO migrations (migration_id, name) VALUES (1, 'theirs')`
      const foreign = yield* Effect.flip(Effect.scoped(open({ url })))
      assert.containSubset(foreign, { _tag: "MigrationError" })
      assert.deepStrictEqual(yield* sql`SELECT migration_id, name FROM migrations`.values, [[1, "theirs"]])
    }))

  it.effect("is StoreUnavailable after 30 seconds without an answer", () =>
    Effect.gen(function*() {
      const url = yield* emptyDatabase
      const stores = yield* open({ url })
      const sql = yield* client(url)
      const log = Context.get(stores, AuditLog)
      const asked: ReadonlyArray<readonly [table: string, Effect.Effect<unknown, StoreUnavailable>]> = [
        ["api_keys", Context.get(stores, ApiKeyStore).find("0123456789ab")],
        ["schedules", Context.get(stores, ScheduleStore).get("nightly")],
        ["audit_chains", log.chainHead("acme")],
        ["audit", log.links({ tenant: "acme", after: 0, before: 2, order: "oldest", limit: 1 })],
        ["budgets", Context.get(stores, BudgetStore).counters(["a"])]
      ]
      for (const [table, ask] of asked) {
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* sql`LOCK TABLE ${sql(table)}`
          const asking = yield* Effect.forkChild(Effect.flip(ask))
          yield* lockAwaited(sql)
          yield* TestClock.adjust("30 seconds")
          assert.strictEqual((yield* Fiber.join(asking))._tag, "StoreUnavailable", table)
        }))
        yield* ask
      }
    }), 20_000)

  it.live("does not start without its database", () =>
    Effect.gen(function*() {
      const url = new URL(Redacted.value(yield* emptyDatabase))
      url.pathname = "/elsewhere"
      const error = yield* Effect.flip(Effect.scoped(open({ url: Redacted.make(url.href) })))
      assert.strictEqual(error._tag, "SqlError")
    }))
})
