import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { RateCounters } from "@fastagentic/core/door/RateCounters"
import { suite } from "@fastagentic/core/testing/contract/RateCountersContract"
import { Context, Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { PostgresRateCounters } from "../../src/postgres/index.ts"
import { database, describeWithOwnServer, describeWithServer, Server } from "./server.ts"

const layerOf = (url: Redacted.Redacted) =>
  Layer.provideMerge(PostgresRateCounters.layerNoClient, PgClient.layer({ url }))

const makeNode = (url: Redacted.Redacted) =>
  Effect.map(Layer.build(Layer.fresh(layerOf(url))), (context) => ({
    counters: Context.get(context, RateCounters),
    sql: Context.get(context, PgClient.PgClient)
  }))

const once = (key: string, windowMillis = 60_000) =>
  ({ key, limit: 1, windowMillis, algorithm: "fixed-window" }) as const

describeWithServer("PostgresRateCounters", () => {
  suite("as every store", Effect.map(database, layerOf), { nodes: 3 })

  suite(
    "in a database whose transactions are serializable",
    Effect.gen(function*() {
      const url = yield* database
      const { sql } = yield* Effect.orDie(makeNode(url))
      const name = new URL(Redacted.value(url)).pathname.slice(1)
      yield* Effect.orDie(sql.unsafe(`ALTER DATABASE ${name} SET default_transaction_isolation = 'serializable'`))
      return layerOf(url)
    }),
    { nodes: 2 }
  )

  it.live("a counter that is removed while a call waits for it is created again", () =>
    Effect.gen(function*() {
      const { counters, sql } = yield* makeNode(yield* database)
      const sweeping = Effect.forever(
        Effect.andThen(
          sql`DELETE FROM rate_counters WHERE ends_at <= extract(epoch FROM clock_timestamp()) * 1000`,
          Effect.yieldNow
        )
      )
      const calling = Effect.forEach(Array.from({ length: 300 }), (_, call) =>
        Effect.all([counters.take([once("short", 1)]), counters.take([once(`${call}`)])]), { concurrency: 5 })
      const answers = yield* Effect.raceFirst(sweeping, calling)
      assert.isTrue(answers.every(([, [own]]) =>
        own?.allowed
      ))
    }), 30_000)

  it.effect("removes expired counters, and nothing else", () =>
    Effect.gen(function*() {
      const { counters, sql } = yield* makeNode(yield* database)
      yield* Effect.forEach(Array.from({ length: 50 }, (_, index) => once(`short ${index}`, 1)), (counter) =>
        counters.take([counter]), { concurrency: 5 })
      yield* counters.take([once("long", 3_600_000)])
      const names = Effect.map(sql<{ key: string }>`SELECT key FROM rate_counters`, (rows) =>
        rows.map(({ key }) =>
          key
        ))
      assert.lengthOf(yield* names, 51)
      yield* TestClock.adjust("1 minute")
      yield* Effect.repeat(Effect.andThen(TestClock.withLive(Effect.sleep("20 millis")), names), {
        while: (left) => left.length > 1
      })
      assert.deepStrictEqual(yield* names, ["long"])
    }), 30_000)

  it.live("a missing function is StoreUnavailable", () =>
    Effect.gen(function*() {
      const { counters, sql } = yield* makeNode(yield* database)
      yield* sql`DROP TABLE rate_counters`
      assert.strictEqual((yield* Effect.flip(counters.take([once("a")])))._tag, "StoreUnavailable")
    }))
})

describeWithOwnServer("PostgresRateCounters without its server", () => {
  it.live("fails while the server is away, and counts on when it is back", () =>
    Effect.gen(function*() {
      const server = yield* Effect.acquireRelease(Effect.promise(() => Server.make()), (server) =>
        Effect.promise(() => server.remove()))
      const { counters } = yield* makeNode(server.url)
      yield* counters.take([once("a")])
      yield* Effect.promise(() =>
        server.stop("SIGINT")
      )
      assert.strictEqual((yield* Effect.flip(counters.take([once("a")])))._tag, "StoreUnavailable")
      yield* Effect.promise(() => server.start())
      const [again] = yield* Effect.eventually(counters.take([once("a")]))
      assert.isFalse(again?.allowed)
    }), 60_000)
})
