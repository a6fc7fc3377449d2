import { assert, describe, it } from "@effect/vitest"
import { Audit } from "@fastagentic/core/audit/Audit"
import * as AuditContract from "@fastagentic/core/testing/contract/AuditContract"
import * as AuditLogContract from "@fastagentic/core/testing/contract/AuditLogContract"
import { Effect, Layer } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { SqliteAudit, SqliteClient } from "../../src/sqlite/index.ts"

const { makeEntry } = AuditContract
const memory = SqliteClient.layer({ filename: ":memory:" })
const Stored = Layer.provideMerge(SqliteAudit.layerNoClient, memory)

AuditContract.suite("SqliteAudit", SqliteAudit.layer({ filename: ":memory:" }))

AuditLogContract.suite(
  "SqliteAudit.layerLog",
  Effect.map(
    Layer.build(Layer.fresh(memory)),
    (context) => Layer.provide(SqliteAudit.layerLog, Layer.succeedContext(context))
  )
)

const withAudit = <A, E>(use: (audit: Audit["Service"], sql: SqlClient.SqlClient) => Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    return yield* use(yield* Audit, yield* SqlClient.SqlClient)
  }).pipe(Effect.provide(Stored, { local: true }))

describe("SqliteAudit", () => {
  it.live("concurrent entries share a transaction", () =>
    withAudit((audit, sql) =>
      Effect.gen(function*() {
        const entries = Array.from({ length: 50 }, (_, at) => makeEntry({ at }))
        yield* audit.record(makeEntry({ at: -1 }))
        yield* sql`CREATE TRIGGER thirteen BEFORE INSERT ON audit WHEN NEW.seq = 14 BEGIN SELECT RAISE(ABORT, ''); END`
        yield* Effect.exit(Effect.forEach(entries, audit.record, { concurrency: "unbounded" }))
        assert.strictEqual((yield* audit.page({ tenant: "acme", limit: 100 })).length, 1)
        yield* sql`DROP TRIGGER thirteen`
        yield* Effect.forEach(entries, audit.record, { concurrency: "unbounded" })
        const page = yield* audit.page({ tenant: "acme", after: 1, limit: 100 })
        assert.deepStrictEqual(page.map(({ at }) => at), entries.map(({ at }) => at))
      })
    ))

  it.live("an entry that cannot be written is a defect", () =>
    withAudit((audit, sql) =>
      Effect.gen(function*() {
        yield* sql`DROP TABLE audit`
        const exit = yield* Effect.exit(audit.record(makeEntry()))
        assert.containSubset(exit, { _tag: "Failure", cause: { reasons: [{ _tag: "Die" }] } })
      })
    ))
})
