import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Agent, App, Audit, Defaults, RunStore, Server, Sqlite } from "fastagentic"
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { urlOf } from "./serving.ts"

class Echo extends Agent.make("echo", { description: "Answers", payload: {} }) {}
class Desk extends App.make("desk", { version: "1", agents: [Echo] }) {}

const EchoLayer = Echo.toLayer(() => Effect.succeed("hello"))

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "gone-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const answer = (url: string, body?: string) =>
  Effect.promise(async () => {
    const response = await (body === undefined
      ? fetch(url)
      : fetch(url, { method: "POST", body, headers: { "content-type": "application/json" } }))
    return { status: response.status, body: await response.json() }
  })

const faults = [
  ["removed", (file: string) => rmSync(file)],
  ["replaced", (file: string) => {
    renameSync(file, `${file}.old`)
    writeFileSync(file, "another file")
  }],
  ["emptied", (file: string) => writeFileSync(file, "")]
] as const

describe("A server whose SQLite file is gone", () => {
  for (const [fault, make] of faults) {
    it.live(`stores nothing and is not ready when its file was ${fault}`, () =>
      Effect.gen(function*() {
        const file = join(yield* folder, "runs.db")
        const context = yield* Layer.build(
          Server.layer(Desk, { port: 0, grace: "200 millis" }).pipe(
            Layer.provide([EchoLayer, Defaults.layerOpen, Sqlite.layer({ filename: file })])
          )
        )
        const url = urlOf(context)
        assert.deepStrictEqual(yield* answer(`${url}/ready`), { status: 200, body: { status: "ready" } })
        assert.strictEqual((yield* answer(`${url}/agents/echo`, "{}")).status, 200)
        yield* Effect.sync(() => make(file))
        const refused = yield* answer(`${url}/agents/echo`, "{}")
        assert.strictEqual(refused.status, 503)
        assert.strictEqual(refused.body.title, "StoreUnavailable")
        assert.strictEqual((yield* answer(`${url}/ready`)).status, 503)
        assert.strictEqual((yield* answer(`${url}/health`)).status, 200)
      }).pipe(Effect.scoped))
  }
})

describe("A server whose store", () => {
  it.live(
    "was replaced by another one writes nothing to it, and continues when its own is back",
    () =>
      Effect.gen(function*() {
        const inner = yield* Effect.provide(RunStore.RunStore, RunStore.RunStore.layerMemory)
        const shown = { identity: "own", writes: 0 }
        const store = Layer.succeed(RunStore.RunStore, {
          ...inner,
          identity: Effect.sync(() => shown.identity),
          write: (writes) =>
            Effect.suspend(() => {
              shown.writes++
              return inner.write(writes)
            })
        })
        const context = yield* Layer.build(
          Server.layer(Desk, { port: 0, grace: "200 millis" }).pipe(
            Layer.provide([EchoLayer, Defaults.layerOpen, store, Audit.layerMemory])
          )
        )
        const url = urlOf(context)
        const status = Effect.map(answer(`${url}/ready`), ({ body }) => body.status)
        assert.strictEqual(yield* status, "ready")
        shown.identity = "another"
        yield* Effect.repeat(Effect.delay(status, "100 millis"), { until: (now) => now === "store replaced" })
        const { writes } = shown
        assert.strictEqual((yield* answer(`${url}/agents/echo`, "{}")).status, 503)
        assert.strictEqual(shown.writes, writes)
        shown.identity = "own"
        yield* Effect.repeat(Effect.delay(status, "100 millis"), { until: (now) => now === "ready" })
        assert.strictEqual((yield* answer(`${url}/agents/echo`, "{}")).status, 200)
      }).pipe(Effect.scoped),
    20_000
  )

  it.live("could not be written is not ready until it is written again", () =>
    Effect.gen(function*() {
      const inner = yield* Effect.provide(RunStore.RunStore, RunStore.RunStore.layerMemory)
      const disk = { isFull: false }
      const store = Layer.succeed(RunStore.RunStore, {
        ...inner,
        write: (writes) => Effect.suspend(() => disk.isFull ? Effect.die(new Error("disk full")) : inner.write(writes))
      })
      const context = yield* Layer.build(
        Server.layer(Desk, { port: 0, grace: "200 millis" }).pipe(
          Layer.provide([EchoLayer, Defaults.layerOpen, store, Audit.layerMemory])
        )
      )
      const url = urlOf(context)
      disk.isFull = true
      assert.strictEqual((yield* answer(`${url}/agents/echo`, "{}")).status, 503)
      assert.deepStrictEqual(yield* answer(`${url}/ready`), { status: 503, body: { status: "store unavailable" } })
      disk.isFull = false
      assert.strictEqual((yield* answer(`${url}/agents/echo`, "{}")).status, 200)
      assert.deepStrictEqual(yield* answer(`${url}/ready`), { status: 200, body: { status: "ready" } })
    }).pipe(Effect.scoped))
})
