import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Agent, App, Defaults, RunStore, Server, Sqlite } from "fastagentic"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { urlOf } from "./serving.ts"

class Hello
  extends Agent.make("hello", { description: "Says hello", success: Schema.String, payload: { to: Schema.String } })
{}
class Desk extends App.make("desk", { version: "1", agents: [Hello] }) {}
class Shop extends App.make("shop", { version: "1", agents: [Hello] }) {}

const HelloLayer = Hello.toLayer(() => Effect.succeed("hello"))

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "bound-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

describe("A store", () => {
  it.live("serves the app that used it first, over restarts, and refuses another", () =>
    Effect.gen(function*() {
      const filename = join(yield* folder, "runs.db")
      const serve = (app: typeof Desk | typeof Shop) =>
        Effect.scoped(Effect.gen(function*() {
          const served = Server.layer(app, { port: 0, grace: "200 millis" }).pipe(
            Layer.provide([HelloLayer, Defaults.layerOpen, Sqlite.layer({ filename })])
          )
          const url = urlOf(yield* Layer.build(Layer.fresh(served)))
          const answer = yield* Effect.promise(() =>
            fetch(`${url}/agents/hello`, { method: "POST", body: "{\"to\":\"all\"}" })
          )
          return answer.status
        }))
      assert.strictEqual(yield* serve(Desk), 200)
      assert.strictEqual(yield* serve(Desk), 200)
      const error = yield* Effect.flip(serve(Shop))
      assert.include(error.message, "app \"shop\": the store belongs to the app \"desk\"")
      assert.strictEqual(yield* serve(Desk), 200)
    }).pipe(Effect.scoped))

  it.live("in memory refuses another app of its process too", () =>
    Effect.gen(function*() {
      const store = Layer.succeed(RunStore.RunStore, yield* RunStore.RunStore)
      const serve = (app: typeof Desk | typeof Shop) =>
        Layer.build(Layer.fresh(
          Server.layer(app, { port: 0, grace: "200 millis" }).pipe(
            Layer.provide([HelloLayer, Defaults.layerOpen, Defaults.layerAuditMemory, store])
          )
        ))
      yield* serve(Desk)
      assert.include((yield* Effect.flip(serve(Shop))).message, "the store belongs to the app \"desk\"")
    }).pipe(Effect.provide(RunStore.RunStore.layerMemory), Effect.scoped))
})
