import { HttpAgent, type Tool } from "@ag-ui/client"
import { assert, describe, it } from "@effect/vitest"
import { lastAssistantMessageIsCompleteWithToolCalls } from "ai"
import { Effect, Fiber, Schema } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import OpenAI from "openai"
import * as ClientCalls from "../../src/chat/ClientCalls.ts"
import { Chat, shape, textOf } from "../ai-sdk/chat.ts"
import { by, people } from "../http/lab.ts"
import { as, get, post, Problem, Run, text } from "../http/rest.ts"
import { modern } from "../mcp/asker.ts"
import { sqliteIn } from "../stores.ts"
import { serveFront } from "./lab.ts"

const parameters = { type: "object", properties: { text: { type: "string" } } }
const color: Tool = { name: "set_color", description: "Colors the page", parameters }
const where: Tool = { name: "where_am_i", description: "The address of the page", parameters }

const Page = Schema.Struct({ items: Schema.Array(Run) })
const runsOf = (url: string) =>
  Effect.map(Effect.flatMap(get(`${url}/runs?agent=page`), as(Page)), ({ items }) => items)

const agentOf = (url: string, headers: Record<string, string> = {}) =>
  new HttpAgent({ url: `${url}/agents/page/ag-ui`, headers, threadId: "t-1" })

/** Runs the agent as a page does: the calls that it has to make, and the last text. */
const run = (agent: HttpAgent, options: Parameters<HttpAgent["runAgent"]>[0] = {}) =>
  Effect.promise(async () => {
    const { newMessages } = await agent.runAgent({ tools: [color, where], ...options })
    const answered = new Set(agent.messages.flatMap((one) => one.role === "tool" ? [one.toolCallId] : []))
    const calls = newMessages.flatMap((one) => one.role === "assistant" ? one.toolCalls ?? [] : [])
    const last = agent.messages.at(-1)
    return {
      calls: calls.filter(({ id }) => !answered.has(id)),
      text: last?.role === "assistant" ? last.content : undefined
    }
  })

const say = (agent: HttpAgent, content: string) => agent.addMessage({ id: crypto.randomUUID(), role: "user", content })

const give = (agent: HttpAgent, toolCallId: string, content: string, error?: string) =>
  agent.addMessage({
    id: crypto.randomUUID(),
    role: "tool",
    toolCallId,
    content,
    ...(error === undefined ? {} : { error })
  })

const input = (messages: ReadonlyArray<unknown>, rest: Record<string, unknown> = {}) => ({
  threadId: "t-1",
  runId: crypto.randomUUID(),
  messages,
  tools: [],
  context: [],
  ...rest
})

const user = (content: string) => ({ id: crypto.randomUUID(), role: "user", content })

const Refusal = Schema.Struct({ ...Problem.fields, detail: Schema.String })

const problemOf = (body: unknown, url: string, headers: Record<string, string> = {}) =>
  Effect.gen(function*() {
    const response = yield* post(`${url}/agents/page/ag-ui`, body, headers)
    return yield* as(Refusal)(response)
  })

