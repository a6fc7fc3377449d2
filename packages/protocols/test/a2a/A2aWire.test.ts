import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, RateLimit, Run, Runtime } from "@fastagentic/core"
import { ToolCall } from "@fastagentic/core"
import { DuplicateMessages } from "@fastagentic/protocols/a2a"
import { Effect, Layer, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { layerRuntime, mounted, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"
import { connect, json, post, request, send, start } from "./support.ts"
import { list, object } from "./wires.ts"

const rpc = (method: string, params: unknown) => ({ jsonrpc: "2.0", id: 1, method, params })

describe("The JSON of protocol buffers", () => {
  it.live("is read with numbers of enums, both spellings, integers as text, and null for what is not set", () =>
    Effect.gen(function*() {
      const url = `${yield* start()}/a2a`
      const message = {
        message_id: "lax",
        role: 1,
        context_id: null,
        taskId: "",
        parts: [{ text: "hi", media_type: "text/plain", raw: null, url: null, data: undefined, metadata: null }],
        referenceTaskIds: null
      }
      const configuration = { history_length: "1", return_immediately: false, acceptedOutputModes: null }
      const sent = { message, configuration, metadata: { skillId: "echo" } }
      const { result } = yield* json(yield* post(url, rpc("SendMessage", sent)))
      const task = object(object(result)["task"])
      assert.strictEqual(object(task["status"])["state"], "TASK_STATE_COMPLETED")
      assert.deepInclude(object(list(task["history"])[0]), {
        messageId: "lax",
        parts: [{ text: "hi", mediaType: "text/plain" }]
      })
      const listed = yield* json(yield* post(url, rpc("ListTasks", { status: 3, page_size: 1, page_token: null })))
      assert.strictEqual(object(listed["result"])["totalSize"], 1)
      const all = yield* json(yield* post(url, rpc("ListTasks", { status: 0 })))
      assert.strictEqual(object(all["result"])["totalSize"], 1)
    }).pipe(Effect.scoped))

  it.live("keeps a part whose data is null", () =>
    Effect.gen(function*() {
      const url = `${yield* start()}/a2a`
      const sent = { message: { messageId: "n", role: "ROLE_USER", parts: [{ data: null }] } }
      const { error } = yield* json(yield* post(url, rpc("SendMessage", sent)))
      assert.include(String(object(error)["message"]), "a data part has to be an object")
    }).pipe(Effect.scoped))
})

describe("The paths of HTTP+JSON", () => {
  it.live("refuse unknown paths, methods, versions and types in JSON", () =>
    Effect.gen(function*() {
      const url = `${yield* start()}/a2a`
      const v1 = { "a2a-version": "1.0" }
      const type = { "content-type": "application/json" }
      const cases: ReadonlyArray<readonly [string, RequestInit, number, string]> = [
        ["/tasks/x/y", { headers: v1 }, 404, "NO_SUCH_PATH"],
        ["/message:sing", { method: "POST", headers: v1 }, 404, "NO_SUCH_PATH"],
        ["/message:send", { headers: v1 }, 405, "METHOD_NOT_ALLOWED"],
        ["/tasks", { method: "DELETE", headers: v1 }, 405, "METHOD_NOT_ALLOWED"],
        ["/tasks", {}, 400, "VERSION_NOT_SUPPORTED"],
        ["/tasks", { headers: { "a2a-version": "0.3" } }, 400, "VERSION_NOT_SUPPORTED"],
        ["/message:send", { method: "POST", headers: v1, body: "{}" }, 415, "CONTENT_TYPE_NOT_SUPPORTED"],
        ["/message:send", { method: "POST", headers: { ...v1, ...type }, body: "{" }, 400, "PARSE_ERROR"],
        ["/message:send", { method: "POST", headers: { ...v1, ...type }, body: "[]" }, 400, "INVALID_PARAMS"],
        ["/extendedAgentCard", { headers: v1 }, 400, "UNSUPPORTED_OPERATION"],
        ["/nobody/tasks/x", { headers: v1 }, 404, "TASK_NOT_FOUND"],
        ["/%25/tasks/x", { headers: v1 }, 404, "TASK_NOT_FOUND"]
      ]
      for (const [path, init, status, reason] of cases) {
        const response = yield* Effect.promise(() => fetch(url + path, init))
        assert.strictEqual(response.status, status, path)
        assert.strictEqual(response.headers.get("content-type"), "application/json", path)
        const { error } = yield* json(response)
        assert.strictEqual(object(list(object(error)["details"])[0])["reason"], reason, path)
        if (status === 405) assert.isNotNull(response.headers.get("allow"))
      }
      const v03 = yield* Effect.promise(() => fetch(`${url}/v1/tasks/x`, { headers: v1 }))
      assert.deepStrictEqual([v03.status, (yield* json(v03))["code"]], [400, -32009])
      for (
        const [accept, type] of [
          ["application/json", "application/json"],
          ["application/a2a+json, application/json", "application/a2a+json"]
        ] as const
      ) {
        const tasks = yield* Effect.promise(() => fetch(`${url}/tasks`, { headers: { ...v1, accept } }))
        assert.deepStrictEqual([tasks.status, tasks.headers.get("content-type")], [200, type])
      }
    }).pipe(Effect.scoped))

  it.live("of an agent show the tasks of this agent alone", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const client = yield* connect(url)
      const task = yield* send(client, "hi", { skill: "echo" })
      const get = (path: string) => Effect.promise(() => fetch(url + path, { headers: { "a2a-version": "1.0" } }))
      assert.strictEqual((yield* get(`/a2a/echo/tasks/${task.id}`)).status, 200)
      assert.strictEqual((yield* get(`/a2a/support/tasks/${task.id}`)).status, 404)
      assert.deepInclude(yield* json(yield* get("/a2a/echo/tasks")), { totalSize: 1 })
      assert.deepInclude(yield* json(yield* get("/a2a/support/tasks")), { totalSize: 0 })
    }).pipe(Effect.scoped))
})

