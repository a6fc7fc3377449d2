// Values of a megabyte and more on the stores that nodes share: the database keeps them in chunks, so that no process encodes,
// sends or decodes one at once.
import { assert, it } from "@effect/vitest"
import { BlobStore, RunStore } from "@fastagentic/core"
import { Postgres } from "@fastagentic/stores/postgres"
import { Redis } from "@fastagentic/stores/redis"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import * as RedisServer from "@fastagentic/stores/test/redis/server"
import { ConfigProvider, Context, Effect, Layer, Redacted, Schema } from "effect"
import { Agent, App, Run } from "fastagentic"
import * as Store from "../src/Store.ts"
import { temporaryFolder } from "./process.ts"
import { onStores } from "./serving.ts"

class Large extends Agent.make("large", { description: "Makes much", payload: {}, success: Schema.String }) {}
class Works extends App.make("works", { version: "1", agents: [Large] }) {}

const value = Array.from({ length: 40_000 }, (_, id) => ({ id, text: "x".repeat(40) }))
let made = 0

const handlers = Large.toLayer(Effect.fn(function*() {
  const again = yield* Run.step("make", Effect.sync(() => (made++, value)))
  yield* Effect.orDie(Run.interrupt("go", { schema: Schema.Boolean }))
  return JSON.stringify(again) === JSON.stringify(value) ? "the same" : "another"
}))

const json = (url: string, body?: unknown) =>
  Effect.promise(async () => {
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }
    return JSON.parse(await (await fetch(url, body === undefined ? {} : init)).text())
  })

const until = Effect.fnUntraced(function*(url: string, state: string) {
  for (let looks = 0; looks < 200; looks++) {
    const run = yield* json(url)
    if (run.state === state) return run
    yield* Effect.sleep("50 millis")
  }
  throw new Error(`the run is not ${state}`)
})

const keepsInChunks = Effect.fnUntraced(function*(
  url: Redacted.Redacted,
  raw: Layer.Layer<RunStore.RunStore | BlobStore.BlobStore, unknown>
) {
  made = 0
  const store = yield* Store.parse(Redacted.value(url))
  const first = yield* onStores(Works, handlers, store.layer)
  const { runId } = yield* json(`${first.url}/agents/large/runs`, {})
  yield* until(`${first.url}/runs/${runId}`, "suspended")
  yield* first.stop
  yield* Effect.gen(function*() {
    const inside = yield* Layer.build(raw)
    const steps = yield* Context.get(inside, RunStore.RunStore).steps(runId)
    assert.isBelow(JSON.stringify(steps).length, 2_000)
    const [blob, ...others] = yield* Context.get(inside, BlobStore.BlobStore).list("")
    assert.isAbove(blob?.bytes ?? 0, JSON.stringify(value).length)
    assert.deepStrictEqual(others, [])
  }).pipe(Effect.scoped)
  // A place that is named later takes nothing away.
  const place = ConfigProvider.layer(ConfigProvider.fromUnknown({ FASTAGENTIC_BLOBS: temporaryFolder() }))
  const second = yield* onStores(Works, handlers, Layer.provide(store.layer, place))
  const { items: [question] } = yield* json(`${second.url}/runs/${runId}/interrupts`)
  yield* json(`${second.url}/runs/${runId}/interrupts/${question.id}`, { decision: "approve", value: true })
  assert.strictEqual((yield* until(`${second.url}/runs/${runId}`, "completed")).output, "the same")
  assert.strictEqual(made, 1)
}, Effect.scoped)

const name = "keeps a large value of a step in chunks, and a node with another place for blobs still reads it"

PostgresServer.describeWithServer("PostgreSQL", () => {
  it.live(name, () =>
    Effect.gen(function*() {
      const url = yield* PostgresServer.database
      yield* keepsInChunks(url, Postgres.layer({ url }))
    }).pipe(Effect.scoped), 60_000)
})

RedisServer.describeWithOwnServer("Redis", () => {
  it.live(name, () =>
    Effect.gen(function*() {
      const { url } = yield* RedisServer.ownServer()
      yield* keepsInChunks(url, Redis.layer({ url }))
    }).pipe(Effect.scoped), 60_000)
})
