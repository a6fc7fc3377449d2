import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Fusion } from "@fastagentic/core"
import { Validator } from "@seriousme/openapi-schema-validator"
import { Effect, Schema } from "effect"
import * as OpenApi from "effect/http-api/OpenApi"
import { apiOf } from "../../src/http/Document.ts"
import * as Routes from "../../src/http/Routes.ts"
import { people, startLab } from "./lab.ts"
import { as, get, post, raw, start, text } from "./rest.ts"

const Operation = Schema.Struct({
  operationId: Schema.String,
  security: Schema.optionalKey(Schema.Array(Schema.Record(Schema.String, Schema.Json))),
  responses: Schema.Record(
    Schema.String,
    Schema.Struct({ content: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json)) })
  ),
  requestBody: Schema.optionalKey(Schema.Struct({
    content: Schema.Struct({ "application/json": Schema.Struct({ schema: Schema.Record(Schema.String, Schema.Json) }) })
  }))
})

const Document = Schema.Struct({
  openapi: Schema.Literal("3.1.0"),
  info: Schema.Record(Schema.String, Schema.String),
  paths: Schema.Record(Schema.String, Schema.Record(Schema.String, Operation)),
  components: Schema.Struct({
    schemas: Schema.Record(Schema.String, Schema.Json),
    securitySchemes: Schema.Record(Schema.String, Schema.Json)
  }),
  security: Schema.Array(Schema.Record(Schema.String, Schema.Json))
})

const documentOf = (url: string) => Effect.flatMap(get(`${url}/openapi.json`), as(Document))

const validate = (document: object) =>
  Effect.map(Effect.promise(() => new Validator().validate({ ...document })), ({ errors, valid }) => {
    assert.isTrue(valid, JSON.stringify(errors))
  })

const operations = (document: typeof Document.Type) =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation }))
  )

