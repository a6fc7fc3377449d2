import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Audit } from "@fastagentic/core/audit/Audit"
import * as AuditContract from "@fastagentic/core/testing/contract/AuditContract"
import * as AuditLogContract from "@fastagentic/core/testing/contract/AuditLogContract"
import { Context, Effect, Layer } from "effect"
import { PostgresAudit } from "../../src/postgres/index.ts"
import { database, describeWithServer } from "./server.ts"

const { makeEntry } = AuditContract
const client = Layer.unwrap(Effect.map(database, (url) => PgClient.layer({ url })))

const makeNode = Effect.gen(function*() {
  const context = yield* Layer.build(Layer.fresh(Layer.provideMerge(PostgresAudit.layerNoClient, client)))
  return { audit: Context.get(context, Audit), sql: Context.get(context, PgClient.PgClient) }
})

describeWithServer("PostgresAudit", () => {
  AuditContract.suite("the trail", Layer.provide(PostgresAudit.layerNoClient, client))

  AuditLogContract.suite(
    "its log",
    Effect.map(database, (url) => Layer.provide(PostgresAudit.layerLog, PgClient.layer({ url })))
  )

  it.live("concurrent entries are one statement", () =>
    Effect.gen(function*() {
      const { audit, sql } = yield* makeNode
      const entries = Array.from({ length: 50 }, (_, at) => makeEntry({ at }))
      yield* audit.record(makeEntry({ at: -1 }))
      yield* sql`ALTER TABLE audit ADD CONSTRAINT lucky CHECK (seq <> 14)`
      yield* Effect.exit(Effect.forEach(entries, audit.record, { concurrency: "unbounded" }))
      assert.strictEqual((yield* audit.page({ tenant: "acme", limit: 100 })).length, 1)
      yield* sql`ALTER TABLE audit DROP CONSTRAINT lucky`
      yield* Effect.forEach(entries, audit.record, { concurrency: "unbounded" })
      const page = yield* audit.page({ tenant: "acme", after: 1, limit: 100 })
      assert.deepStrictEqual(page.map(({ at }) => at), entries.map(({ at }) => at))
    }))

  it.live("an entry that cannot be written is a defect", () =>
    Effect.gen(function*() {
      const { audit, sql } = yield* makeNode
      yield* sql`DROP TABLE audit`
      const exit = yield* Effect.exit(audit.record(makeEntry()))
      assert.containSubset(exit, { _tag: "Failure", cause: { reasons: [{ _tag: "Die" }] } })
    }))
})
