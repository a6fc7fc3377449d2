import { assert, describe, it } from "@effect/vitest"
import { MastraAgents } from "@fastagentic/adapters/mastra"
import { Agent, App, Auth, Budget, Event, RateLimit } from "@fastagentic/core"
import { Sqlite } from "@fastagentic/stores/sqlite"
import { createMockModel } from "@mastra/core/test-utils/llm-mock"
import { createTool } from "@mastra/core/tools"
import { createStep, createWorkflow } from "@mastra/core/workflows"
import { jsonSchema } from "ai"
import { Context, Effect, Layer, Schema } from "effect"
import * as HttpServer from "effect/http/HttpServer"
import { Play } from "../../src/internal/contract/play.ts"
import * as Stage from "../../src/internal/contract/stage.ts"
import * as Server from "../../src/Server.ts"
import { languageModel } from "./languageModel.ts"
import { mastraAgent } from "./mastraAgent.ts"

const usage = { inputTokens: 10, outputTokens: 3 }
const say = (text: string) => ({ texts: [text], calls: [], usage })
const call = (name: string, args: object) => ({ texts: [], calls: [{ id: `${name}_1`, name, args }], usage })

const inputSchema = jsonSchema<{ order: number }>({
  type: "object",
  properties: { order: { type: "integer" } },
  required: ["order"]
})

class Chat extends Agent.make("chat", {
  description: "Talks",
  payload: { text: Schema.String },
  threads: "enqueue"
}) {}
class Talk extends App.make("talk", { version: "1", agents: [Chat] }) {}

const serve = (agent: ReturnType<typeof mastraAgent>, options: Partial<Stage.Staging> = {}) =>
  Stage.serve({
    durable: true,
    play: new Play(),
    perform: (subject) => MastraAgents.layer(subject, agent, { prompt: ({ question }) => question }),
    ...options
  })

/** The last thing that a model has heard, as JSON. */
const last = (prompt: ReadonlyArray<unknown>) => JSON.stringify(prompt.at(-1))

