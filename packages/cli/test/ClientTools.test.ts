// Tools of a client's page in a model loop, over AG-UI and a socket on SQLite: the model calls them beside tools of the server.
import { assert, describe, it } from "@effect/vitest"
import { Sqlite } from "@fastagentic/stores/sqlite"
import { Effect, Layer, Schema } from "effect"
import * as Model from "effect/ai/Model"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { Agent, App } from "fastagentic"
import { join } from "node:path"
import { ModelLoop } from "../src/effect-ai.ts"
import { ScriptedModel } from "../src/testing.ts"
import { temporaryFolder } from "./process.ts"
import { onStores } from "./serving.ts"

class Helper extends Agent.make("helper", {
  description: "Helps on a page",
  payload: { text: Schema.String },
  clientTools: true,
  threads: "enqueue"
}) {}
class Desk extends App.make("desk", { version: "1", agents: [Helper] }) {}

const Find = Tool.make("find", {
  description: "Finds an order",
  parameters: Schema.Struct({ order: Schema.Int }),
  success: Schema.String
})
const Tools = Toolkit.make(Find)

const serve = Effect.fnUntraced(function*(...turns: ReadonlyArray<ScriptedModel.Turn>) {
  const model = yield* Layer.build(ScriptedModel.layer(turns))
  let found = 0
  const helper = Helper.toLayer(({ text }) =>
    ModelLoop.run({ prompt: text, toolkit: Tools, thread: true }).pipe(Effect.map(({ text }) => text), Effect.orDie)
  ).pipe(
    Layer.provide(Tools.toLayer({ find: ({ order }) => Effect.sync(() => `order ${order}, search ${++found}`) })),
    Layer.provide(Model.make("lab", "big", Layer.succeedContext(model)))
  )
  const stores = Layer.succeedContext(
    yield* Layer.build(Sqlite.layer({ filename: join(temporaryFolder(), "client-tools.db") }))
  )
  const { url } = yield* onStores(Desk, helper, stores)
  const messages: Array<object> = []
  const send = (message: object, tools: ReadonlyArray<object>) =>
    Effect.promise(async () => {
      messages.push(message)
      const input = { threadId: "t", runId: crypto.randomUUID(), messages, tools, context: [], state: {} }
      const response = await fetch(`${url}/agents/helper/ag-ui`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(input)
      })
      const body = await response.text()
      const events = body.split("\n\n").flatMap((one): ReadonlyArray<Record<string, unknown>> =>
        one.startsWith("data: ") ? [JSON.parse(one.slice(6))] : []
      )
      const named = events.filter(({ type }) => type === "TOOL_CALL_START")
      return {
        last: events.at(-1),
        ids: new Map(named.map((one) => [String(one["toolCallName"]), String(one["toolCallId"])])),
        results: events.filter(({ type }) => type === "TOOL_CALL_RESULT").map(({ content }) => content)
      }
    })
  const requests = Effect.provideContext(
    Effect.flatMap(ScriptedModel.Requests, ({ all }) => all),
    model
  )
  return { send, requests }
})

const color = {
  name: "set_color",
  description: "Colors the page",
  parameters: { type: "object", properties: { color: { type: "string" } }, required: ["color"] }
}
const user = (content: string) => ({ id: crypto.randomUUID(), role: "user", content })
const result = (toolCallId: string | undefined, content: string) => ({
  id: crypto.randomUUID(),
  role: "tool",
  toolCallId,
  content
})

describe("Tools of a client's page in a model loop", () => {
  it.live("are called beside those of the server, whose results are there when the page gives its own", () =>
    Effect.gen(function*() {
      const { requests, send } = yield* serve(
        ScriptedModel.calls([
          { name: "set_color", params: { color: "red" } },
          { name: "find", params: { order: 7 } }
        ]),
        ScriptedModel.calls([{ name: "set_color", params: { color: "blue" } }]),
        ScriptedModel.text("Done.")
      )
      const first = yield* send(user("Color it, and find order 7"), [color])
      assert.deepInclude(first.last, { type: "RUN_FINISHED", outcome: { type: "success" } })
      assert.notInclude(JSON.stringify(first.last), "Done.")
      assert.deepStrictEqual(first.results, ["order 7, search 1"])
      const second = yield* send(result(first.ids.get("set_color"), "it is red"), [color])
      assert.deepStrictEqual(second.results, [])
      const third = yield* send(result(second.ids.get("set_color"), "it is blue"), [color])
      assert.deepInclude(third.last, { type: "RUN_FINISHED", result: "Done." })
      const all = yield* requests
      assert.strictEqual(all.length, 3)
      const tools = JSON.stringify(all[1]?.prompt.content.at(-1))
      assert.include(tools, "it is red")
      assert.include(tools, "order 7, search 1")
      // The turn is in the thread as any other.
      assert.include(JSON.stringify(all[2]?.prompt.content.at(-1)), "it is blue")
    }).pipe(Effect.scoped))

  it.live("are no tools of a loop that has one of the same name, which ends the run and says so", () =>
    Effect.gen(function*() {
      const { requests, send } = yield* serve(ScriptedModel.text("Done."))
      const { last } = yield* send(user("Hi"), [{ ...color, name: "find" }])
      assert.deepInclude(last, { type: "RUN_ERROR", code: "InvalidPayload" })
      assert.include(String(last?.["message"]), "tool of its own that is named \"find\"")
      assert.strictEqual((yield* requests).length, 0)
    }).pipe(Effect.scoped))

  it.live("are not there for a message that offers none", () =>
    Effect.gen(function*() {
      const { send } = yield* serve(
        ScriptedModel.calls([{ name: "set_color", params: { color: "red" } }]),
        ScriptedModel.text("I cannot.")
      )
      const { last } = yield* send(user("Color it"), [])
      assert.deepInclude(last, { type: "RUN_FINISHED", result: "I cannot." })
    }).pipe(Effect.scoped))
})
