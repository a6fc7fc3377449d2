/** An app behind a door where everything is on, or nothing: `DOOR` says which, `STORE` names a SQLite file or nothing. */
import { Effect, Layer, Schema } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import {
  Agent,
  App,
  Audit,
  Auth,
  Budget,
  BudgetStore,
  Hook,
  Prices,
  RateLimit,
  Roles,
  RunStore,
  Server,
  Sqlite
} from "fastagentic"
import { Oidc } from "fastagentic/oidc"

const on = process.env["DOOR"] === "on"
const file = process.env["STORE"] ?? ""

const Nothing = Hook.make("nothing")

class Echo extends Agent.make("echo", {
  description: "Says what you say",
  payload: { text: Schema.String },
  durable: process.env["DURABLE"] === "yes",
  scopes: on ? ["echo:say"] : []
}) {}

const Declared = App.make("door", { version: "1.0.0", agents: [Echo] })
const Door = on ? Declared.hook(Nothing) : Declared

const Handlers = Layer.merge(
  Echo.toLayer(({ text }) => Effect.succeed(text)),
  Nothing.toLayer({ request: (call, next) => next(call) })
)

const Stores = file === ""
  ? Layer.mergeAll(RunStore.RunStore.layerMemory, Audit.layerMemory, BudgetStore.BudgetStore.layerMemory)
  : Sqlite.layer({ filename: file })

const Callers = Roles.layer({ desk: { includes: ["reader"] }, reader: { scopes: ["echo:*"] } }).pipe(
  Layer.provide(Oidc.layer({ issuer: process.env["ISSUER"] ?? "", audience: "https://door.test", tenantClaim: "org" })),
  Layer.provide(FetchHttpClient.layer)
)

const Limits = Budget.layer.pipe(Layer.provide(Layer.merge(
  Prices.layer({ m: { input: 1, output: 10 } }),
  Budget.limits([{ name: "daily", per: "user", period: "day", hard: 1_000 }])
)))

const Closed = Layer.mergeAll(
  Callers,
  RateLimit.layer([{ name: "each", by: ["user"], limit: 1_000_000_000, window: "1 day" }]),
  Limits
)

const Silent = Layer.succeed(Audit.Audit, {
  record: () => Effect.void,
  page: () => Effect.succeed([]),
  redact: () => Effect.succeed(0)
})

const Open = Layer.mergeAll(Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited, Silent)

const port = Number(process.env["PORT"])
const served = on
  ? Server.layer(Door, { port }).pipe(Layer.provide([Handlers, Closed]))
  : Server.layer(Door, { port }).pipe(Layer.provide([Handlers, Open]))

await served.pipe(Layer.provide(Stores), Layer.launch, Effect.runPromise)
