/**
 * An agent over A2A behind a door with keys, scopes, a rate limit and an audit log. `DURABLE=no` keeps its runs in memory, `STORE`
 * names a SQLite file.
 */
import { Effect, Layer, Redacted, Schema, Stream } from "effect"
import { Agent, App, Audit, Auth, Budget, Event, Principal, RateLimit, RunStore, Server, Sqlite } from "fastagentic"

class Words extends Agent.make("words", {
  description: "Says the words of a text, each in a task of its own",
  payload: { text: Schema.String },
  durable: process.env["DURABLE"] !== "no",
  scopes: ["words:say"]
}) {}

const nextTask = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

const WordsLayer = Words.toLayer(({ text }) =>
  Stream.fromIterable(text.split(" ")).pipe(Stream.mapEffect((word) => Effect.as(nextTask, Event.token(word))))
)

class Bench extends App.make("bench", { version: "1.0.0", agents: [Words] }) {}

const file = process.env["STORE"] ?? ""
const Stores = file === ""
  ? Layer.mergeAll(RunStore.RunStore.layerMemory, Audit.layerMemory)
  : Sqlite.layer({ filename: file })

const Door = Layer.mergeAll(
  Auth.layerKeys([{
    key: Redacted.make("key-of-ada"),
    principal: new Principal.Principal({ id: "ada", tenant: "acme", scopes: ["words:say"], roles: [], claims: {} })
  }]),
  RateLimit.layer([{ name: "each", by: ["user"], limit: 1_000_000_000, window: "1 day" }]),
  Budget.layerUnlimited
)

// A normal exit writes the profile that `CPU_PROF` requests.
process.on("SIGTERM", () => process.exit())

await Server.layer(Bench, { port: Number(process.env["PORT"]) }).pipe(
  Layer.provide([WordsLayer, Door]),
  Layer.provide(Stores),
  Layer.launch,
  Effect.runPromise
)
