// A server for one play of the conformance kit, on a SQLite file, through a socket; adapter-contract.ts starts one or more. Its folder
// goes with its scope.
import { Agent, App, Auth, Budget, BudgetStore, Event, Hook, Prices, RateLimit } from "@fastagentic/core"
import { Sqlite } from "@fastagentic/stores/sqlite"
import { Context, Effect, Exit, Layer, Schema, Scope } from "effect"
import * as HttpServer from "effect/http/HttpServer"
import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Server from "../../Server.ts"
import { NoSuchOrder, type Play, type Question } from "./play.ts"

const payload = { question: Schema.String }

export class Subject extends Agent.make("subject", { description: "Plays", payload, error: NoSuchOrder }) {}
export class Fleeting
  extends Agent.make("subject", { description: "Plays", payload, error: NoSuchOrder, durable: false })
{}

/** The implementation of the agent by an adapter, with a fake model that performs the play. */
export type Perform = (agent: typeof Subject, play: Play) => Layer.Layer<Agent.Handler<"subject">, unknown>

export interface Staging {
  readonly perform: Perform
  readonly durable: boolean
  readonly play: Play
  readonly folder?: string
  /** The points of the agent's hook. */
  readonly points?: Hook.Points
  readonly budget?: Layer.Layer<Budget.Budget>
}

class Probe extends Hook.make("probe") {}

const Journal = Schema.Struct({ items: Schema.Array(Event.RunEvent) })
const Asked = Schema.Struct({ items: Schema.Array(Schema.Struct({ id: Schema.String, state: Schema.String })) })
export const RunState = Schema.Struct({
  state: Schema.String,
  output: Schema.optionalKey(Schema.Json),
  error: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json)),
  usage: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json))
})

export const newFolder = () => mkdtempSync(join(tmpdir(), "fastagentic-"))

/** The folder as a machine that lost power would have left it. */
export const copyOf = (folder: string) => {
  const copy = newFolder()
  for (const name of ["play.db", "play.db-wal"]) {
    if (existsSync(join(folder, name))) cpSync(join(folder, name), join(copy, name))
  }
  return copy
}

/** A hard limit of each run in dollars; a call of the play costs 40 millionths. */
export const limited = (hard: number) =>
  Budget.layer.pipe(Layer.provide([
    BudgetStore.BudgetStore.layerMemory,
    Prices.layer({ "play-1": { input: 1, output: 10 } }),
    Layer.orDie(Budget.limits([{ name: "run", per: "run", period: "total", hard }]))
  ]))

const Listed = Schema.Struct({
  items: Schema.Array(Schema.Struct({ adapter: Schema.optionalKey(Schema.Struct({ capabilities: Schema.Json })) }))
})

/** The capabilities of the only agent in the list. */
export const capabilitiesIn = (body: unknown): unknown =>
  Schema.decodeUnknownSync(Listed)(body).items[0]?.adapter?.capabilities

/** Serves the play until the scope closes, or until `stop`. */
export const serve = Effect.fnUntraced(function*(staging: Staging) {
  const { budget = Budget.layerUnlimited, durable, folder = newFolder(), perform, play, points = {} } = staging
  const app = App.make("play", { version: "1", agents: [(durable ? Subject : Fleeting).hook(Probe)] })
  const handlers = Layer.merge(perform(durable ? Subject : Fleeting, play), Probe.toLayer(points))
  yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true, force: true })))
  const scope = yield* Scope.make()
  const context = yield* Effect.orDie(Layer.buildWithScope(
    Layer.fresh(Server.layer(app, { port: 0, grace: "50 millis" })).pipe(
      Layer.provide([
        handlers,
        budget,
        Auth.layerNone,
        RateLimit.layerUnlimited,
        Sqlite.layer({ filename: join(folder, "play.db") })
      ])
    ),
    scope
  ))
  const stop = Scope.close(scope, Exit.void)
  yield* Effect.addFinalizer(() => stop)
  const { address } = Context.get(context, HttpServer.HttpServer)
  const url = `http://127.0.0.1:${"port" in address ? address.port : 0}`
  const request = (method: "GET" | "POST", path: string, body?: unknown) =>
    Effect.promise(async () => {
      const response = await fetch(url + path, {
        method,
        headers: { accept: "application/json", "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      const json: unknown = await response.json()
      return { status: response.status, body: json }
    })
  const decoded = <S extends Schema.ConstraintCodec<unknown, unknown>>(schema: S, path: string) =>
    Effect.flatMap(request("GET", path), ({ body }) => Effect.orDie(Schema.decodeUnknownEffect(schema)(body)))
  const start = (question: Question) =>
    Effect.flatMap(
      request("POST", "/agents/subject/runs", { question }),
      ({ body }) =>
        Effect.map(Schema.decodeUnknownEffect(Schema.Struct({ runId: Schema.String }))(body), (run) => run.runId)
    ).pipe(Effect.orDie)
  const run = (runId: string) => decoded(RunState, `/runs/${runId}`)
  const until = Effect.fnUntraced(function*(runId: string, ...states: ReadonlyArray<string>) {
    for (let tries = 0; tries < 1_000; tries++) {
      const found = yield* run(runId)
      if (states.includes(found.state)) return found
      yield* Effect.sleep("10 millis")
    }
    return yield* run(runId)
  })
  return {
    url,
    folder,
    stop,
    request,
    start,
    run,
    until,
    ended: (runId: string) => until(runId, "completed", "failed", "cancelled"),
    journal: (runId: string) => Effect.map(decoded(Journal, `/runs/${runId}/events?limit=1000`), ({ items }) => items),
    open: (runId: string) =>
      Effect.map(
        decoded(Asked, `/runs/${runId}/interrupts`),
        ({ items }) => items.filter(({ state }) => state === "open")
      )
  }
})
