import { NodeWS } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Agent, App, Audit, Auth, Budget, Caller, RateLimit, Run, type RunEngine, Runtime } from "@fastagentic/core"
import { RunEngine as Engine } from "@fastagentic/core/runtime/RunEngine"
import { Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { once } from "node:events"
import { connect, createServer } from "node:net"
import { ClusterEngine } from "../../src/cluster/index.ts"
import { connection } from "../../src/cluster/internal/nodeTls.ts"
import { Postgres } from "../../src/postgres/index.ts"
import { database, describeWithServer } from "../postgres/server.ts"
import { freePort } from "../serverProcess.ts"

/** Whether a WebSocket opens, and the problem when it does not. */
const handshake = (url: string, options: object) =>
  Effect.promise(() =>
    new Promise<string>((resolve) => {
      const ws = new NodeWS.WebSocket(url, options)
      ws.on("error", ({ message }) => resolve(message))
      ws.on("open", () => {
        ws.terminate()
        resolve("open")
      })
    })
  )

/** A port that passes everything on to another one, and keeps what it has seen. */
const wiretap = (port: number) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const seen: Array<Buffer> = []
      const tap = createServer((socket) => {
        const other = connect(port, "127.0.0.1")
        for (const [from, to] of [[socket, other], [other, socket]] as const) {
          from.on("data", (data) => {
            seen.push(data)
            to.write(data)
          })
          from.on("error", () => to.destroy())
          from.on("close", () => to.destroy())
        }
      })
      tap.listen(0, "127.0.0.1")
      await once(tap, "listening")
      const address = tap.address()
      return { tap, port: typeof address === "object" ? address?.port ?? 0 : 0, seen: () => Buffer.concat(seen) }
    }),
    ({ tap }) => Effect.sync(() => tap.close())
  )

class Sleeper extends Agent.make("sleeper", { description: "Sleeps", payload: {} }) {}
class Lab extends App.make("lab", { version: "1", agents: [Sleeper] }) {}

const caller = Caller.make("local")

/** A node on a database, with the engine that is given. */
const node = (url: Redacted.Redacted<string>, engine: Layer.Layer<never>, steps: Array<string>) =>
  Layer.build(
    Runtime.layer(Lab, { grace: "100 millis" }).pipe(
      Layer.provide([
        Sleeper.toLayer(() =>
          Effect.andThen(
            Run.step(
              "begin",
              Effect.sync(() => {
                steps.push("begun")
                return 1
              })
            ),
            Effect.never
          )
        ),
        Auth.layerNone,
        RateLimit.layerUnlimited,
        Budget.layerUnlimited,
        Audit.layerMemory,
        engine
      ]),
      Layer.provide(Postgres.layer({ url }))
    )
  )

describeWithServer("the port between nodes", () => {
  it.live(
    "takes a node, and refuses a page, plain HTTP, another TLS, another key and a caller that says nothing",
    () =>
      Effect.gen(function*() {
        const port = yield* Effect.promise(freePort)
        const client = PgClient.layer({ url: yield* database })
        yield* Effect.gen(function*() {
          yield* Layer.build(ClusterEngine.layerCluster({ port }))
          const sql = yield* SqlClient
          const [row] = yield* sql<{ readonly secret: string }>`SELECT secret FROM fastagentic_engine_secret`
          const key = Redacted.make(row?.secret ?? "")
          const secure = `wss://127.0.0.1:${port}/`
          const { port: tapped, seen } = yield* wiretap(port)
          assert.strictEqual(yield* handshake(`wss://127.0.0.1:${tapped}/`, connection(key)), "open")
          const recorded = seen().toString("latin1")
          for (const clear of ["GET /", "Upgrade", "websocket"]) assert.notInclude(recorded, clear)

          assert.notStrictEqual(yield* handshake(`ws://127.0.0.1:${port}/`, { origin: "http://evil.test" }), "open")
          assert.notStrictEqual(yield* handshake(secure, { rejectUnauthorized: false }), "open")
          assert.notStrictEqual(yield* handshake(secure, connection(Redacted.make("ab".repeat(32)))), "open")
          assert.notStrictEqual(yield* handshake(secure, connection(Redacted.make(""))), "open")
          const silent = connect(port, "127.0.0.1")
          const since = Date.now()
          yield* Effect.promise(() => once(silent, "close"))
          assert.isBelow(Date.now() - since, 10_000)
        }).pipe(Effect.scoped, Effect.provide(client))
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "a request for a turn neither starts a run before its time nor takes a run from its living owner",
    () =>
      Effect.gen(function*() {
        const url = yield* database
        const steps: Array<string> = []
        let claim: RunEngine.EngineClaim | undefined
        const asked = Layer.succeed(Engine, {
          join: (drive) =>
            Effect.sync(() => {
              claim = drive
              return () => Effect.succeed(true)
            })
        })
        const owner = yield* Effect.map(node(url, Layer.empty, steps), (context) => context)
        yield* node(url, asked, steps)
        const runtime = yield* Effect.provide(Runtime.Runtime, owner)
        const later = yield* runtime.start(caller, {
          kind: "agent",
          identifier: "sleeper",
          payload: {},
          startAt: Date.now() + 600_000
        })
        const now = yield* runtime.start(caller, { kind: "agent", identifier: "sleeper", payload: {} })
        yield* Effect.sleep("300 millis")
        assert.deepStrictEqual(steps, ["begun"])
        assert.isDefined(claim)
        for (const { run } of [later, now]) yield* claim?.({ runId: run.runId, attempt: run.attempt }) ?? Effect.void
        yield* Effect.sleep("300 millis")
        assert.deepStrictEqual(steps, ["begun"])
        assert.strictEqual((yield* runtime.get(caller, later.run.runId)).state, "queued")
        assert.strictEqual((yield* runtime.get(caller, now.run.runId)).attempt, 1)
      }).pipe(Effect.scoped),
    60_000
  )
})
