import { assert, describe, it } from "@effect/vitest"
import { Postgres } from "@fastagentic/stores/postgres"
import { Sqlite } from "@fastagentic/stores/sqlite"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import { Deferred, Effect, Layer, Redacted, Schema } from "effect"
import { Agent, App, Auth, Principal, TenantWeights } from "fastagentic"
import { join } from "node:path"
import { temporaryFolder } from "./process.ts"
import { onStores } from "./serving.ts"

const payload = { name: Schema.String }
class Serial extends Agent.make("serial", { description: "One at a time", payload, concurrency: { total: 1 } }) {}
class Later extends Agent.make("later", { description: "Any number", payload }) {}
class Acme extends App.make("acme", { version: "1", agents: [Serial, Later] }) {}

const people = Auth.layerKeys(["big", "small", "third"].map((tenant) => ({
  key: Redacted.make(`key-of-${tenant}`),
  principal: new Principal.Principal({ id: "user", tenant, scopes: ["*"], roles: [], claims: {} })
})))

/** Servers whose serial agent works on the run that is named until it is told to end it. */
const world = Effect.fnUntraced(function*(
  weights: (tenant: string) => number = () => 1,
  stores: ReadonlyArray<Parameters<typeof onStores>[2]> = [
    Sqlite.layer({ filename: join(temporaryFolder(), "acme.db") })
  ]
) {
  const begun: Array<string> = []
  let gate = yield* Deferred.make<void>()
  const handlers = Layer.merge(
    Serial.toLayer(Effect.fnUntraced(function*({ name }) {
      begun.push(name)
      yield* Deferred.await(gate)
      return name
    })),
    Later.toLayer(({ name }) =>
      Effect.sync(() => {
        begun.push(name)
        return name
      })
    )
  )
  const auth = Layer.merge(people, Layer.succeed(TenantWeights.TenantWeights, weights))
  const nodes = yield* Effect.forEach(stores, (store) => onStores(Acme, handlers, store, { auth }))
  const start = (tenant: string, name: string, query = "", agent = "serial", node = 0) =>
    Effect.promise(async () => {
      const response = await fetch(`${nodes[node]?.url}/agents/${agent}/runs${query}`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": `key-of-${tenant}` },
        body: JSON.stringify({ name })
      })
      assert.strictEqual(response.status, 202, await response.text())
    })
  const begins = Effect.fnUntraced(function*(count: number) {
    while (begun.length < count) yield* Effect.sleep("5 millis")
  })
  /** Ends the run that works, and waits until the next one works. */
  const next = Effect.gen(function*() {
    const ended = gate
    gate = yield* Deferred.make<void>()
    const count = begun.length
    yield* Deferred.succeed(ended, undefined)
    yield* begins(count + 1)
  })
  const open = Effect.suspend(() => Deferred.succeed(gate, undefined))
  return { begun, begins, start, next, open }
})

describe("a line that tenants share", () => {
  it.live(
    "a tenant that starts 120 runs with the highest priority holds up no other tenant",
    () =>
      Effect.gen(function*() {
        const { begins, begun, next, start } = yield* world()
        yield* start("big", "big first")
        yield* begins(1)
        yield* Effect.forEach(
          Array.from({ length: 120 }, (_, index) => index),
          (index) => start("big", `big ${index}`, "?priority=1000"),
          { concurrency: 8 }
        )
        yield* start("small", "small low")
        yield* start("small", "small high", "?priority=5")
        yield* start("third", "third")
        for (let turn = 0; turn < 6; turn++) yield* next
        const others = begun.slice(1).filter((name) => !name.startsWith("big"))
        assert.lengthOf(others, 3, begun.join())
        // Priority orders within a tenant.
        assert.isBelow(others.indexOf("small high"), others.indexOf("small low"))
        // New runs of the tenant that fills the line pass by nobody.
        yield* start("small", "small late")
        yield* Effect.forEach([1, 2, 3], (index) => start("big", `big late ${index}`, "?priority=1000"))
        yield* next
        yield* next
        assert.include(begun, "small late")
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("a tenant of weight 3 starts three runs for each one of another", () =>
    Effect.gen(function*() {
      const { begins, begun, next, start } = yield* world((tenant) => tenant === "big" ? 3 : 1)
      yield* start("third", "third")
      yield* begins(1)
      for (let index = 0; index < 12; index++) {
        yield* start("small", `small ${index}`, "?priority=9")
        yield* start("big", `big ${index}`)
      }
      for (let turn = 0; turn < 12; turn++) yield* next
      const served = begun.slice(1)
      assert.lengthOf(served.filter((name) => name.startsWith("big")), 9, served.join())
    }).pipe(Effect.scoped), 60_000)

  it.live("delayed runs that come due begin by turns of their tenants", () =>
    Effect.gen(function*() {
      const { begins, begun, start } = yield* world()
      const at = new Date(Date.now() + 2_500).toISOString()
      yield* Effect.forEach(
        Array.from({ length: 40 }, (_, index) => index),
        (index) => start("big", `big ${index}`, `?priority=1000&startAt=${at}`, "later"),
        { concurrency: 8 }
      )
      yield* start("small", "small", `?startAt=${at}`, "later")
      yield* begins(41)
      assert.isAtMost(begun.indexOf("small"), 2, begun.join())
    }).pipe(Effect.scoped), 60_000)
})

PostgresServer.describeWithServer("A line that two nodes on PostgreSQL share", () => {
  const two = Effect.map(PostgresServer.database, (url) => [Postgres.layer({ url }), Postgres.layer({ url })])

  it.live(
    "a tenant that fills it through one node, or both, holds up no tenant of either",
    () =>
      Effect.gen(function*() {
        const { begins, begun, next, start } = yield* world(undefined, yield* two)
        yield* start("big", "big first")
        yield* begins(1)
        yield* Effect.forEach(
          Array.from({ length: 60 }, (_, index) => index),
          (index) => start("big", `big ${index}`, "?priority=1000", "serial", index % 3 === 0 ? 1 : 0),
          { concurrency: 8 }
        )
        yield* start("small", "small low", "", "serial", 1)
        yield* start("small", "small high", "?priority=5", "serial", 0)
        yield* start("third", "third", "", "serial", 1)
        for (let turn = 0; turn < 6; turn++) yield* next
        const others = begun.slice(1).filter((name) => !name.startsWith("big"))
        assert.lengthOf(others, 3, begun.join())
        assert.isBelow(others.indexOf("small high"), others.indexOf("small low"))
        yield* start("small", "small late", "", "serial", 1)
        yield* Effect.forEach([0, 1, 0, 1], (node) => start("big", "big late", "?priority=1000", "serial", node))
        yield* next
        yield* next
        assert.include(begun, "small late")
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("weights hold over both nodes", () =>
    Effect.gen(function*() {
      const { begins, begun, next, start } = yield* world((tenant) => tenant === "big" ? 3 : 1, yield* two)
      yield* start("third", "third")
      yield* begins(1)
      for (let index = 0; index < 12; index++) {
        yield* start("small", `small ${index}`, "?priority=9", "serial", index % 2)
        yield* start("big", `big ${index}`, "", "serial", (index + 1) % 2)
      }
      for (let turn = 0; turn < 12; turn++) yield* next
      const served = begun.slice(1)
      const share = served.filter((name) => name.startsWith("big")).length
      assert.isTrue(share >= 8 && share <= 10, served.join())
    }).pipe(Effect.scoped), 60_000)
})
