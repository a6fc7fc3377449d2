import { type BaseEvent, EventType, HttpAgent, type Message } from "@ag-ui/client"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { makeWorld, serveFront } from "../front/lab.ts"
import { by, people } from "../http/lab.ts"
import { get, json, post, text } from "../http/rest.ts"
import { sqliteIn } from "../stores.ts"

const agentOf = (url: string, agent: string, headers: Record<string, string> = {}) =>
  new HttpAgent({ url: `${url}/agents/${agent}/ag-ui`, headers })

const say = (agent: HttpAgent, content: string) => agent.addMessage({ id: crypto.randomUUID(), role: "user", content })

/** Runs the agent once and gives its events, as the official client has verified them. */
const run = (agent: HttpAgent, parameters: Parameters<HttpAgent["runAgent"]>[0] = {}) =>
  Effect.promise(async () => {
    const events: Array<BaseEvent & Record<string, unknown>> = []
    const failed = await agent.runAgent(parameters, {
      onEvent: ({ event }) => {
        events.push({ ...event })
      }
    }).then(() => undefined, (error: Error) => error)
    return { events, failed, last: events.at(-1), types: events.map(({ type }) => type) }
  })

const texts = (messages: ReadonlyArray<Message>) =>
  messages.flatMap((message) => message.role === "assistant" && message.content !== undefined ? [message.content] : [])

const message = (content: unknown) => ({ id: "m-1", role: "user", content })

const input = (content: unknown, rest: Record<string, unknown> = {}) => ({
  threadId: "t",
  runId: "r",
  messages: [message(content)],
  tools: [],
  context: [],
  ...rest
})

const eventsOf = (body: string): ReadonlyArray<Record<string, unknown>> =>
  body.split("\n\n").filter((one) => one.startsWith("data: ")).map((one) => JSON.parse(one.slice(6)))

