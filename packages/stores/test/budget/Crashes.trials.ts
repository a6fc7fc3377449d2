import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Postgres } from "../../src/postgres/index.ts"
import * as PostgresServer from "../postgres/server.ts"
import * as RedisServer from "../redis/server.ts"
import { crashes } from "./crashes.ts"

describe("1,000 calls against a budget of a dollar, by a process that is killed, on SQLite", () => {
  it.live("never exceed it, and leave nothing reserved", () =>
    Effect.gen(function*() {
      const file = join(mkdtempSync(join(tmpdir(), "fastagentic-")), "budget.db")
      assert.isAtMost(yield* crashes(["sqlite", file, "-"], 1, 4), 1_000_000)
    }).pipe(Effect.scoped), 120_000)
})

RedisServer.describeWithServer(
  "1,000 calls against a budget of a dollar, by three processes that are killed, on Redis",
  () => {
    it.live("never exceed it, and leave nothing reserved", () =>
      Effect.gen(function*() {
        const { prefix, url } = yield* RedisServer.options
        assert.isAtMost(yield* crashes(["redis", Redacted.value(url), prefix], 3, 6), 1_000_000)
      }).pipe(Effect.scoped), 120_000)
  }
)

PostgresServer.describeWithServer(
  "1,000 calls against a budget of a dollar, by three processes that are killed, on PostgreSQL",
  () => {
    it.live("never exceed it, and leave nothing reserved", () =>
      Effect.gen(function*() {
        const url = yield* PostgresServer.database
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
  }
)
