import { assert, describe, it } from "@effect/vitest"
import {
  Agent,
  App,
  Auth,
  Budget,
  Policy,
  Principal,
  PromptTemplate,
  RateCounters,
  RateLimit,
  Resource,
  RunError,
  Runtime
} from "@fastagentic/core"
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { mounted, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"
import { headers, modern, type Reply, send } from "./wire.ts"

/** Every kind of schema that MCP treats differently. */
class Slow extends Agent.make("slow", { description: "Takes its time", payload: { text: Schema.String } }) {}

class Hidden extends Agent.make("hidden", { description: "No tool", payload: {}, mcpTool: false }) {}

const Now = Tool.make("now", { description: "The time", success: Schema.Finite }).annotate(Tool.Title, "Clock")

const Either = Tool.make("either", {
  description: "One of two",
  parameters: Schema.Struct({ id: Schema.Int.annotate({ description: "which" }) }),
  success: Schema.Union([Schema.Struct({ a: Schema.Int }), Schema.Struct({ b: Schema.Int })])
})

const Secret = Tool.make("secret", { description: "Not for all" }).annotate(Policy.Scopes, ["secrets:read"])

const Tools = Toolkit.make(Secret, Now, Either)

const untrusted = { "fastagentic/untrusted": true }

const Logo = Resource.make("logo", "app://logo", {
  description: "A picture",
  success: Schema.Uint8Array,
  mimeType: "image/png"
})

const Facts = Resource.make("facts", "app://facts/{kind}", {
  description: "Facts",
  params: { kind: Schema.Literals(["old", "new"]) },
  success: Schema.Struct({ count: Schema.Int })
})

const Greet = PromptTemplate.make("greet", {
  description: "Greets",
  params: { name: Schema.String.annotate({ description: "Whom" }), tone: Schema.optionalKey(Schema.String) }
})

class Shapes extends App.make("shapes", {
  version: "2.0.0",
  agents: [Slow, Hidden],
  tools: Tools,
  resources: [Logo, Facts],
  prompts: [Greet]
}) {}

const Handlers = Layer.mergeAll(
  Slow.toLayer(() => Effect.never),
  Hidden.toLayer(() => Effect.succeed("")),
  Tools.toLayer({
    now: () => Effect.succeed(7),
    either: ({ id }) => Effect.succeed(id === 1 ? { a: 1 } : { b: 2 }),
    secret: () => Effect.void
  }),
  Logo.toLayer(() => Effect.succeed(new Uint8Array([1, 2, 3]))),
  Facts.toLayer(({ kind }) => Effect.succeed({ count: kind === "old" ? 1 : 2 })),
  Greet.toLayer(({ name }) => `Hello ${name}`)
)

const someone = new Principal.Principal({ id: "someone", tenant: "local", scopes: [], roles: [], claims: {} })

const start = (services: {
  readonly auth?: Layer.Layer<Auth.Auth>
  readonly take?: RateCounters.RateCounters["Service"]["take"]
} = {}) =>
  Effect.orDie(Effect.gen(function*() {
    const context = yield* Layer.build(
      Runtime.layer(Shapes, { grace: "100 millis" }).pipe(
        Layer.provide(Handlers),
        Layer.provide([
          layerStores,
          Layer.succeed(RateCounters.RateCounters, { take: services.take ?? (() => Effect.succeed([])) }),
          RateLimit.layer([{ name: "each", by: ["user"], limit: 1, window: "2 seconds" }]),
          Budget.layerUnlimited
        ]),
        Layer.provideMerge(services.auth ?? Auth.layerNone)
      )
    )
    const url = yield* serve(Layer.provide(mounted("mcp"), Layer.succeedContext(context)))
    return { url: `${url}/mcp`, runtime: Context.get(context, Runtime.Runtime) }
  }))

interface Schemas {
  readonly [list: string]: ReadonlyArray<Record<string, unknown>>
}

describe("McpCatalog", () => {
  it.live("describes each schema in the form that MCP can carry", () =>
    Effect.gen(function*() {
      const { url } = yield* start()
      const schema = yield* Effect.promise(async (): Promise<Schemas> => (await fetch(`${url}/schema`)).json())
      const tools = new Map(schema["tools"]?.map((tool) => [tool["name"], tool]))
      assert.deepStrictEqual([...tools.keys()], [
        "answer_run",
        "cancel_run",
        "either",
        "get_run",
        "now",
        "secret",
        "slow"
      ])
      assert.deepInclude(tools.get("now"), {
        title: "Clock",
        inputSchema: { type: "object", properties: {}, additionalProperties: false }
      })
      for (const name of ["now", "either", "secret", "slow"]) assert.notProperty(tools.get(name), "outputSchema")
      assert.deepStrictEqual(schema["resources"], [
        { uri: "app://logo", name: "logo", description: "A picture", mimeType: "image/png" }
      ])
      assert.deepStrictEqual(schema["resourceTemplates"], [
        { uriTemplate: "app://facts/{kind}", name: "facts", description: "Facts", mimeType: "application/json" }
      ])
      assert.deepStrictEqual(schema["prompts"], [{
        name: "greet",
        description: "Greets",
        arguments: [{ name: "name", description: "Whom", required: true }, { name: "tone", required: false }]
      }])
    }))

  it.live("answers with text for a value that is not an object, and with bytes for bytes", () =>
    Effect.gen(function*() {
      const { url } = yield* start()
      const now = yield* send(url, "tools/call", { name: "now", arguments: {} })
      assert.strictEqual(now.result?.content?.[0]?.text, "7")
      assert.notProperty(now.result, "structuredContent")
      const either = yield* send(url, "tools/call", { name: "either", arguments: { id: 2 } })
      assert.strictEqual(either.result?.content?.[0]?.text, "{\"b\":2}")
      assert.notProperty(either.result, "structuredContent")
      const read = (uri: string) => send(url, "resources/read", { uri, name: uri })
      assert.deepInclude((yield* read("app://logo")).result, {
        contents: [{ uri: "app://logo", mimeType: "image/png", blob: "AQID", _meta: untrusted }]
      })
      assert.deepInclude((yield* read("app://facts/old")).result, {
        contents: [
          { uri: "app://facts/old", mimeType: "application/json", text: "{\"count\":1}", _meta: untrusted }
        ]
      })
      assert.deepInclude((yield* read("app://facts/other")).error, { code: -32602 })
      const completed = yield* send(url, "completion/complete", {
        ref: { type: "ref/resource", uri: "app://facts/{kind}" },
        argument: { name: "kind", value: "" }
      })
      assert.deepInclude(completed.result, { completion: { values: ["old", "new"], total: 2, hasMore: false } })
    }))

  it.live("refuses a cursor that no page has given", () =>
    Effect.gen(function*() {
      const { url } = yield* start()
      const { error } = yield* send(url, "tools/list", { cursor: "x" })
      assert.deepInclude(error, { code: -32602 })
      assert.deepInclude(error?.data, { tag: "InvalidCursor", cursor: "x" })
    }))
})

describe("McpError", () => {
  it.live("names the rule of a denial", () =>
    Effect.gen(function*() {
      const { url } = yield* start({
        auth: Auth.layerKeys([{ key: Redacted.make("right"), principal: someone }])
      })
      const { error } = yield* send(url, "tools/call", { name: "secret", arguments: {} }, { "x-api-key": "right" })
      assert.strictEqual(error?.code, 403)
      assert.deepInclude(error?.data, { tag: "Forbidden", missing: ["secrets:read"] })
      assert.isString(error?.data["traceId"])
      const called = modern("tools/call", { name: "secret", arguments: {} })
      const refused = yield* Effect.promise(() =>
        fetch(url, { method: "POST", body: called.body, headers: { ...called.headers, "x-api-key": "right" } })
      )
      assert.strictEqual(refused.status, 403)
      assert.strictEqual(
        refused.headers.get("www-authenticate"),
        "Bearer realm=\"agents\", error=\"insufficient_scope\", scope=\"secrets:read\""
      )
      const { result } = yield* send(url, "tools/list", {}, { "x-api-key": "right" })
      assert.notInclude(JSON.stringify(result), "\"secret\"")
    }))

  it.live("names the time of the next attempt", () =>
    Effect.gen(function*() {
      const { url } = yield* start({
        take: () => Effect.succeed([{ allowed: false, used: 1, resetMillis: 500 }])
      })
      const { error } = yield* send(url, "tools/call", { name: "now", arguments: {} })
      assert.strictEqual(error?.code, 429)
      assert.deepInclude(error?.data, {
        tag: "RateLimited",
        rule: "each",
        limit: 1,
        windowMillis: 2_000,
        retryAfterMillis: 500
      })
    }))

  it.live("hides the cause of a failed store", () =>
    Effect.gen(function*() {
      const { url } = yield* start({
        take: () => Effect.fail(new RunError.StoreUnavailable({ operation: "x", cause: new Error("host secret") }))
      })
      const { error } = yield* send(url, "tools/call", { name: "now", arguments: {} })
      assert.strictEqual(error?.code, -32603)
      assert.deepStrictEqual(Object.keys(error?.data ?? {}).sort(), ["tag", "traceId"])
      assert.notInclude(JSON.stringify(error), "secret")
    }))

  it.live("answers a waiting call with the continuing run when the server shuts down", () =>
    Effect.gen(function*() {
      const { runtime, url } = yield* start()
      const calling = fetch(url, {
        method: "POST",
        headers,
        body: JSON.stringify({
          jsonrpc: "2.0",
          id: 1,
          method: "tools/call",
          params: { name: "slow", arguments: { text: "" } }
        })
      }).then((response) => response.text())
      yield* Effect.sleep("500 millis")
      yield* runtime.drain
      const text = yield* Effect.promise(() => calling)
      const { result }: Reply = JSON.parse(text.slice(text.indexOf("{")))
      assert.isTrue(result?.["isError"])
      assert.deepInclude(JSON.parse(result?.content?.[0]?.text ?? "{}"), { _tag: "RunContinues" })
      const refused = yield* send(url, "tools/call", { name: "now", arguments: {} })
      assert.deepInclude(refused.error, { code: 503 })
    }))
})
