import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Audit, type Entry } from "@fastagentic/core/Audit"
import { Context, Effect, Layer } from "effect"
import { PostgresAudit } from "../../src/postgres/index.ts"
import { database, describeWithServer } from "./server.ts"

const makeEntry = (overrides: Partial<Entry> = {}): Entry => ({
  at: 1_700_000_000_000,
  tenant: "acme",
  principal: "alice",
  action: "start",
  target: "agent/support",
  decision: "allow",
  traceId: "t",
  ...overrides
})

const makeNode = Effect.gen(function*() {
  const client = PgClient.layer({ url: yield* database })
  const context = yield* Layer.build(Layer.fresh(Layer.provideMerge(PostgresAudit.layerNoClient, client)))
  return { audit: Context.get(context, Audit), sql: Context.get(context, PgClient.PgClient) }
})

describeWithServer("PostgresAudit", () => {
  it.live("keeps what was recorded, in order, for its tenant only", () =>
    Effect.gen(function*() {
      const { audit } = yield* makeNode
      const first = makeEntry({ runId: "r1" })
      const second = makeEntry({ at: 0, principal: "żółw 🐢 ' \" {} , \\" })
      yield* audit.record(first)
      yield* audit.record(makeEntry({ tenant: "other" }))
      yield* audit.record(second)
      assert.deepStrictEqual(yield* audit.recent("acme"), [first, second])
      assert.deepStrictEqual(yield* audit.recent("nobody"), [])
    }))

  it.live("entries of the same moment are one statement", () =>
    Effect.gen(function*() {
      const { audit, sql } = yield* makeNode
      const entries = Array.from({ length: 50 }, (_, at) => makeEntry({ at }))
      yield* sql`ALTER TABLE audit ADD CONSTRAINT lucky CHECK (at <> 13)`
      yield* Effect.exit(Effect.forEach(entries, audit.record, { concurrency: "unbounded" }))
      assert.deepStrictEqual(yield* audit.recent("acme"), [])
      yield* sql`ALTER TABLE audit DROP CONSTRAINT lucky`
      yield* Effect.forEach(entries, audit.record, { concurrency: "unbounded" })
      assert.deepStrictEqual(yield* audit.recent("acme"), entries)
    }))

  it.live("an entry that somebody made impossible to write is written without that character", () =>
    Effect.gen(function*() {
      const { audit } = yield* makeNode
      yield* audit.record(makeEntry({ target: "agent/a\0b" }))
      assert.deepStrictEqual(yield* audit.recent("acme"), [makeEntry({ target: "agent/a\uFFFDb" })])
    }))

  it.live("an entry that cannot be written is a defect", () =>
    Effect.gen(function*() {
      const { audit, sql } = yield* makeNode
      yield* sql`DROP TABLE audit`
      const exit = yield* Effect.exit(audit.record(makeEntry()))
      assert.containSubset(exit, { _tag: "Failure", cause: { reasons: [{ _tag: "Die" }] } })
    }))
})
