import { NodeWS } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Agent, App, Audit, Auth, Budget, Caller, RateLimit, Run, type RunEngine, Runtime } from "@fastagentic/core"
import { RunEngine as Engine } from "@fastagentic/core/runtime/RunEngine"
import { Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { ClusterEngine } from "../../src/cluster/index.ts"
import { credentials } from "../../src/cluster/internal/nodeAuth.ts"
import { Postgres } from "../../src/postgres/index.ts"
import { database, describeWithServer } from "../postgres/server.ts"
import { freePort } from "../serverProcess.ts"

/** The status of a WebSocket's handshake. */
const handshake = (port: number, headers: Record<string, string>) =>
  Effect.promise(() =>
    new Promise<number>((resolve) => {
      const ws = new NodeWS.WebSocket(`ws://127.0.0.1:${port}/`, { headers })
      ws.on("error", () => {})
      ws.on("open", () => {
        ws.terminate()
        resolve(101)
      })
      ws.on("unexpected-response", (_, response) => resolve(response.statusCode ?? 0))
    })
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
    "a page and a caller without the secret of the database are refused, and a node is not",
    () =>
      Effect.gen(function*() {
        const port = yield* Effect.promise(freePort)
        const client = PgClient.layer({ url: yield* database })
        yield* Effect.gen(function*() {
          yield* Layer.build(ClusterEngine.layerCluster({ port }))
          assert.strictEqual(yield* handshake(port, {}), 401)
          assert.strictEqual(yield* handshake(port, { "x-fastagentic-node": "1.2.3" }), 401)
          const sql = yield* SqlClient
          const [row] = yield* sql<{ readonly secret: string }>`SELECT secret FROM fastagentic_engine_secret`
          const secret = Redacted.make(row?.secret ?? "")
          const proof = credentials(secret, Date.now())
          assert.strictEqual(yield* handshake(port, { ...proof, origin: "http://evil.test" }), 403)
          assert.strictEqual(yield* handshake(port, credentials(secret, Date.now() - 3_600_000)), 401)
          assert.strictEqual(yield* handshake(port, credentials(Redacted.make("guessed"), Date.now())), 401)
          assert.strictEqual(yield* handshake(port, proof), 101)
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