describe("An AG-UI endpoint", () => {
  it.live("streams a run that the official client accepts: reasoning, text, a tool call and its result", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const agent = agentOf(url, "talk")
      say(agent, "Where is order 7?")
      const { events, failed, last, types } = yield* run(agent)
      assert.strictEqual(failed, undefined)
      assert.deepStrictEqual(types.filter((type, at) => type !== types[at - 1]), [
        EventType.RUN_STARTED,
        EventType.REASONING_START,
        EventType.REASONING_MESSAGE_START,
        EventType.REASONING_MESSAGE_CONTENT,
        EventType.REASONING_MESSAGE_END,
        EventType.REASONING_END,
        EventType.TEXT_MESSAGE_START,
        EventType.TEXT_MESSAGE_CONTENT,
        EventType.TEXT_MESSAGE_END,
        EventType.TOOL_CALL_START,
        EventType.TOOL_CALL_ARGS,
        EventType.TOOL_CALL_END,
        EventType.TOOL_CALL_RESULT,
        EventType.TEXT_MESSAGE_START,
        EventType.TEXT_MESSAGE_CONTENT,
        EventType.TEXT_MESSAGE_END,
        EventType.RUN_FINISHED
      ])
      assert.deepInclude(last, { outcome: { type: "success" }, result: "Order 7 is shipped." })
      assert.strictEqual(last?.["threadId"], agent.threadId)
      assert.strictEqual(last?.["runId"], events[0]?.["runId"])
      const call = agent.messages.flatMap((one) => one.role === "assistant" ? one.toolCalls ?? [] : [])
      assert.deepStrictEqual(call.map((one) => one.function), [{ name: "find_order", arguments: "{\"orderId\":7}" }])
      const result = agent.messages.find(({ role }) => role === "tool")
      assert.deepInclude(result, { content: "{\"orderId\":7,\"state\":\"shipped\"}" })
      assert.isTrue(
        agent.messages.some(({ content, role }) => role === "reasoning" && content === "Let me see. An order.")
      )
    }).pipe(Effect.scoped))

  it.live("keeps its thread from run to run", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const agent = agentOf(url, "talk")
      say(agent, "Where is order 7?")
      yield* run(agent)
      say(agent, "And order 8?")
      yield* run(agent)
      assert.include(texts(agent.messages), "I look (2 messages before). ")
      const { messages } = yield* json(yield* get(`${url}/threads/${agent.threadId}`))
      assert.strictEqual(messages, 4)
    }).pipe(Effect.scoped))

  it.live("ends with an interrupt for an approval, and the run that resumes it ends it", () =>
    Effect.gen(function*() {
      const { url, world } = yield* serveFront()
      const agent = agentOf(url, "talk")
      say(agent, "refund order 7")
      const first = yield* run(agent)
      assert.strictEqual(first.failed, undefined)
      const [interrupt] = agent.pendingInterrupts
      assert.deepInclude(interrupt, { reason: "tool_call", toolCallId: "refund_order-1" })
      assert.deepInclude(interrupt?.metadata, { mayDecide: true, arguments: { orderId: 7 } })
      const id = interrupt?.id ?? ""
      const edited = yield* run(agent, {
        resume: [{ interruptId: id, status: "resolved", payload: { approved: true, editedArgs: { orderId: 9 } } }]
      })
      assert.strictEqual(edited.failed, undefined)
      assert.deepInclude(edited.last, { outcome: { type: "success" } })
      assert.deepStrictEqual(world.refunds, [9])
      assert.strictEqual(agent.pendingInterrupts.length, 0)
      assert.strictEqual(texts(agent.messages).at(-1), "Order 7 is refunded.")
      // The same answer again is the same rest of the run, and another one is refused.
      const again = { threadId: agent.threadId, runId: "again", messages: [], tools: [], context: [] }
      const resume = (payload: unknown) => ({ ...again, resume: [{ interruptId: id, status: "resolved", payload }] })
      const same = yield* Effect.flatMap(
        post(`${url}/agents/talk/ag-ui`, resume({ approved: true, editedArgs: { orderId: 9 } })),
        text
      )
      assert.deepInclude(eventsOf(same).at(-1), { type: "RUN_FINISHED", result: "Order 7 is refunded." })
      const other = yield* post(`${url}/agents/talk/ag-ui`, resume({ approved: false }))
      assert.strictEqual((yield* json(other))["title"], "InterruptResolved")
      assert.deepStrictEqual(world.refunds, [9])
    }).pipe(Effect.scoped))

  it.live("asks a question by its schema, and takes a turned-away one as a denial", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const agent = agentOf(url, "greet")
      say(agent, "Hi")
      yield* run(agent)
      const [interrupt] = agent.pendingInterrupts
      assert.deepInclude(interrupt, { reason: "input_required", message: "Who are you?" })
      assert.deepInclude(interrupt?.responseSchema, { type: "string" })
      const wrong = yield* run(agent, {
        resume: [{ interruptId: interrupt?.id ?? "", status: "resolved", payload: 7 }]
      })
      assert.include(wrong.failed?.message ?? "", "InvalidPayload")
      const answered = yield* run(agent, {
        resume: [{ interruptId: interrupt?.id ?? "", status: "resolved", payload: "Ann" }]
      })
      assert.deepInclude(answered.last, { result: "Hello, Ann!" })
      const other = agentOf(url, "talk")
      say(other, "refund order 7")
      yield* run(other)
      const denied = yield* run(other, {
        resume: other.pendingInterrupts.map(({ id }) => ({ interruptId: id, status: "cancelled" as const }))
      })
      assert.deepInclude(denied.last, { result: "Order 7 is not refunded." })
    }).pipe(Effect.scoped))

  it.live("ends with the agent's own error, typed, and refuses as every route does", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront({ auth: people })
      const agent = agentOf(url, "talk", by("ann"))
      say(agent, "Where is order 2007?")
      const { last } = yield* run(agent)
      assert.deepInclude(last, { type: EventType.RUN_ERROR, code: "NoOrder", message: "There is no order 2007." })
      assert.deepInclude(Object(last?.["metadata"]), { status: 404, error: { _tag: "NoOrder", orderId: 2007 } })
      for (
        const [name, headers, status] of [
          ["talk", {}, 401],
          ["vault", by("ann"), 403],
          ["nobody", by("ann"), 404],
          ["add", by("ann"), 400]
        ] as const
      ) {
        const other = agentOf(url, name, headers)
        say(other, "hi 7")
        const { failed } = yield* run(other)
        assert.include(failed?.message ?? "", `HTTP ${status}`, name)
      }
      const asked = agentOf(url, "talk", by("ann"))
      say(asked, "refund order 7")
      yield* run(asked)
      const resume = asked.pendingInterrupts.map(({ id }) => ({
        interruptId: id,
        status: "resolved" as const,
        payload: { approved: true }
      }))
      for (const who of ["ben", "dan"]) {
        const response = yield* post(
          `${url}/agents/talk/ag-ui`,
          { ...input("x"), threadId: asked.threadId, resume },
          by(who)
        )
        assert.strictEqual((yield* json(response))["title"], "RunNotFound", who)
      }
      for (
        const bad of [
          {},
          { ...input("x"), messages: [] },
          { ...input("x"), messages: [{ id: "a", role: "assistant", content: "hm" }] },
          { ...input("x"), resume: [{ interruptId: "x", status: "resolved" }] },
          { ...input("x"), threadId: asked.threadId, resume: [{ ...resume[0], payload: "yes" }] },
          { ...input("x"), resume: [...resume, { interruptId: "a.b", status: "resolved" }] }
        ]
      ) {
        const response = yield* post(`${url}/agents/talk/ag-ui`, bad, by("ann"))
        assert.strictEqual((yield* json(response))["title"], "BadBody", JSON.stringify(bad))
      }
    }).pipe(Effect.scoped))

  it.live("takes a run id once, and gives its repeat the same events", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const once = () => Effect.flatMap(post(`${url}/agents/talk/ag-ui`, input("Where is order 7?")), text)
      const [one, two] = yield* Effect.all([once(), once()], { concurrency: 2 })
      const joined = (body: string) => eventsOf(body).map(({ delta = "" }) => String(delta)).join("")
      assert.strictEqual(joined(two), joined(one))
      assert.deepStrictEqual(eventsOf(two)[0], eventsOf(one)[0])
      const { items } = yield* json(yield* get(`${url}/runs`))
      assert.strictEqual(Object(items).length, 1)
    }).pipe(Effect.scoped))

  it.live("carries content both ways, and an answer that is no text as the result", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const agent = agentOf(url, "show")
      agent.addMessage({
        id: "m",
        role: "user",
        content: [
          { type: "text", text: "Look" },
          { type: "image", source: { type: "data", value: "iVBORw==", mimeType: "image/png" } },
          { type: "document", source: { type: "url", value: "https://example.com/a.pdf", mimeType: "application/pdf" } }
        ]
      })
      const { events, failed } = yield* run(agent)
      assert.strictEqual(failed, undefined)
      const parts = events.flatMap((event) =>
        event.type === EventType.ACTIVITY_SNAPSHOT ? Object(event["content"]).parts : []
      )
      assert.deepStrictEqual(parts.map((part: { type: string }) => part.type), ["image", "image", "document"])
      const counted = agentOf(url, "count")
      say(counted, "four")
      assert.deepInclude((yield* run(counted)).last, { result: { letters: 4 } })
    }).pipe(Effect.scoped))

  it.live("resumes an interrupt after a restart of the server", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "ag-ui-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      )
      const world = yield* makeWorld
      const before = yield* Effect.scoped(Effect.gen(function*() {
        const { url } = yield* serveFront({ stores: sqliteIn(folder), world })
        const agent = agentOf(url, "talk")
        say(agent, "refund order 7")
        yield* run(agent)
        return agent
      }))
      const { url } = yield* serveFront({ stores: sqliteIn(folder), world })
      before.url = `${url}/agents/talk/ag-ui`
      const { last } = yield* run(before, {
        resume: before.pendingInterrupts.map(({ id }) => ({
          interruptId: id,
          status: "resolved" as const,
          payload: { approved: true }
        }))
      })
      assert.deepInclude(last, { result: "Order 7 is refunded." })
      assert.deepStrictEqual(world.refunds, [7])
    }).pipe(Effect.scoped))
})
