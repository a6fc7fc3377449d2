import { AgUi } from "@fastagentic/adapters/ag-ui"
import { Effect, Layer } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { NoSuchOrder, type Play, suite, type ToolName } from "../../src/adapter-contract.ts"

interface Message {
  readonly id: string
  readonly role: string
  readonly content?: string
  readonly toolCallId?: string
  readonly toolCalls?: ReadonlyArray<{
    readonly id: string
    readonly function: { readonly name: ToolName; readonly arguments: string }
  }>
}

interface Input {
  readonly messages: ReadonlyArray<Message>
  readonly resume?: ReadonlyArray<{
    readonly interruptId: string
    readonly payload: {
      readonly approved: boolean
      readonly editedArgs?: { readonly order: number }
      readonly reason?: string
    }
  }>
}

let ids = 0

/** An endpoint that keeps nothing: it performs the play from the messages that it gets. */
const perform = async (play: Play, request: IncomingMessage, response: ServerResponse) => {
  let body = ""
  for await (const chunk of request) body += String(chunk)
  const input: Input = JSON.parse(body)
  const controller = new AbortController()
  response.on("close", () => controller.abort())
  const { signal } = controller
  response.writeHead(200, { "content-type": "text/event-stream" })
  const send = (type: string, fields: object = {}) => response.write(`data: ${JSON.stringify({ type, ...fields })}\n\n`)
  const messages = [...input.messages]
  send("RUN_STARTED", { threadId: "t", runId: "r" })
  const answer = (toolCallId: string, content: string) => {
    messages.push({ id: `m${++ids}`, role: "tool", toolCallId, content })
    send("TOOL_CALL_RESULT", { messageId: `m${ids}`, toolCallId, role: "tool", content })
  }
  try {
    for (const { interruptId, payload } of input.resume ?? []) {
      const call = messages.flatMap(({ toolCalls = [] }) => toolCalls).find(({ id }) => id === interruptId)
      if (call === undefined) throw new Error("no such call")
      const { approved, editedArgs = JSON.parse(call.function.arguments), reason } = payload
      answer(interruptId, approved ? await play.work(call.function.name, editedArgs, signal) : `denied: ${reason}`)
    }
    for (;;) {
      const answers = messages.filter(({ role }) => role === "assistant").length
      const { calls, texts } = await play.answer(answers, JSON.stringify(messages), signal)
      const messageId = `m${++ids}`
      send("TEXT_MESSAGE_START", { messageId, role: "assistant" })
      for (const delta of texts) send("TEXT_MESSAGE_CONTENT", { messageId, delta })
      send("TEXT_MESSAGE_END", { messageId })
      const toolCalls = calls.map(({ args, id, name }) => ({
        id,
        function: { name, arguments: JSON.stringify(args) }
      }))
      messages.push({ id: messageId, role: "assistant", content: texts.join(""), toolCalls })
      for (const { args, id, name } of calls) {
        send("TOOL_CALL_START", { toolCallId: id, toolCallName: name, parentMessageId: messageId })
        send("TOOL_CALL_ARGS", { toolCallId: id, delta: JSON.stringify(args) })
        send("TOOL_CALL_END", { toolCallId: id })
      }
      const asked = calls.find(({ name }) => name === "pay")
      if (asked !== undefined) {
        send("RUN_FINISHED", {
          outcome: { type: "interrupt", interrupts: [{ id: asked.id, reason: "tool_call", toolCallId: asked.id }] }
        })
        break
      }
      for (const { args, id, name } of calls) answer(id, await play.work(name, args, signal))
      if (calls.length > 0) continue
      send("RUN_FINISHED", { result: texts.join(""), outcome: { type: "success" } })
      break
    }
  } catch (error) {
    const own = error instanceof NoSuchOrder ? { code: error._tag, metadata: { error } } : {}
    send("RUN_ERROR", { message: String(error), ...own })
  }
  response.end()
}

const endpointOf = (play: Play) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
      const server = createServer((request, response) => void perform(play, request, response))
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed({
          url: `http://127.0.0.1:${port}/agent`,
          close: () => {
            server.close()
            server.closeAllConnections()
          }
        }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

suite("An AG-UI endpoint", {
  capabilities: AgUi.capabilities,
  edits: true,
  perform: (agent, play) =>
    Layer.unwrap(
      Effect.map(
        endpointOf(play),
        ({ url }) => AgUi.layer(agent, { url, prompt: ({ question }) => question, egress: { allow: ["127.0.0.1"] } })
      )
    )
})