describe("agents of Mastra", () => {
  it.live("a tool that suspends asks a human, also over a restart, and runs again with the answer", () =>
    Effect.gen(function*() {
      const passes: Array<unknown> = []
      const heard: Array<string> = []
      const make = () => {
        const book = createTool({
          id: "book",
          description: "Books",
          inputSchema,
          resumeSchema: jsonSchema<{ sure: boolean }>({
            type: "object",
            properties: { sure: { type: "boolean" } },
            required: ["sure"],
            additionalProperties: false
          }),
          execute: async ({ order }, { agent }) => {
            passes.push(agent?.resumeData ?? "first")
            if (agent?.resumeData === undefined) {
              await agent?.suspend({ price: 5 })
              return undefined
            }
            return `${order} is booked for ${JSON.stringify(agent.suspendPayload)}`
          }
        })
        const model = languageModel((answers, { prompt }) => {
          heard.push(last(prompt))
          return answers === 0 ? call("book", { order: 7 }) : say("Booked.")
        })
        return mastraAgent("desk", model, { tools: { book } })
      }
      const first = yield* serve(make())
      const runId = yield* first.start("plain")
      assert.strictEqual((yield* first.until(runId, "suspended", "completed", "failed")).state, "suspended")
      const { body } = yield* first.request("GET", `/runs/${runId}/interrupts`)
      assert.deepInclude(Object(body).items[0], { kind: "input", tool: "book", arguments: { price: 5 } })
      const second = yield* serve(make(), { folder: Stage.copyOf(first.folder) })
      const [asked] = yield* second.open(runId)
      const path = `/runs/${runId}/interrupts/${asked?.id}`
      assert.strictEqual((yield* second.request("POST", path, { decision: "approve", value: { sure: 1 } })).status, 400)
      yield* second.request("POST", path, { decision: "approve", value: { sure: true } })
      const { output, state } = yield* second.ended(runId)
      assert.deepStrictEqual({ state, output }, { state: "completed", output: "Booked." })
      assert.deepStrictEqual(passes, ["first", { sure: true }])
      assert.strictEqual(heard.length, 2)
      assert.include(heard[1], `7 is booked for {\\"price\\":5}`)
    }).pipe(Effect.scoped))

  it.live("a question of a tool that is denied is the tool's result, for the model to read", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const book = createTool({
        id: "book",
        description: "Books",
        inputSchema,
        execute: async (_input, { agent }) => {
          await agent?.suspend({ price: 5 })
        }
      })
      const model = languageModel((answers, { prompt }) => {
        heard.push(last(prompt))
        return answers === 0 ? call("book", { order: 7 }) : say("Not booked.")
      })
      const server = yield* serve(mastraAgent("desk", model, { tools: { book } }))
      const runId = yield* server.start("plain")
      yield* server.until(runId, "suspended", "failed")
      const [asked] = yield* server.open(runId)
      yield* server.request("POST", `/runs/${runId}/interrupts/${asked?.id}`, { decision: "deny", reason: "too dear" })
      assert.strictEqual((yield* server.ended(runId)).output, "Not booked.")
      assert.include(heard[1], "too dear")
    }).pipe(Effect.scoped))

  it.live("a workflow that suspends as a tool fails its run, because its state is in Mastra's own storage", () =>
    Effect.gen(function*() {
      const outputSchema = jsonSchema<{ sure: boolean }>({ type: "object", properties: { sure: { type: "boolean" } } })
      const step = createStep({
        id: "ask",
        inputSchema,
        outputSchema,
        execute: async ({ suspend }) => {
          await suspend({ price: 5 })
          return { sure: false }
        }
      })
      const book = createWorkflow({ id: "book", description: "Books", inputSchema, outputSchema }).then(step).commit()
      const model = languageModel((answers) =>
        answers === 0 ? call("workflow-book", { inputData: { order: 7 } }) : say("Booked.")
      )
      const server = yield* serve(mastraAgent("desk", model, { workflows: { book } }))
      const runId = yield* server.start("plain")
      assert.strictEqual((yield* server.until(runId, "suspended", "completed", "failed")).state, "failed")
      assert.lengthOf(yield* server.open(runId), 0)
      assert.notInclude(JSON.stringify(yield* server.journal(runId)), "Booked.")
    }).pipe(Effect.scoped))

  const supervised = (world: Array<string>) => {
    const pay = createTool({
      id: "pay",
      description: "Pays",
      inputSchema,
      execute: async ({ order }) => {
        world.push("pay")
        return `${order} is paid`
      }
    })
    const clerk = mastraAgent(
      "clerk",
      languageModel((_answers, { prompt }) => {
        world.push("clerk")
        return last(prompt).includes("is paid") ? say("I paid.") : call("pay", { order: 9 })
      }),
      {
        description: "Pays orders",
        tools: { pay },
        defaultOptions: { requireToolApproval: ({ toolName }) => toolName === "pay" }
      }
    )
    const boss = languageModel((answers) => {
      world.push("boss")
      return answers === 0
        ? { ...call("agent-clerk", { prompt: "Pay 9." }), usage: { inputTokens: 10_000, outputTokens: 3 } }
        : say("It is paid.")
    })
    return mastraAgent("boss", boss, { agents: { clerk } })
  }

  it.live("an agent that another one delegates to asks for approvals, over a restart, and no model is asked again", () =>
    Effect.gen(function*() {
      const before: Array<string> = []
      const first = yield* serve(supervised(before))
      const runId = yield* first.start("plain")
      assert.strictEqual((yield* first.until(runId, "suspended", "completed", "failed")).state, "suspended")
      assert.deepStrictEqual(before, ["boss", "clerk"])
      const after: Array<string> = []
      const second = yield* serve(supervised(after), { folder: Stage.copyOf(first.folder) })
      const [asked] = yield* second.open(runId)
      yield* second.request("POST", `/runs/${runId}/interrupts/${asked?.id}`, { decision: "approve" })
      const { output, state, usage } = yield* second.ended(runId)
      assert.deepStrictEqual({ state, output }, { state: "completed", output: "It is paid." })
      assert.deepStrictEqual(after, ["pay", "clerk", "boss"])
      assert.deepInclude(usage, { inputTokens: 10_030, outputTokens: 12 })
    }).pipe(Effect.scoped))

  it.live("a hard limit of the budget counts the models of an agent that another one delegates to", () =>
    Effect.gen(function*() {
      const world: Array<string> = []
      const server = yield* serve(supervised(world), { budget: Stage.limited(0.010_5) })
      const { error, state } = yield* server.ended(yield* server.start("plain"))
      assert.strictEqual(state, "failed")
      assert.deepInclude(error, { tag: "BudgetExceeded" })
      assert.deepStrictEqual(world, ["boss"])
    }).pipe(Effect.scoped))

  it.live("runs of a thread hear what the thread has said before", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const model = languageModel((_answers, { prompt }) => {
        heard.push(JSON.stringify(prompt))
        return say(`answer ${heard.length}`)
      })
      const layer = MastraAgents.layer(Chat, mastraAgent("desk", model), { prompt: ({ text }) => text, thread: true })
      const context = yield* Layer.build(
        Layer.fresh(Server.layer(Talk, { port: 0, grace: "50 millis" })).pipe(
          Layer.provide([
            layer,
            Auth.layerNone,
            Budget.layerUnlimited,
            RateLimit.layerUnlimited,
            Sqlite.layer({ filename: ":memory:" })
          ])
        )
      )
      const { address } = Context.get(context, HttpServer.HttpServer)
      const url = `http://127.0.0.1:${"port" in address ? address.port : 0}/agents/chat`
      const ask = (text: string) =>
        Effect.promise(async () => {
          const response = await fetch(url, {
            method: "POST",
            headers: { accept: "application/json", "content-type": "application/json", "x-thread-id": "t1" },
            body: JSON.stringify({ text })
          })
          return response.text()
        })
      for (const text of ["my name is Ada", "who am I"]) yield* ask(text)
      assert.strictEqual(heard.length, 2)
      assert.notInclude(heard[0], "who am I")
      for (const words of ["my name is Ada", "answer 1", "who am I"]) assert.include(heard[1], words)
    }).pipe(Effect.scoped))

  it.live("a run that a processor of the agent stops fails, and says nothing of the reason to callers", () =>
    Effect.gen(function*() {
      const guard = {
        id: "guard",
        processInput: ({ abort }: { readonly abort: (reason: string) => never }) => abort("hunter2")
      }
      const server = yield* serve(mastraAgent("desk", languageModel(() => say("no")), { inputProcessors: [guard] }))
      const { error, state } = yield* server.ended(yield* server.start("plain"))
      assert.strictEqual(state, "failed")
      assert.notInclude(JSON.stringify(error), "hunter2")
    }).pipe(Effect.scoped))

  it.live("an agent with the option `durable` of Mastra is refused, because its loop is out of reach", () =>
    Effect.gen(function*() {
      const server = yield* serve(mastraAgent("desk", languageModel(() => say("no")), { durable: true }))
      const runId = yield* server.start("plain")
      assert.strictEqual((yield* server.ended(runId)).state, "failed")
      assert.isFalse(Event.visible(yield* server.journal(runId)).some(({ type }) => type === "token"))
    }).pipe(Effect.scoped))

  it.live("a model of an older version of the AI SDK, and one that stands in for one that failed, are steps too", () =>
    Effect.gen(function*() {
      const broken = languageModel(() => {
        throw new Error("the provider is down")
      })
      // cast: the mock is a model of version 2, which Mastra takes.
      const older = createMockModel({ mockText: "I am older.", version: "v2" }) as unknown as typeof broken
      const server = yield* serve(mastraAgent("desk", [{ model: broken }, { model: older }]))
      const runId = yield* server.start("plain")
      const { output, state } = yield* server.ended(runId)
      assert.deepStrictEqual({ state, output }, { state: "completed", output: "I am older." })
      const starts = (yield* server.journal(runId)).filter(({ type }) => type === "llm_start")
      assert.strictEqual(starts.length, 2)
    }).pipe(Effect.scoped))

  it.live("the structured output of an agent is the object of its result", () =>
    Effect.gen(function*() {
      const schema = jsonSchema<{ total: number }>({
        type: "object",
        properties: { total: { type: "integer" } },
        required: ["total"]
      })
      const agent = mastraAgent("desk", languageModel(() => say(`{"total":42}`)), {
        defaultOptions: { structuredOutput: { schema } } as never // cast: any agent.
      })
      const server = yield* serve(agent, {
        perform: (subject) =>
          MastraAgents.layer(subject, agent, {
            prompt: ({ question }) => question,
            output: ({ object }) => JSON.stringify(object)
          })
      })
      const { output } = yield* server.ended(yield* server.start("plain"))
      assert.strictEqual(output, `{"total":42}`)
    }).pipe(Effect.scoped))

  it.live("a cancellation reaches the tool of an agent that another one delegates to", () =>
    Effect.gen(function*() {
      let begin = () => {}
      const begun = new Promise<void>((resolve) => {
        begin = resolve
      })
      let aborted = false
      const wait = createTool({
        id: "wait",
        description: "Waits",
        inputSchema,
        execute: (_input, { abortSignal }) =>
          new Promise<string>((_resolve, reject) => {
            abortSignal?.addEventListener("abort", () => {
              aborted = true
              reject(new Error("aborted"))
            })
            begin()
          })
      })
      const clerk = mastraAgent("clerk", languageModel(() => call("wait", { order: 1 })), { tools: { wait } })
      const boss = languageModel(() => call("agent-clerk", { prompt: "Wait." }))
      const server = yield* serve(mastraAgent("boss", boss, { agents: { clerk } }))
      const runId = yield* server.start("plain")
      yield* Effect.promise(() => begun)
      yield* server.request("POST", `/runs/${runId}/cancel`, {})
      assert.strictEqual((yield* server.ended(runId)).state, "cancelled")
      for (let tries = 0; tries < 100 && !aborted; tries++) yield* Effect.sleep("10 millis")
      assert.isTrue(aborted)
    }).pipe(Effect.scoped))
})