describe("A message whose id came before", () => {
  it.live("starts a task of its own where the app says so", () =>
    Effect.gen(function*() {
      const url = `${yield* serve(
        mounted("a2a").pipe(Layer.provide(DuplicateMessages.layerNew), Layer.provide(layerRuntime()))
      )}/a2a`
      const ids = new Set<unknown>()
      for (const text of ["one", "one", "two"]) {
        const sent = { ...request(text, { messageId: "same", skill: "echo" }) }
        const { result } = yield* json(yield* post(url, rpc("SendMessage", sent)))
        const task = object(object(result)["task"])
        ids.add(task["id"])
        assert.strictEqual(object(list(task["history"])[0])["messageId"], "same")
      }
      assert.strictEqual(ids.size, 3)
    }).pipe(Effect.scoped))
})

describe("The card", () => {
  it.live("is of both versions, and of 1.0 alone for who asks for it", () =>
    Effect.gen(function*() {
      const url = yield* start(Auth.layerKeys([]))
      const at = `${url}/.well-known/agent-card.json`
      const get = (headers: Record<string, string>) =>
        Effect.flatMap(Effect.promise(() => fetch(at, { headers })), (response) => {
          assert.include(response.headers.get("vary"), "A2A-Version")
          return json(response)
        })
      const both = yield* get({})
      assert.deepInclude(both, {
        protocolVersion: "0.3.0",
        url: `${url}/a2a`,
        preferredTransport: "JSONRPC",
        additionalInterfaces: [
          { transport: "JSONRPC", url: `${url}/a2a` },
          { transport: "HTTP+JSON", url: `${url}/a2a` }
        ],
        security: [{ bearer: [] }, { apiKey: [] }],
        supportsAuthenticatedExtendedCard: true
      })
      assert.deepInclude(object(object(both["securitySchemes"])["bearer"]), { type: "http", scheme: "bearer" })
      assert.deepStrictEqual(yield* get({ "a2a-version": "0.3" }), both)
      const pure = yield* get({ "a2a-version": "1.0" })
      assert.notProperty(pure, "url")
      assert.deepStrictEqual(object(object(pure["securitySchemes"])["bearer"]), {
        httpAuthSecurityScheme: { scheme: "Bearer" }
      })
    }).pipe(Effect.scoped))
})

const Pay = Tool.make("pay", {
  description: "Pays",
  parameters: Schema.Struct({ amount: Schema.Int }),
  success: Schema.Int,
  needsApproval: true,
  dependencies: [Run.CurrentRun]
})
const Tools = Toolkit.make(Pay)

class Payer extends Agent.make("payer", { description: "Pays", payload: { note: Schema.String } }) {}
class Bank extends App.make("bank", { version: "1.0.0", agents: [Payer], tools: Tools }) {}

const serveBank = serve(
  mounted("a2a").pipe(Layer.provide(
    Runtime.layer(Bank).pipe(
      Layer.provide(Payer.toLayer(Effect.fn(function*() {
        const message = yield* Run.message
        const kit = yield* Tools
        const call = { toolCallId: "1", name: "pay", arguments: { amount: 5 } }
        const { result } = yield* Effect.orDie(ToolCall.invoke(ToolCall.handlersOf(kit), call))
        return JSON.stringify([object(message)["metadata"], object(message)["referenceTaskIds"], result])
      }))),
      Layer.provide(Tools.toLayer({ pay: ({ amount }) => Effect.succeed(amount) })),
      Layer.provideMerge(
        Layer.mergeAll(layerStores, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited)
      )
    )
  ))
)

describe("A task whose call has to be permitted", () => {
  it.live("is AUTH_REQUIRED until it is, and its handler reads the message as it came", () =>
    Effect.gen(function*() {
      const url = `${yield* serveBank}/a2a`
      const { message } = request("please")
      const sent = { message: { ...message, metadata: { from: "ann" }, referenceTaskIds: ["t"] } }
      const { result } = yield* json(yield* post(url, rpc("SendMessage", sent)))
      const task = object(object(result)["task"])
      const status = object(task["status"])
      assert.strictEqual(status["state"], "TASK_STATE_AUTH_REQUIRED")
      assert.include(JSON.stringify(status["message"]), "pay")
      const waiting = yield* json(yield* post(url, rpc("ListTasks", { status: "TASK_STATE_AUTH_REQUIRED" })))
      assert.strictEqual(object(waiting["result"])["totalSize"], 1)
      const others = yield* json(yield* post(url, rpc("ListTasks", { status: "TASK_STATE_INPUT_REQUIRED" })))
      assert.strictEqual(object(others["result"])["totalSize"], 0)
      const answer = request("yes", { taskId: String(task["id"]) })
      const done = object(object((yield* json(yield* post(url, rpc("SendMessage", answer))))["result"])["task"])
      const output = object(list(done["artifacts"])[0])
      assert.deepStrictEqual(output["parts"], [{ text: "[{\"from\":\"ann\"},[\"t\"],5]" }])
    }).pipe(Effect.scoped))
})
