import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Redacted } from "effect"
import { Agent, ApiKeys, App, Event, Run, Server } from "fastagentic"
import { memory, urlOf } from "./serving.ts"

class Talk extends Agent.make("talk", { description: "Talks for a while", payload: {} }) {}
class Desk extends App.make("desk", { version: "1", agents: [Talk] }) {}

describe("a stream whose caller's key expires", () => {
  it.live("the stream continues to its end, and the key is refused for new calls", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const TalkLayer = Talk.toLayer(Effect.fn(function*() {
        yield* Run.emit(Event.token("before "))
        yield* Deferred.await(gate)
        yield* Run.emit(Event.token("after"))
        return "done"
      }))
      const services = Layer.mergeAll(
        ApiKeys.layer,
        memory
      ).pipe(Layer.provideMerge(ApiKeys.ApiKeyStore.layerMemory))
      const context = yield* Layer.build(
        Server.layer(Desk, { port: 0, grace: "200 millis" }).pipe(
          Layer.provide(TalkLayer),
          Layer.provideMerge(services)
        )
      )
      const url = urlOf(context)
      const { key, secret } = yield* Effect.provideContext(
        ApiKeys.create({ id: "ann", tenant: "acme", scopes: [], roles: [] }),
        context
      )
      const headers = { authorization: `Bearer ${Redacted.value(secret)}`, "content-type": "application/json" }
      const stream = yield* Effect.promise(() =>
        fetch(`${url}/agents/talk/stream`, { method: "POST", headers, body: "{}" })
      )
      assert.strictEqual(stream.status, 200)
      yield* Effect.provideContext(ApiKeys.revoke(key.prefix), context)
      const status = Effect.promise(async () => (await fetch(`${url}/runs`, { headers })).status)
      while ((yield* status) !== 401) yield* Effect.sleep("50 millis")
      yield* Deferred.succeed(gate, undefined)
      const text = yield* Effect.promise(() => stream.text())
      assert.include(text, "after")
      assert.include(text, "event: done")
      assert.strictEqual(yield* status, 401)
    }).pipe(Effect.scoped), 60_000)
})
