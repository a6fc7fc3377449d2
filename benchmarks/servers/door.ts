/**
 * An app behind a door with everything on or everything off: `DOOR` says which, `STORE` names a SQLite file or nothing. With
 * `OTEL_*` variables it is traced.
 */
import { Effect, Layer, Schema } from "effect"
import {
  Agent,
  App,
  Audit,
  Auth,
  Budget,
  BudgetStore,
  Hook,
  RateLimit,
  Run,
  RunStore,
  Server,
  Sqlite
} from "fastagentic"
import { Otlp } from "fastagentic/otlp"
import { Closed, Silent } from "../door/closed.ts"

const on = process.env["DOOR"] === "on"
const file = process.env["STORE"] ?? ""

const Nothing = Hook.make("nothing")

const shape = {
  payload: { text: Schema.String },
  durable: process.env["DURABLE"] === "yes",
  scopes: on ? ["echo:say"] : []
}

class Echo extends Agent.make("echo", { description: "Says what you say", ...shape }) {}

class Paid extends Agent.make("paid", { description: "The same after a call of a model", ...shape }) {}

const Declared = App.make("door", { version: "1.0.0", agents: [Echo, Paid] })
const Door = on ? Declared.hook(Nothing) : Declared

/** Reserves and settles, as adapters do around each model call. */
const callModel = Effect.gen(function*() {
  const run = yield* Run.CurrentRun
  const grant = yield* run.spend({
    callId: "one",
    model: "m",
    inputTokens: 100,
    maxOutputTokens: 100,
    clamps: true,
    changesTo: () => false
  })
  yield* grant.settle({ inputTokens: 90, outputTokens: 20 })
})

const Handlers = Layer.mergeAll(
  Echo.toLayer(({ text }) => Effect.succeed(text)),
  Paid.toLayer(({ text }) => Effect.as(Effect.orDie(callModel), text)),
  Nothing.toLayer({ request: (call, next) => next(call) })
)

const Stores = file === ""
  ? Layer.mergeAll(RunStore.RunStore.layerMemory, Audit.layerMemory, BudgetStore.BudgetStore.layerMemory)
  : Sqlite.layer({ filename: file })

const Open = Layer.mergeAll(Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited, Silent)

// A normal exit writes the profile that `CPU_PROF` requests.
process.on("SIGTERM", () => process.exit())

const port = Number(process.env["PORT"])
const served = on
  ? Server.layer(Door, { port }).pipe(Layer.provide([Handlers, Closed]))
  : Server.layer(Door, { port }).pipe(Layer.provide([Handlers, Open]))

const telemetry = Otlp.layerConfig({ serviceName: "door" })
await served.pipe(Layer.provide(Stores), Layer.provide(telemetry), Layer.launch, Effect.runPromise)
