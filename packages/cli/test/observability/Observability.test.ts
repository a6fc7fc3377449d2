import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Option } from "effect"
import { Braintrust, Datadog, Langfuse, LangSmith, Logfire, Observability, Phoenix } from "fastagentic/observability"
import { everyVendor, key, serveDesk } from "./desk.ts"
import { vendors } from "./destinations.ts"

const paths = {
  langfuse: "/langfuse/api/public/otel/v1/traces",
  logfire: "/logfire/v1/traces",
  datadog: "/datadog/v1/traces",
  braintrust: "/braintrust/otel/v1/traces",
  langsmith: "/langsmith/otel/v1/traces",
  phoenix: "/phoenix/v1/traces"
}
const agentsOnly = ["langfuse", "datadog", "braintrust", "langsmith", "phoenix"] as const

const listening = (...args: Parameters<typeof vendors>) =>
  Effect.acquireRelease(Effect.promise(() => vendors(...args)), ({ close }) => Effect.sync(close))

describe("Observability", () => {
  it.live("every vendor gets the spans of a run at once, with its headers and in its attributes", () =>
    Effect.gen(function*() {
      const vendor = yield* listening()
      const desk = yield* serveDesk({ destinations: everyVendor(vendor.url) })
      const { runId, status, text } = yield* desk.ask()
      assert.strictEqual(status, 200, text)
      yield* desk.stop
      assert.deepStrictEqual(vendor.problems, [])
      assert.deepStrictEqual(new Set(vendor.posts.map(({ path }) => path)), new Set(Object.values(paths)))
      const headersAt = (path: string) => vendor.posts.find((post) => post.path === path)?.headers
      assert.containSubset(headersAt(paths.langfuse), {
        authorization: `Basic ${Buffer.from(`pk:${key}`).toString("base64")}`,
        "x-langfuse-ingestion-version": "4",
        "content-encoding": "gzip",
        "content-type": "application/x-protobuf"
      })
      assert.containSubset(headersAt(paths.logfire), { authorization: key })
      assert.containSubset(headersAt(paths.datadog), {
        "dd-api-key": key,
        "dd-otlp-source": "llmobs",
        "dd-ml-app": "desk"
      })
      assert.containSubset(headersAt(paths.braintrust), {
        authorization: `Bearer ${key}`,
        "x-bt-parent": "project_name:desk"
      })
      assert.containSubset(headersAt(paths.langsmith), { "x-api-key": key, "langsmith-project": "desk" })
      assert.containSubset(headersAt(paths.phoenix), { authorization: `Bearer ${key}` })

      for (const name of agentsOnly) {
        const spans = vendor.spansAt(paths[name])
        assert.sameMembers(spans.map(({ name }) => name), [
          "invoke_agent asker",
          "turn",
          "chat big-1",
          "execute_tool look_up",
          "turn",
          "chat big-1"
        ], name)
        const roots = spans.filter(({ parentSpanId }) => parentSpanId === undefined)
        assert.deepStrictEqual(roots.map(({ name }) => name), ["invoke_agent asker"], name)
        const ids = new Set(spans.map(({ spanId }) => spanId))
        assert.isTrue(spans.every(({ parentSpanId }) => parentSpanId === undefined || ids.has(parentSpanId)), name)
      }
      assert.includeMembers(vendor.spansAt(paths.logfire).map(({ name }) => name), ["POST", "admit", "store.commit"])

      const attributesAt = (path: string, span: string) =>
        vendor.spansAt(path).findLast(({ name }) => name === span)?.attributes
      assert.containSubset(attributesAt(paths.langfuse, "invoke_agent asker"), {
        "langfuse.observation.type": "agent",
        "langfuse.trace.name": "asker",
        "langfuse.environment": "test",
        "langfuse.release": "1",
        "langfuse.trace.metadata.run_id": runId
      })
      const chat = attributesAt(paths.langfuse, "chat big-1")
      assert.containSubset(chat, {
        "langfuse.observation.type": "generation",
        "session.id": "thread-1",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3
      })
      assert.isString(chat?.["user.id"])
      assert.containSubset(attributesAt(paths.langfuse, "execute_tool look_up"), {
        "langfuse.observation.type": "tool"
      })
      assert.containSubset(attributesAt(paths.logfire, "chat big-1"), {
        "gen_ai.system": "lab",
        "gen_ai.provider.name": "lab"
      })
      assert.containSubset(attributesAt(paths.datadog, "turn"), { "gen_ai.conversation.id": "thread-1" })
      assert.isString(attributesAt(paths.datadog, "chat big-1")?.["gen_ai.response.model"])
      assert.strictEqual(vendor.posts.find(({ path }) => path === paths.datadog)?.resource["dd_llmobs_enabled"], "true")
      assert.deepStrictEqual(
        JSON.parse(String(attributesAt(paths.braintrust, "chat big-1")?.["braintrust.span_attributes"])),
        {
          name: "chat big-1",
          type: "llm"
        }
      )
      assert.containSubset(JSON.parse(String(attributesAt(paths.braintrust, "chat big-1")?.["braintrust.metadata"])), {
        run_id: runId,
        session_id: "thread-1"
      })
      assert.containSubset(attributesAt(paths.phoenix, "chat big-1"), {
        "openinference.span.kind": "LLM",
        "llm.token_count.prompt": 12,
        "llm.token_count.total": 15,
        "session.id": "thread-1"
      })

      const inLangSmith = vendor.spansAt(paths.langsmith)
      const root = inLangSmith.find(({ name }) => name === "invoke_agent asker")?.attributes
      assert.containSubset(root, {
        "langsmith.span.id": runId,
        "langsmith.trace.id": runId,
        "langsmith.span.kind": "chain"
      })
      const byId = new Map(inLangSmith.map(({ attributes }) => [attributes["langsmith.span.id"], attributes]))
      assert.strictEqual(byId.size, 6)
      for (const { attributes } of inLangSmith) {
        assert.match(
          String(attributes["langsmith.span.id"]),
          /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/u
        )
        assert.strictEqual(attributes["langsmith.trace.id"], runId)
        const parent = byId.get(attributes["langsmith.span.parent_id"])
        const order = String(attributes["langsmith.span.dotted_order"])
        assert.match(order, /^(\d{8}T\d{12}Z[0-9a-f-]{36}\.?)+$/u)
        assert.isTrue(order.endsWith(String(attributes["langsmith.span.id"])))
        if (parent !== undefined) assert.isTrue(order.startsWith(`${String(parent["langsmith.span.dotted_order"])}.`))
      }

      const everything = JSON.stringify(
        vendor.posts.map(({ spans }) => spans),
        (_, value) => typeof value === "bigint" ? String(value) : value
      )
      assert.notInclude(everything, "secret")
      assert.notInclude(everything, key)
      assert.notInclude(desk.lines.join("\n"), key)
    }))

  it.live("with content on, spans carry prompts, answers, arguments and results, redacted by the app's guard", () =>
    Effect.gen(function*() {
      const vendor = yield* listening()
      const desk = yield* serveDesk({ destinations: everyVendor(vendor.url), content: true })
      const { status, text } = yield* desk.ask("who?")
      assert.strictEqual(status, 200, text)
      yield* desk.stop
      const spans = vendor.spansAt(paths.langfuse)
      const chat = spans.filter(({ name }) => name === "chat big-1")
        .sort((a, b) => Number(a.startTimeUnixNano - b.startTimeUnixNano)).map(({ attributes }) => attributes)
      assert.include(String(chat[0]?.["gen_ai.system_instructions"]), "a secret rule")
      assert.deepStrictEqual(JSON.parse(String(chat[0]?.["gen_ai.input.messages"])), [
        { role: "user", parts: [{ type: "text", content: "a secret prompt of [redacted: email]: who?" }] }
      ])
      assert.containSubset(JSON.parse(String(chat[0]?.["gen_ai.output.messages"])), [{
        role: "assistant",
        parts: [{
          type: "tool_call",
          name: "look_up",
          arguments: { what: "a secret argument for [redacted: email]" }
        }],
        finish_reason: "tool-calls"
      }])
      assert.containSubset(JSON.parse(String(chat[1]?.["gen_ai.output.messages"])), [{
        role: "assistant",
        parts: [{ type: "text", content: "a secret answer for [redacted: email]" }],
        finish_reason: "stop"
      }])
      const tool = spans.find(({ name }) => name === "execute_tool look_up")?.attributes
      assert.deepStrictEqual(JSON.parse(String(tool?.["gen_ai.tool.call.arguments"])), {
        what: "a secret argument for [redacted: email]"
      })
      assert.strictEqual(
        JSON.parse(String(tool?.["gen_ai.tool.call.result"])),
        "a secret result with [redacted: api-key]"
      )
      const agent = spans.find(({ name }) => name === "invoke_agent asker")?.attributes
      assert.include(String(agent?.["gen_ai.input.messages"]), "who?")
      assert.include(String(agent?.["gen_ai.output.messages"]), "a secret answer for [redacted: email]")
      const everything = JSON.stringify(
        vendor.posts.map(({ spans }) => spans),
        (_, value) => typeof value === "bigint" ? String(value) : value
      )
      assert.notInclude(everything, "jo@example.com")
      assert.notInclude(everything, "sk-ant")
      assert.notInclude(everything, key)
      const inPhoenix = vendor.spansAt(paths.phoenix).find(({ name }) => name === "chat big-1")?.attributes
      assert.strictEqual(inPhoenix?.["input.value"], inPhoenix?.["gen_ai.input.messages"])
    }))

  it.effect("each destination is on with its own variable alone, and an empty one is off", () =>
    Effect.gen(function*() {
      const all = {
        LANGFUSE_SECRET_KEY: Langfuse.fromConfig,
        LOGFIRE_TOKEN: Logfire.fromConfig,
        DD_API_KEY: Datadog.fromConfig,
        BRAINTRUST_API_KEY: Braintrust.fromConfig,
        LANGSMITH_API_KEY: LangSmith.fromConfig,
        PHOENIX_COLLECTOR_ENDPOINT: Phoenix.fromConfig
      }
      const read = (env: Record<string, string>) =>
        Effect.map(
          Effect.forEach(Object.values(all), (one) => one),
          (found) => found.flatMap((one) => Option.toArray(one)).map(({ name }) => name)
        ).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
      assert.deepStrictEqual(yield* read({}), [])
      for (const name of Object.keys(all)) {
        assert.deepStrictEqual(yield* read({ [name]: "", LANGFUSE_PUBLIC_KEY: "pk" }), [], name)
        assert.strictEqual((yield* read({ [name]: "http://127.0.0.1:1", LANGFUSE_PUBLIC_KEY: "pk" })).length, 1, name)
      }
      const refused = yield* Effect.flip(read({ LANGFUSE_SECRET_KEY: "sk" }))
      assert.include(String(refused), "LANGFUSE_PUBLIC_KEY")
      assert.notInclude(String(refused), "sk\"")
    }))

  it.effect("a layer without a destination that is on makes no tracer", () =>
    Effect.gen(function*() {
      const layer = Observability.layer({ serviceName: "desk", destinations: [Langfuse.fromConfig] })
      const tracer = yield* Effect.tracer
      assert.strictEqual(yield* Effect.provide(Effect.tracer, layer), tracer)
    }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: {} })))))
})