describe("The OpenAPI document", () => {
  it.live("is OpenAPI 3.1, with and without credentials", () =>
    Effect.gen(function*() {
      for (const url of [yield* start(), (yield* startLab()).url, (yield* startLab({ auth: people })).url]) {
        yield* validate(JSON.parse(yield* text(yield* get(`${url}/openapi.json`))))
      }
    }).pipe(Effect.scoped))

  it.live("names every operation and schema once", () =>
    Effect.gen(function*() {
      const document = yield* documentOf(yield* start())
      assert.deepStrictEqual(document.info, { title: "Acme", version: "1.0.0", description: "A support desk" })
      assert.deepStrictEqual(Object.keys(document.components.schemas), [
        "AudioContent",
        "AuditEntry",
        "Checkpoint",
        "Content",
        "ContentAnnotations",
        "DataContent",
        "DeadPushTarget",
        "FileContent",
        "ImageContent",
        "Interrupt",
        "InterruptSummary",
        "LinkContent",
        "MessageToolCall",
        "PrincipalChanged",
        "Problem",
        "PushRedriven",
        "Run",
        "RunEvent",
        "RunSummary",
        "Schedule",
        "ScheduleDetails",
        "StoredFile",
        "SuspendedRun",
        "TextContent",
        "Thread",
        "ThreadMessage",
        "Upload",
        "UsageReport"
      ])
      assert.deepStrictEqual(
        operations(document).map(({ method, operation, path }) => `${method} ${path} ${operation.operationId}`),
        [
          "GET /agents agents.list",
          "POST /agents/echo agents.echo",
          "POST /agents/echo/stream agents.echo.stream",
          "POST /agents/echo/runs agents.echo.runs",
          "POST /agents/support agents.support",
          "POST /agents/support/stream agents.support.stream",
          "POST /agents/support/runs agents.support.runs",
          "GET /tools tools.list",
          "POST /tools/find_order tools.find_order",
          "POST /tools/refund_order tools.refund_order",
          "GET /resources resources.list",
          "GET /resources/handbook/{topic} resources.handbook",
          "GET /prompts prompts.list",
          "POST /prompts/triage prompts.triage",
          "GET /runs runs.list",
          "GET /runs/{runId} runs.get",
          "GET /runs/{runId}/events runs.events",
          "POST /runs/{runId}/cancel runs.cancel",
          "POST /runs/{runId}/resume runs.resume",
          "GET /runs/{runId}/checkpoints runs.checkpoints",
          "POST /runs/{runId}/fork runs.fork",
          "POST /runs/{runId}/retry runs.retry",
          "GET /runs/{runId}/interrupts runs.interrupts",
          "POST /runs/{runId}/interrupts runs.answerAll",
          "GET /runs/{runId}/interrupts/{id} runs.interrupt",
          "POST /runs/{runId}/interrupts/{id} runs.answer",
          "POST /runs/{runId}/signals/{name} runs.signal",
          "POST /files files.upload",
          "GET /files/{fileId} files.download",
          "GET /interrupts interrupts.pending",
          "GET /threads threads.list",
          "GET /threads/{threadId} threads.get",
          "DELETE /threads/{threadId} threads.erase",
          "GET /threads/{threadId}/messages threads.messages",
          "POST /threads/{threadId}/fork threads.fork",
          "GET /schedules schedules.list",
          "GET /schedules/{id} schedules.get",
          "POST /schedules/{id} schedules.create",
          "PUT /schedules/{id} schedules.put",
          "DELETE /schedules/{id} schedules.remove",
          "POST /schedules/{id}/run schedules.run",
          "POST /schedules/{id}/pause schedules.pause",
          "POST /schedules/{id}/resume schedules.resume",
          "GET /audit audit.list",
          "POST /principals/{id}/revoke principals.revoke",
          "POST /principals/{id}/restore principals.restore",
          "POST /principals/{id}/cancel principals.cancel",
          "GET /push/dead push.dead",
          "POST /push/redrive push.redrive",
          "GET /usage system.usage",
          "GET /health system.health",
          "GET /ready system.ready",
          "GET /metrics system.metrics"
        ]
      )
      for (const { operation } of operations(document)) {
        const schema = operation.requestBody?.content["application/json"].schema
        if (schema !== undefined) {
          const name = String(schema["$ref"] ?? "").replace("#/components/schemas/", "")
          const resolved = Object(document.components.schemas[name] ?? schema)
          const body = resolved["type"] === "array" ? Object(resolved["items"]) : resolved
          // The body of a signal is any JSON: its agent says what it has to be.
          if (operation.operationId === "runs.signal") continue
          assert.strictEqual(body["additionalProperties"], false, operation.operationId)
        }
        for (const [status, response] of Object.entries(operation.responses)) {
          if (Number(status) >= 400) {
            assert.deepStrictEqual(response.content, {
              "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } }
            })
          }
        }
      }
    }).pipe(Effect.scoped))

  it.live("has no keys of the generator and no dangling references", () =>
    Effect.gen(function*() {
      const body = yield* text(yield* get(`${yield* start()}/openapi.json`))
      assert.notInclude(body, "x-effect")
      const { components } = yield* Effect.orDie(Schema.decodeUnknownEffect(Schema.fromJsonString(Document))(body))
      for (const [, name = ""] of body.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/gu)) {
        assert.property(components.schemas, name)
      }
    }).pipe(Effect.scoped))

  it.live("lists only paths and methods that are served", () =>
    Effect.gen(function*() {
      for (const url of [yield* start(), (yield* startLab()).url]) {
        for (const { method, path } of operations(yield* documentOf(url))) {
          const answer = yield* raw(url, path.replaceAll(/\{\w+\}/gu, "x"), {
            method,
            body: method === "POST" ? "[" : ""
          })
          assert.notInclude(answer.body, "NoSuchRoute", `${method} ${path}`)
          assert.notStrictEqual(answer.status, 405, `${method} ${path}`)
          assert.isBelow(answer.status, 500, `${method} ${path}`)
        }
      }
    }).pipe(Effect.scoped))

  it.live("lists the statuses and content types of real answers", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const document = yield* documentOf(url)
      const check = (response: Response, method: string, path: string) => {
        const promised = document.paths[path]?.[method]?.responses[String(response.status)]
        assert.isDefined(promised, `${method} ${path} ${response.status}`)
        const type = (response.headers.get("content-type") ?? "").split(";")[0] ?? ""
        if (promised?.content !== undefined) assert.include(Object.keys(promised.content), type, path)
      }
      check(yield* post(`${url}/agents/support`, { question: "1042" }), "post", "/agents/support")
      check(yield* post(`${url}/agents/support`, { question: "order 5" }), "post", "/agents/support")
      check(yield* post(`${url}/agents/support`, { question: "refund 1042" }), "post", "/agents/support")
      check(yield* post(`${url}/agents/support`, { question: "crash" }), "post", "/agents/support")
      check(yield* post(`${url}/agents/support`, {}), "post", "/agents/support")
      check(yield* post(`${url}/agents/support/stream`, { question: "1042" }), "post", "/agents/support/stream")
      check(yield* post(`${url}/agents/support/runs`, { question: "1042" }), "post", "/agents/support/runs")
      check(yield* post(`${url}/tools/find_order`, { orderId: 1042 }), "post", "/tools/find_order")
      check(yield* get(`${url}/resources/handbook/returns`), "get", "/resources/handbook/{topic}")
      check(yield* get(`${url}/resources/handbook/x`), "get", "/resources/handbook/{topic}")
      check(yield* post(`${url}/prompts/triage`, { severity: "low" }), "post", "/prompts/triage")
      check(yield* get(`${url}/runs`), "get", "/runs")
      check(yield* get(`${url}/runs/none`), "get", "/runs/{runId}")
      check(yield* get(`${url}/ready`), "get", "/ready")
      check(yield* get(`${url}/metrics`), "get", "/metrics")
    }).pipe(Effect.scoped))

  it.live("names the accepted credentials, except where none are needed", () =>
    Effect.gen(function*() {
      const open = yield* documentOf((yield* startLab()).url)
      assert.deepStrictEqual([open.security, open.components.securitySchemes], [[], {}])
      const guarded = yield* documentOf((yield* startLab({ auth: people })).url)
      assert.deepStrictEqual(guarded.security, [{ bearer: [] }, { apiKey: [] }])
      assert.deepStrictEqual(Object.keys(guarded.components.securitySchemes), ["bearer", "apiKey"])
      for (const { operation, path } of operations(guarded)) {
        assert.deepStrictEqual(operation.security, path === "/health" || path === "/ready" ? [] : undefined, path)
      }
    }).pipe(Effect.scoped))

  it.effect("gives unique ids to agents with names of built-in operations", () =>
    Effect.gen(function*() {
      const agent = (identifier: string) => Agent.make(identifier, { description: identifier, payload: {} })
      const app = App.make("odd", {
        version: "1",
        agents: [agent("list"), agent("a"), agent("a.stream"), agent("a.runs_2"), agent("constructor")]
      })
      const document = OpenApi.fromApi(apiOf(yield* Fusion.compile(app), [], Routes.all))
      yield* validate(document)
      const ids = operations(Schema.decodeUnknownSync(Document)(document)).map(({ operation }) => operation.operationId)
      assert.strictEqual(new Set(ids).size, ids.length)
    }))

  it.effect("keeps an app's schema apart from a built-in one of the same name", () =>
    Effect.gen(function*() {
      const Problem = Schema.Struct({ mine: Schema.String }).annotate({ identifier: "Problem" })
      const app = App.make("same", {
        version: "1",
        agents: [Agent.make("a", { description: "a", payload: { problem: Problem }, success: Problem })]
      })
      const document = OpenApi.fromApi(apiOf(yield* Fusion.compile(app), [], Routes.all))
      yield* validate(document)
      const schemas = JSON.stringify(document.components.schemas)
      assert.include(schemas, "\"mine\"")
      assert.include(schemas, "\"traceId\"")
    }))

  it.live("has a page without resources of other hosts", () =>
    Effect.gen(function*() {
      const page = yield* get(`${yield* start()}/docs`)
      assert.strictEqual(page.status, 200)
      assert.match(page.headers.get("content-type") ?? "", /^text\/html/u)
      const body = yield* text(page)
      assert.include(body, "agents.support.stream")
      assert.notInclude(body, "x-effect-stream")
      assert.notMatch(body, /<(?:script|link)[^>]+(?:src|href)="(?:https?:)?\/\//u)
    }).pipe(Effect.scoped))
})
