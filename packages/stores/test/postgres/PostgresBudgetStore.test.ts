import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { suite } from "@fastagentic/core/testing/contract/BudgetStoreContract"
import { Context, Effect, Layer, Redacted } from "effect"
import { Postgres } from "../../src/postgres/index.ts"
import { crashes } from "../budget/crashes.ts"
import { database, describeWithServer } from "./server.ts"

describeWithServer("PostgresBudgetStore", () => {
  suite("Postgres", Layer.unwrap(Effect.map(database, (url) => Postgres.layer({ url }))))

  describe("1,000 calls against a budget of a dollar, by three processes that are killed", () => {
    it.live("never exceed it, and leave nothing reserved", () =>
      Effect.gen(function*() {
        const url = yield* database
        const client = yield* Layer.build(PgClient.layer({ url }))
        const sql = Context.get(client, PgClient.PgClient)
        // The tables, and a log of every value that the counter has had.
        yield* Effect.scoped(Layer.build(Layer.fresh(Postgres.layer({ url }))))
        yield* sql`CREATE TABLE witness (total bigint NOT NULL)`
        yield* sql`
          CREATE FUNCTION testify() RETURNS trigger LANGUAGE plpgsql AS
          'BEGIN INSERT INTO witness VALUES (NEW.settled + NEW.reserved); RETURN NULL; END'`
        yield* sql`CREATE TRIGGER testify AFTER UPDATE ON budgets FOR EACH ROW EXECUTE FUNCTION testify()`
        const settled = yield* crashes(["postgres", Redacted.value(url), "-"], 3, 6)
        assert.isAtMost(settled, 1_000_000)
        const [seen] = yield* sql<{ most: number; changes: number }>`
          SELECT MAX(total)::int AS most, COUNT(*)::int AS changes FROM witness`
        assert.isAtMost(seen?.most ?? Infinity, 1_000_000)
        assert.deepStrictEqual(yield* sql`SELECT id FROM reservations`, [])
      }).pipe(Effect.scoped), 180_000)
  })
})
