import { assert, describe, it } from "@effect/vitest"
import { Audit, type Entry } from "@fastagentic/core/Audit"
import { Effect, Layer } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { SqliteAudit, SqliteClient } from "../../src/sqlite/index.ts"

const Stored = Layer.provideMerge(SqliteAudit.layerNoClient, SqliteClient.layer({ filename: ":memory:" }))

const makeEntry = (overrides: Partial<Entry> = {}): Entry => ({
  at: 1,
  tenant: "acme",
  principal: "alice",
  action: "start",
  target: "agent/support",
  decision: "allow",
  traceId: "t",
  ...overrides
})

const withAudit = <A, E>(use: (audit: Audit["Service"], sql: SqlClient.SqlClient) => Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    return yield* use(yield* Audit, yield* SqlClient.SqlClient)
  }).pipe(Effect.provide(Stored, { local: true }))

describe("SqliteAudit", () => {
  it.effect("keeps what was recorded, in order, for its tenant only", () =>
    withAudit((audit) =>
      Effect.gen(function*() {
        const first = makeEntry({ runId: "r1" })
        const second = makeEntry({ at: 0, principal: "żółw 🐢 '" })
        yield* audit.record(first)
        yield* audit.record(makeEntry({ tenant: "other" }))
        yield* audit.record(second)
        assert.deepStrictEqual(yield* audit.recent("acme"), [first, second])
        assert.deepStrictEqual(yield* audit.recent("nobody"), [])
      })
    ))

  it.effect("entries of the same moment share a transaction", () =>
    withAudit((audit, sql) =>
      Effect.gen(function*() {
        const entries = Array.from({ length: 50 }, (_, at) => makeEntry({ at }))
        yield* sql`CREATE TRIGGER thirteen BEFORE INSERT ON audit WHEN NEW.at = 13 BEGIN SELECT RAISE(ABORT, ''); END`
        yield* Effect.exit(Effect.forEach(entries, audit.record, { concurrency: "unbounded" }))
        assert.deepStrictEqual(yield* audit.recent("acme"), [])
        yield* sql`DROP TRIGGER thirteen`
        yield* Effect.forEach(entries, audit.record, { concurrency: "unbounded" })
        assert.deepStrictEqual(yield* audit.recent("acme"), entries)
      })
    ))

  it.effect("an entry that cannot be written is a defect", () =>
    withAudit((audit, sql) =>
      Effect.gen(function*() {
        yield* sql`DROP TABLE audit`
        const exit = yield* Effect.exit(audit.record(makeEntry()))
        assert.containSubset(exit, { _tag: "Failure", cause: { reasons: [{ _tag: "Die" }] } })
      })
    ))
})
