// Names that a model, a framework or a caller has chosen, with characters that no database keeps: on SQLite and PostgreSQL.
import { assert, it } from "@effect/vitest"
import { Postgres } from "@fastagentic/stores/postgres"
import { Sqlite } from "@fastagentic/stores/sqlite"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import { Effect, Schema } from "effect"
import { Agent, App, Run } from "fastagentic"
import { join } from "node:path"
import { temporaryFolder } from "./process.ts"
import { onStores } from "./serving.ts"

class Odd extends Agent.make("odd", { description: "Uses odd names", payload: {} }) {}
class Names extends App.make("names", { version: "1", agents: [Odd] }) {}

const names = ["nul\u0000", "nul\ufffd", "half \ud800", "half \udfff", "nul\u0000"]

const check = (stores: Parameters<typeof onStores>[2]) =>
  Effect.gen(function*() {
    const done: Array<string> = []
    const handlers = Odd.toLayer(Effect.fnUntraced(function*() {
      for (const name of names) yield* Run.step(name, Effect.sync(() => done.push(name)))
      yield* Effect.orDie(Run.interrupt("sure \u0000", { schema: Schema.Boolean }))
      return done.join()
    }))
    const serve = onStores(Names, handlers, stores)
    const request = (url: string, method: string, path: string, body?: object) =>
      Effect.promise(async () => {
        const response = await fetch(url + path, {
          method,
          headers: { "accept": "application/json", "content-type": "application/json" },
          ...(body === undefined ? {} : { body: JSON.stringify(body) })
        })
        return Object(await response.json())
      })
    const first = yield* serve
    const { interrupts: [asked], runId } = yield* request(first.url, "POST", "/agents/odd", {})
    yield* first.stop
    const { url } = yield* serve
    yield* request(url, "POST", `/runs/${runId}/interrupts/${asked.id}`, { decision: "approve", value: true })
    let run = yield* request(url, "GET", `/runs/${runId}`)
    while (run.finishedAt === undefined) {
      yield* Effect.sleep("20 millis")
      run = yield* request(url, "GET", `/runs/${runId}`)
    }
    assert.deepStrictEqual([run.state, done], ["completed", names])
  }).pipe(Effect.scoped)

it.live(
  "steps and questions with U+0000 and halves of characters in their names are kept by SQLite, each done once",
  () => check(Sqlite.layer({ filename: join(temporaryFolder(), "names.db") })),
  30_000
)

PostgresServer.describeWithServer("names on PostgreSQL", () => {
  it.live(
    "steps and questions with U+0000 and halves of characters in their names are kept, each done once",
    () => Effect.flatMap(PostgresServer.database, (url) => check(Postgres.layer({ url }))).pipe(Effect.scoped),
    30_000
  )
})