describe("The tools of a client's page", () => {
  it.live("are called over AG-UI: the run ends with the calls, and the results continue it", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const agent = agentOf(url)
      say(agent, "Hi")
      const asked = yield* run(agent, { context: [{ description: "user", value: "Ada" }] })
      assert.deepStrictEqual(asked.calls.map((one) => one.function), [
        { name: "set_color", arguments: "{\"text\":\"Hi\"}" },
        { name: "where_am_i", arguments: "{\"text\":\"Hi\"}" }
      ])
      assert.deepStrictEqual(agent.pendingInterrupts, [])
      give(agent, "set_color-1", "red")
      give(agent, "where_am_i-1", "", "no address")
      const ended = yield* run(agent)
      assert.strictEqual(
        ended.text,
        "Hi: [\"red\",\"The tool \\\"where_am_i\\\" of the client gave no result: no address\"]" +
          " {\"context\":[{\"description\":\"user\",\"value\":\"Ada\"}]}"
      )
      assert.deepStrictEqual(ended.calls, [])
      assert.strictEqual(agent.messages.filter(({ role }) => role === "tool").length, 2)
      // The same results once more are the same rest, and others are refused.
      agent.setMessages(agent.messages.slice(0, -1))
      assert.strictEqual((yield* run(agent)).text, ended.text)
      const other = yield* problemOf(
        input([user("Hi"), { id: "x", role: "tool", toolCallId: "set_color-1", content: "blue" }]),
        url
      )
      assert.strictEqual(other.title, "InterruptResolved")
      assert.strictEqual((yield* runsOf(url)).length, 1)
    }).pipe(Effect.scoped))

  it.live("give their results one after the other, from wherever they come, after a restart on SQLite", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "client-tools-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      )
      const agent = yield* Effect.scoped(Effect.gen(function*() {
        const { url } = yield* serveFront({ stores: sqliteIn(folder) })
        const agent = agentOf(url)
        say(agent, "Hi")
        yield* run(agent)
        return agent
      }))
      const { url } = yield* serveFront({ stores: sqliteIn(folder) })
      agent.url = `${url}/agents/page/ag-ui`
      give(agent, "where_am_i-1", "/home")
      // The other call is still open.
      assert.strictEqual((yield* run(agent)).text, undefined)
      give(agent, "set_color-1", "red")
      assert.strictEqual((yield* run(agent)).text, "Hi: [\"red\",\"/home\"]")
    }).pipe(Effect.scoped))

  it.live("are refused where their names, number, size or shape do not fit, and of no effect for other agents", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const refused = (tools: ReadonlyArray<unknown>, rest: Record<string, unknown> = {}) =>
        problemOf(input([user("Hi")], { tools, ...rest }), url)
      const wrongs: ReadonlyArray<readonly [ReadonlyArray<unknown>, RegExp]> = [
        [[{ ...color, name: "find_order" }], /tools\.0\.name: .*server/u],
        [[color, color], /tools\.1\.name/u],
        [[{ ...color, name: "no spaces" }], /tools\.0\.name/u],
        [[{ ...color, name: "__proto__ " }], /tools\.0\.name/u],
        [[{ description: "none" }], /tools\.0\.name/u],
        [[7], /tools\.0\.name/u],
        [[{ ...color, parameters: "text" }], /tools\.0\.parameters/u],
        [[{ ...color, parameters: { type: "string" } }], /tools\.0\.parameters/u],
        [[{ ...color, description: "x".repeat(5_000) }], /tools\.0\.description/u],
        [Array.from({ length: 65 }, (_, at) => ({ ...color, name: `t${at}` })), /at most 64/u],
        [[{ ...color, parameters: { type: "object", title: "x".repeat(140_000) } }], /at most 131072/u]
      ]
      for (const [tools, why] of wrongs) {
        const { detail, status } = yield* refused(tools)
        assert.strictEqual(status, 400, String(why))
        assert.match(detail, why)
      }
      assert.match((yield* refused([], { state: "x".repeat(140_000) })).detail, /at most 131072/u)
      assert.strictEqual((yield* runsOf(url)).length, 0)
      const other = yield* post(
        `${url}/agents/talk/ag-ui`,
        input([user("order 7")], { tools: [{ name: "no spaces" }] })
      )
      assert.strictEqual(other.status, 200)
      const odd = yield* Effect.flatMap(
        post(`${url}/agents/page/ag-ui`, input([user("Hi")], { tools: [{ ...color, name: "__proto__" }] })),
        text
      )
      assert.include(odd, "__proto__-1")
    }).pipe(Effect.scoped))

  it.live("take results of no one else, and none that no run waits for", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront({ auth: people })
      const agent = agentOf(url, by("ann"))
      say(agent, "Hi")
      yield* run(agent)
      const result = (id: string) => [user("Hi"), { id: "x", role: "tool", toolCallId: id, content: "red" }]
      for (const who of ["ben", "cleo", "dan"]) {
        const { status } = yield* problemOf(input(result("set_color-1")), url, by(who))
        assert.strictEqual(status, 400, who)
      }
      const unknown = yield* problemOf(input(result("nothing-1")), url, by("ann"))
      assert.match(unknown.detail, /result of a call/u)
      const elsewhere = yield* problemOf({ ...input(result("set_color-1")), threadId: "t-2" }, url, by("ann"))
      assert.strictEqual(elsewhere.status, 400)
      give(agent, "set_color-1", "red")
      give(agent, "where_am_i-1", "/")
      assert.strictEqual((yield* run(agent)).text, "Hi: [\"red\",\"/\"]")
    }).pipe(Effect.scoped))

  it.live("are given up when the user sends another message instead of their results", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const agent = agentOf(url)
      say(agent, "Hi")
      yield* run(agent)
      say(agent, "Never mind")
      const { text } = yield* run(agent, { tools: [] })
      assert.strictEqual(text, "Never mind: []")
      const [, first] = yield* runsOf(url)
      const output = yield* Effect.flatMap(get(`${url}/runs/${first?.runId}`), as(Run))
      assert.include(String(output.output), "the user has sent another message")
    }).pipe(Effect.scoped))

  it.live("take no message as their result: in a thread of chat completions it gives them up too", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 })
      const tools = [{ type: "function" as const, function: { name: "set_color", parameters } }]
      const say = (content: string, more: { readonly tools?: typeof tools } = {}) =>
        Effect.promise(() =>
          client.chat.completions.create({
            model: "page",
            metadata: { thread_id: "t-1" },
            messages: [{ role: "user", content }],
            ...more
          })
        )
      for (const message of ["7", "Never mind"]) {
        assert.strictEqual((yield* say("Hi", { tools })).choices[0]?.finish_reason, "tool_calls")
        assert.strictEqual((yield* say(message)).choices[0]?.message.content, `${message}: []`)
        const [, asked] = yield* runsOf(url)
        const { output } = yield* Effect.flatMap(get(`${url}/runs/${asked?.runId}`), as(Run))
        assert.include(String(output), "the user has sent another message")
      }
    }).pipe(Effect.scoped))

  it.live("wait for their page when the run is read as a task of MCP", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront({ more: ["mcp"] })
      const agent = agentOf(url)
      say(agent, "Hi")
      yield* run(agent, { tools: [color] })
      const [asked] = yield* runsOf(url)
      const capabilities = { extensions: { "io.modelcontextprotocol/tasks": {} } }
      const { messages } = yield* modern(`${url}/mcp`, "tasks/get", { taskId: asked?.runId }, { capabilities })
      assert.deepInclude(messages.at(-1)?.result, { taskId: asked?.runId, status: "working" })
      give(agent, "set_color-1", "red")
      assert.strictEqual((yield* run(agent, { tools: [color] })).text, "Hi: [\"red\"]")
    }).pipe(Effect.scoped))

  it.live("are called by a page of the AI SDK, which adds their outputs", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const calls: Array<string> = []
      const chat: Chat = new Chat({
        api: `${url}/agents/page/chat`,
        sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
        onToolCall: ({ toolCall }) => {
          calls.push(toolCall.toolName)
          void (toolCall.toolName === "set_color"
            ? chat.addToolOutput({ tool: toolCall.toolName, toolCallId: toolCall.toolCallId, output: { done: true } })
            : chat.addToolOutput({
              tool: toolCall.toolName,
              toolCallId: toolCall.toolCallId,
              state: "output-error",
              errorText: "no address"
            }))
        }
      })
      const tools = { set_color: { description: "Colors", parameters }, where_am_i: { parameters } }
      yield* Effect.promise(() => chat.sendMessage({ text: "Hi" }, { body: { tools } }))
      yield* Effect.promise(async () => {
        while (chat.status !== "ready" || !textOf(chat.lastMessage).includes("Hi:")) {
          await new Promise((resolve) => setTimeout(resolve, 10))
        }
      })
      assert.strictEqual(
        textOf(chat.lastMessage),
        "Hi: [{\"done\":true},\"The tool \\\"where_am_i\\\" of the client gave no result: no address\"]"
      )
      assert.deepStrictEqual(calls, ["set_color", "where_am_i"])
      assert.deepStrictEqual(shape(chat.lastMessage), [
        "tool-set_color:output-available",
        "tool-where_am_i:output-error",
        "text"
      ])
      assert.strictEqual(chat.messages.length, 2)
      assert.strictEqual((yield* runsOf(url)).length, 1)
    }).pipe(Effect.scoped))

  it.live("are functions of OpenAI's chat completions, whole and as a stream, and of its responses", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 })
      const tools = [{ type: "function" as const, function: { name: "set_color", description: "Colors", parameters } }]
      const asked = yield* Effect.promise(() =>
        client.chat.completions.create({ model: "page", messages: [{ role: "user", content: "Hi" }], tools })
      )
      const [choice] = asked.choices
      assert.strictEqual(choice?.finish_reason, "tool_calls")
      const calls = choice?.message.tool_calls ?? []
      assert.deepStrictEqual(calls.map((one) => one.type === "function" ? one.function : one), [
        { name: "set_color", arguments: "{\"text\":\"Hi\"}" }
      ])
      const conversation: Array<OpenAI.ChatCompletionMessageParam> = [
        { role: "user", content: "Hi" },
        { role: "assistant", tool_calls: calls },
        { role: "tool", tool_call_id: calls[0]?.id ?? "", content: "red" }
      ]
      const ended = yield* Effect.promise(() =>
        client.chat.completions.create({ model: "page", messages: conversation, tools })
      )
      assert.strictEqual(ended.choices[0]?.message.content, "Hi: [\"red\"]")
      assert.strictEqual(ended.choices[0]?.finish_reason, "stop")
      const streamed = yield* Effect.promise(async () => {
        const stream = client.chat.completions.stream({
          model: "page",
          messages: [{ role: "user", content: "Hi" }],
          tools
        })
        return await stream.finalChatCompletion()
      })
      assert.strictEqual(streamed.choices[0]?.finish_reason, "tool_calls")
      assert.deepInclude(Object(streamed.choices[0]?.message.tool_calls?.[0]), { type: "function" })
      const foreign = yield* Effect.promise(() =>
        client.chat.completions.create({
          model: "page",
          messages: [{ role: "user", content: "Hi" }, { role: "tool", tool_call_id: "call_1", content: "red" }]
        }).then(() => 200, (error: unknown) => Object(error).status)
      )
      assert.strictEqual(foreign, 400)
      const responded = yield* Effect.promise(() =>
        client.responses.create({
          model: "page",
          input: "Hi",
          tools: [{ type: "function", name: "set_color", parameters, strict: false }]
        })
      )
      const call = responded.output.find((item) => item.type === "function_call")
      assert.deepInclude(Object(call), { name: "set_color", arguments: "{\"text\":\"Hi\"}" })
      const rest = yield* Effect.promise(() =>
        client.responses.create({
          model: "page",
          previous_response_id: responded.id,
          input: [{ type: "function_call_output", call_id: call?.call_id ?? "", output: "red" }]
        })
      )
      assert.strictEqual(rest.output_text, "Hi: [\"red\"]")
      assert.deepStrictEqual(rest.output.map(({ type }) => type), ["message"])
    }).pipe(Effect.scoped))

  it.effect("with the same id are told apart: the newest result is that of the one that waits", () =>
    Effect.gen(function*() {
      const call = (id: string, state: "open" | "resolved") =>
        ({
          id,
          runId: "r",
          name: id,
          kind: "input",
          toolCallId: "call_0",
          client: { kind: "tool" },
          createdAt: 0,
          state
        }) as const
      const handle = { interrupts: Effect.succeed([call("second", "open"), call("first", "resolved")]) }
      const results = ["red", "blue"].map((value) => ({ toolCallId: "call_0", value }))
      assert.deepStrictEqual(yield* ClientCalls.answersOf(handle, results), [
        { id: "second", decision: "approve", value: "blue" }
      ])
    }))

  it.live("give a result once, also when several requests bring it at the same time", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const agent = agentOf(url)
      say(agent, "Hi")
      yield* run(agent, { tools: [color] })
      const body = input([user("Hi"), { id: "x", role: "tool", toolCallId: "set_color-1", content: "red" }])
      const all = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3, 4], () => Effect.flatMap(post(`${url}/agents/page/ag-ui`, body), text), {
          concurrency: "unbounded"
        })
      )
      for (const body of yield* Fiber.join(all)) assert.include(body, "[\\\"red\\\"]")
      assert.strictEqual((yield* runsOf(url)).length, 1)
    }).pipe(Effect.scoped))
})
