// The app of these tests: an agent with a model and a tool, served from SQLite with destinations of its own.
import { ConfigProvider, Effect, Layer, Logger, Redacted, Schema } from "effect"
import * as Model from "effect/ai/Model"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { Agent, App, Redaction } from "fastagentic"
import { ModelLoop, ScriptedModel } from "fastagentic/effect-ai"
import {
  Braintrust,
  Datadog,
  type Destination,
  Langfuse,
  LangSmith,
  Logfire,
  Observability,
  Phoenix
} from "fastagentic/observability"
import { join } from "node:path"
import { temporaryFolder } from "../process.ts"
import { onSqlite } from "../serving.ts"

const Look = Tool.make("look_up", { parameters: Schema.Struct({ what: Schema.String }), success: Schema.String })
const Tools = Toolkit.make(Look)

class Asker extends Agent.make("asker", {
  description: "Asks a model",
  payload: { text: Schema.String },
  threads: "enqueue"
}) {}

class Desk extends App.make("desk", { version: "1", agents: [Asker] }).hook(Redaction.Redaction) {}

const turns = Array.from({ length: 40 }, () => [
  ScriptedModel.call("look_up", { what: "a secret argument for jo@example.com" }),
  ScriptedModel.text("a secret answer for jo@example.com", { inputTokens: 12, outputTokens: 3 })
]).flat()

const AskerLayer = Asker.toLayer(({ text }) =>
  ModelLoop.run({
    prompt: `a secret prompt of jo@example.com: ${text}`,
    system: "a secret rule",
    toolkit: Tools,
    thread: true
  }).pipe(Effect.map(({ text }) => text), Effect.orDie)
).pipe(Layer.provide([
  Tools.toLayer({ look_up: () => Effect.succeed("a secret result with sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123") }),
  Model.make("lab", "big-1", ScriptedModel.layer(turns))
]))

export const key = "key-that-nobody-may-see"
const secret = Redacted.make(key)

/** All vendors at one address. */
export const everyVendor = (baseUrl: string): ReadonlyArray<Destination.Destination> => [
  Langfuse.make({
    publicKey: "pk",
    secretKey: secret,
    baseUrl: `${baseUrl}/langfuse/`,
    environment: "test",
    release: "1"
  }),
  Logfire.make({ token: secret, baseUrl: `${baseUrl}/logfire` }),
  Datadog.make({ apiKey: secret, baseUrl: `${baseUrl}/datadog`, mlApp: "desk" }),
  Braintrust.make({ apiKey: secret, parent: "project_name:desk", baseUrl: `${baseUrl}/braintrust` }),
  LangSmith.make({ apiKey: secret, project: "desk", baseUrl: `${baseUrl}/langsmith` }),
  Phoenix.make({ apiKey: secret, baseUrl: `${baseUrl}/phoenix` })
]

/** Serves the app; `stop` flushes. Log lines are kept. */
export const serveDesk = Effect.fnUntraced(function*(
  options: Pick<Observability.Options, "destinations" | "content">
) {
  const lines: Array<string> = []
  const handlers = Layer.mergeAll(
    AskerLayer,
    Redaction.layer({ pii: ["email"] }),
    Observability.layer({ serviceName: "desk", serviceVersion: "1", allow: ["127.0.0.1"], ...options }).pipe(
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: { OTEL_BSP_SCHEDULE_DELAY: "50" } })))
    )
  ).pipe(
    Layer.provideMerge(Logger.layer([Logger.map(Logger.formatJson, (line) => void lines.push(line))])),
    Layer.orDie
  )
  const { stop, url } = yield* onSqlite(Desk, handlers, join(temporaryFolder(), "desk.db"))
  const ask = (text = "?") =>
    Effect.promise(async () => {
      const response = await fetch(`${url}/agents/asker`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-thread-id": "thread-1" },
        body: JSON.stringify({ text })
      })
      return { status: response.status, runId: response.headers.get("x-run-id"), text: await response.text() }
    })
  /** The sum of a counter of one destination. */
  const counted = (name: "lost" | "exported", destination: string) =>
    Effect.promise(async () => {
      const text = await (await fetch(`${url}/metrics`)).text()
      const line = text.split("\n").find((line) =>
        line.startsWith(`fastagentic_telemetry_${name}_total{`) && line.includes(`destination="${destination}"`) &&
        line.includes("signal=\"traces\"")
      )
      return Number(line?.split(" ").at(-1) ?? 0)
    })
  return { url, stop, ask, counted, lines }
})
