import { assert, describe, it } from "@effect/vitest"
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { Context, Effect, Layer, Schema } from "effect"
import * as Model from "effect/ai/Model"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as HttpServer from "effect/http/HttpServer"
import { Agent, App, Audit, Auth, Budget, RateLimit, Server, Sqlite } from "fastagentic"
import { ModelLoop, ScriptedModel } from "fastagentic/effect-ai"
import { OpenTelemetry } from "fastagentic/opentelemetry"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { fastagentic, fixture, listening, temporaryFolder } from "./process.ts"

const Tools = Toolkit.make(Tool.make("look_up", { parameters: Schema.Struct({ what: Schema.String }) }))

const turns = [ScriptedModel.call("look_up", { what: "a secret" }), ScriptedModel.text("a secret", { inputTokens: 2 })]

class Asker extends Agent.make("asker", { description: "Asks a model", payload: { text: Schema.String } }) {}

class Broken extends Agent.make("broken", { description: "Fails", payload: {} }) {}

class Desk extends App.make("desk", { version: "1", agents: [Asker, Broken] }) {}

const DeskLayer = Layer.merge(
  Asker.toLayer(() =>
    ModelLoop.run({ prompt: "a secret", toolkit: Tools }).pipe(Effect.map(({ text }) => text), Effect.orDie)
  ).pipe(
    Layer.provide([
      Tools.toLayer({ look_up: () => Effect.void }),
      Model.make("lab", "big-1", ScriptedModel.layer(turns))
    ])
  ),
  Broken.toLayer(() => Effect.andThen(Effect.logInfo("a secret"), Effect.die(new TypeError("a secret"))))
)

const post = (url: string, body: unknown, traceparent: string) =>
  Effect.promise(async () => {
    const headers = { "content-type": "application/json", authorization: "Bearer secret", traceparent }
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) })
    return { status: response.status, text: await response.text() }
  })

describe("OpenTelemetry", () => {
  it.live("the app's SDK receives every span in the caller's trace, without content", () =>
    Effect.gen(function*() {
      const exporter = new InMemorySpanExporter()
      const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
      const context = yield* Layer.build(
        Server.layer(Desk, { port: 0, grace: "200 millis" }).pipe(
          Layer.provide([
            DeskLayer,
            Auth.layerNone,
            Sqlite.layer({ filename: join(temporaryFolder(), "desk.db") }),
            Audit.layerMemory,
            Budget.layerUnlimited,
            RateLimit.layerUnlimited
          ]),
          Layer.provide(OpenTelemetry.layer(provider))
        )
      )
      const { address } = Context.get(context, HttpServer.HttpServer)
      const url = `http://127.0.0.1:${"port" in address ? address.port : 0}`
      const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
      const traceparent = `00-${traceId}-00f067aa0ba902b7-01`
      const answered = yield* post(`${url}/agents/asker`, { text: "?" }, traceparent)
      assert.strictEqual(answered.status, 200, answered.text)
      yield* post(`${url}/agents/broken`, {}, traceparent)
      // Long enough for a node to poll by itself.
      yield* Effect.promise(() => setTimeout(1_200))
      const spans = exporter.getFinishedSpans()
      assert.deepStrictEqual([...new Set(spans.map((span) => span.spanContext().traceId))], [traceId])
      assert.deepStrictEqual([...new Set(spans.map(({ instrumentationScope }) => instrumentationScope.name))], [
        "fastagentic"
      ])
      const ids = new Map(spans.map((span) => [span.spanContext().spanId, span]))
      const pathOf = (span: typeof spans[number]): string => {
        const parent = ids.get(span.parentSpanContext?.spanId ?? "")
        return parent === undefined ? span.name : `${pathOf(parent)} > ${span.name}`
      }
      assert.includeMembers(spans.map(pathOf), [
        "POST > authorize",
        "POST > admit > store.commit",
        "POST > invoke_agent asker > ModelLoop.run > turn > chat big-1",
        "POST > invoke_agent asker > ModelLoop.run > turn > execute_tool look_up"
      ])
      const broken = spans.find(({ name }) => name === "invoke_agent broken")
      assert.deepInclude(broken?.attributes, { "error.type": "InternalError", "fastagentic.run.state": "failed" })
      assert.strictEqual(broken?.status.message, "InternalError")
      const exported = spans.map(({ attributes, events, links, name, status }) => ({
        attributes,
        events,
        links,
        name,
        status
      }))
      assert.notInclude(JSON.stringify(exported), "secret")
    }))

  it("an app's own layer takes precedence over the variables", async () => {
    const server = fastagentic(["run", fixture("sdk.ts"), "--mode", "http", "--port", "0", "--store", "memory"], {
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" }
    })
    const url = await listening(server)
    const response = await fetch(`${url}/agents/greeter`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}"
    })
    assert.strictEqual(response.status, 200, await response.text())
    const traceId = response.headers.get("x-trace-id")
    server.child.kill("SIGTERM")
    await server.exited
    assert.include(server.stdout(), "name: 'invoke_agent greeter'")
    assert.include(server.stdout(), `traceId: '${traceId}'`)
  })
})
