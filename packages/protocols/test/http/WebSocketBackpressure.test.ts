import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, Caller, Event, RateLimit, Run, Runtime } from "@fastagentic/core"
import { WebSocketRoute } from "@fastagentic/protocols/http"
import { Effect, Layer, Schema } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import { createServer } from "node:http"
import type { Socket } from "node:net"
import { mounted } from "../fixture.ts"
import { layerStores } from "../stores.ts"
import { connect, runIdIn } from "./socket.ts"

const Flood = Agent.make("flood", { description: "Says too much", payload: { events: Schema.Int }, durable: false })
const line = "x".repeat(65_536)
const FloodLayer = Flood.toLayer(Effect.fn(function*({ events }) {
  for (let index = 0; index < events; index++) {
    yield* Run.emit(Event.log("info", line))
    yield* Effect.yieldNow
  }
  return "dry"
}))
const FloodRuntime = Runtime.layer(App.make("floods", { version: "1.0.0", agents: [Flood] }), { grace: "100 millis" })
  .pipe(
    Layer.provide(FloodLayer),
    Layer.provideMerge(Layer.mergeAll(
      layerStores,
      Auth.layerNone,
      RateLimit.layerUnlimited,
      Budget.layerUnlimited
    ))
  )

describe("A client that never reads", () => {
  it.live("costs a bounded buffer, is disconnected, and misses no event when it reconnects", () =>
    Effect.gen(function*() {
      const sockets = new Set<Socket>()
      const context = yield* Layer.build(FloodRuntime)
      const runtime = yield* Effect.provideContext(Runtime.Runtime, context)
      const limits = { ...WebSocketRoute.Limits.defaultValue(), drainTimeout: "500 millis" } as const
      const server = yield* Layer.build(
        HttpRouter.serve(
          mounted("rest").pipe(
            Layer.provide(Layer.succeedContext(context)),
            Layer.provide(Layer.succeed(WebSocketRoute.Limits, limits))
          ),
          { disableLogger: true, disableListenLog: true }
        ).pipe(Layer.provideMerge(NodeHttpServer.layer(() => {
          const node = createServer()
          node.on("upgrade", (_, socket: Socket) => sockets.add(socket))
          return node
        }, { port: 0, host: "127.0.0.1" })))
      )
      const { address } = yield* Effect.provideContext(HttpServer.HttpServer, server)
      const url = `http://127.0.0.1:${"port" in address ? address.port : 0}`

      const socket = yield* connect(url)
      socket.send({ id: "a", op: "start", agent: "flood", payload: { events: 1_000 } })
      const runId = runIdIn(yield* socket.frame("result", "a"))
      socket.ws.pause()
      let most = 0
      const watch = Effect.forever(Effect.andThen(
        Effect.sleep("5 millis"),
        Effect.sync(() => {
          for (const one of sockets) most = Math.max(most, one.writableLength)
        })
      ))
      const run = yield* Effect.raceFirst(runtime.await(Caller.make("local"), runId), watch)
      assert.strictEqual(run.state, "completed")
      yield* Effect.raceFirst(Effect.sleep("1 second"), watch)
      assert.isAbove(most, 262_144)
      assert.isBelow(most, 2 * 262_144)
      socket.ws.resume()
      assert.strictEqual((yield* socket.closing).code, 1013)

      const seen = socket.seqs("a")
      assert.isBelow(seen.length, 1_002)
      const again = yield* connect(url)
      again.send({ id: "b", op: "follow", runId, after: seen.length })
      yield* again.frame("end", "b")
      assert.deepStrictEqual([...seen, ...again.seqs("b")], Array.from({ length: 1_002 }, (_, index) => index + 1))
    }).pipe(Effect.scoped))
})
