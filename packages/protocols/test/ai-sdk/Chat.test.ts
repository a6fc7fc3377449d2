import { assert, describe, it } from "@effect/vitest"
import { lastAssistantMessageIsCompleteWithApprovalResponses, lastAssistantMessageIsCompleteWithToolCalls } from "ai"
import { Deferred, Effect } from "effect"
import { serveFront } from "../front/lab.ts"
import { approvalIn, Chat, shape, textOf } from "./chat.ts"

const send = (chat: Chat, text: string) => Effect.promise(() => chat.sendMessage({ text }))

describe("A chat of the AI SDK", () => {
  it.live("shows reasoning, text and the states of a tool, and ends ready", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const chat = new Chat({ api: `${url}/agents/talk/chat` })
      yield* send(chat, "Where is order 7?")
      assert.strictEqual(chat.error, undefined)
      assert.strictEqual(chat.status, "ready")
      const [question, answer, ...more] = chat.messages
      assert.strictEqual(more.length, 0)
      assert.strictEqual(question?.role, "user")
      assert.deepStrictEqual(shape(answer), ["reasoning", "text", "tool-find_order:output-available", "text"])
      assert.strictEqual(textOf(answer), "I look (0 messages before). Order 7 is shipped.")
      const states = chat.seen.flatMap(({ parts }) => parts.flatMap((part) => "toolCallId" in part ? [part.state] : []))
      assert.deepStrictEqual([...new Set(states)], ["input-streaming", "input-available", "output-available"])
    }).pipe(Effect.scoped))

  it.live("keeps its thread from message to message", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const chat = new Chat({ api: `${url}/agents/talk/chat`, id: "chat 1/ä" })
      yield* send(chat, "Where is order 7?")
      yield* send(chat, "And order 8?")
      assert.strictEqual(textOf(chat.lastMessage), "I look (2 messages before). Order 8 is shipped.")
      const response = yield* Effect.promise(() => fetch(`${url}/agents/talk/chat/${encodeURIComponent("chat 1/ä")}`))
      const { messages } = yield* Effect.promise(() => response.json())
      const again = new Chat({ api: `${url}/agents/talk/chat`, id: "chat 1/ä", messages })
      assert.deepStrictEqual(again.messages.map((message) => [message.role, textOf(message)]), [
        ["user", "Where is order 7?"],
        ["assistant", "Order 7 is shipped."],
        ["user", "And order 8?"],
        ["assistant", "Order 8 is shipped."]
      ])
      assert.strictEqual(again.lastMessage?.id, chat.lastMessage?.id)
    }).pipe(Effect.scoped))

  it.live("asks for an approval, and continues its message once it is given", () =>
    Effect.gen(function*() {
      const { url, world } = yield* serveFront()
      const chat = new Chat({
        api: `${url}/agents/talk/chat`,
        sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses
      })
      yield* send(chat, "refund order 7")
      assert.deepStrictEqual(shape(chat.lastMessage), [
        "reasoning",
        "text",
        "tool-find_order:output-available",
        "tool-refund_order:approval-requested"
      ])
      assert.deepStrictEqual(world.refunds, [])
      const [id = ""] = approvalIn(chat.lastMessage)
      yield* Effect.promise(async () => {
        await chat.addToolApprovalResponse({ id, approved: true })
        while (chat.status !== "ready" || world.refunds.length === 0) await new Promise((go) => setTimeout(go, 10))
      })
      assert.strictEqual(chat.messages.length, 2)
      assert.deepStrictEqual(shape(chat.lastMessage), [
        "reasoning",
        "text",
        "tool-find_order:output-available",
        "tool-refund_order:output-available",
        "text"
      ])
      assert.isTrue(textOf(chat.lastMessage).endsWith("Order 7 is refunded."))
      assert.deepStrictEqual(world.refunds, [7])
    }).pipe(Effect.scoped))

  it.live("shows a denied call as denied", () =>
    Effect.gen(function*() {
      const { url, world } = yield* serveFront()
      const chat = new Chat({ api: `${url}/agents/talk/chat` })
      yield* send(chat, "refund order 7")
      const [id = ""] = approvalIn(chat.lastMessage)
      yield* Effect.promise(async () => {
        await chat.addToolApprovalResponse({ id, approved: false, reason: "too much" })
        await chat.sendMessage()
      })
      assert.strictEqual(shape(chat.lastMessage)[3], "tool-refund_order:output-denied")
      assert.isTrue(textOf(chat.lastMessage).endsWith("Order 7 is not refunded."))
      assert.deepStrictEqual(world.refunds, [])
    }).pipe(Effect.scoped))

  it.live("shows a question as a call that the client answers, once", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const chat = new Chat({
        api: `${url}/agents/greet/chat`,
        sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls
      })
      yield* send(chat, "Hi")
      const part = chat.lastMessage?.parts.find((one) => one.type === "dynamic-tool")
      assert.strictEqual(part?.toolName, "name")
      assert.strictEqual(part?.state, "input-available")
      yield* Effect.promise(async () => {
        await chat.addToolOutput({ tool: "name", toolCallId: part?.toolCallId ?? "", output: "Ann" })
        while (chat.status !== "ready" || textOf(chat.lastMessage) === "") await new Promise((go) => setTimeout(go, 10))
        await new Promise((go) => setTimeout(go, 200))
      })
      assert.strictEqual(chat.error, undefined)
      assert.strictEqual(textOf(chat.lastMessage), "Hello, Ann!")
    }).pipe(Effect.scoped))

  it.live("resumes an answer that it has lost, from its beginning", () =>
    Effect.gen(function*() {
      const { url, world } = yield* serveFront()
      const chat = new Chat({ api: `${url}/agents/slow/chat`, id: "c1" })
      const sent = chat.sendMessage({ text: "go" })
      yield* Effect.promise(async () => {
        while (textOf(chat.lastMessage) !== "First, ") await new Promise((go) => setTimeout(go, 10))
        await chat.stop()
        await sent
      })
      const other = new Chat({ api: `${url}/agents/slow/chat`, id: "c1", messages: chat.messages })
      const resumed = other.resumeStream()
      yield* Deferred.succeed(world.gate, undefined)
      yield* Effect.promise(() => resumed)
      assert.strictEqual(other.error, undefined)
      assert.strictEqual(textOf(other.lastMessage), "First, then.")
      assert.strictEqual(other.messages.length, 2)
    }).pipe(Effect.scoped))
})
