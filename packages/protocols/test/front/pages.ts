// Pages that talk to an agent with the chat libraries of others, as a user would write them, bundled for the browser. The
// libraries are installed by scripts/front-ends.ts, beside the project: they are large.
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { rolldown } from "rolldown"

const folder = fileURLToPath(new URL("../../../../build/front-ends/", import.meta.url))

/** Whether the libraries are installed. */
export const areInstalled = existsSync(join(folder, "installed"))

const shared = `
import { createElement as h, useEffect, useState } from "react"
import { createRoot } from "react-dom/client"
const query = new URLSearchParams(location.search)
export const agent = query.get("agent"), id = query.get("id")
export const api = "/agents/" + agent + "/chat"
export const show = (App, props = {}) => createRoot(document.getElementById("root")).render(h(App, props))
export { h, useEffect, useState }
`

const useChat = `
import { useChat } from "@ai-sdk/react"
import { DefaultChatTransport, lastAssistantMessageIsCompleteWithApprovalResponses as approved,
  lastAssistantMessageIsCompleteWithToolCalls as complete } from "ai"
import { agent, api, h, id, show } from "./shared.js"
const tools = { set_color: { description: "Colors the page", parameters: { type: "object", properties: {} } } }
const word = (part) => part.type === "text" ? part.text : "toolCallId" in part ? "[" + part.type + ":" + part.state + "]" : ""
const App = ({ messages: first }) => {
  const chat = useChat({
    id, messages: first, resume: true, transport: new DefaultChatTransport({ api }),
    sendAutomaticallyWhen: (state) => approved(state) || complete(state),
    onToolCall: ({ toolCall }) => {
      if (toolCall.toolName !== "set_color") return
      document.body.style.background = "red"
      void chat.addToolOutput({ tool: "set_color", toolCallId: toolCall.toolCallId, output: "red" })
    }
  })
  window.send = (text) => void chat.sendMessage({ text }, agent === "page" ? { body: { tools } } : {})
  const asked = chat.messages.flatMap(({ parts }) => parts.flatMap((part) =>
    part.state === "approval-requested" ? [part.approval.id] : []))
  return h("main", null,
    chat.messages.map((message) => h("p", { key: message.id, className: message.role }, message.parts.map(word).join(""))),
    asked.map((one) => h("button", { key: one, onClick: () => chat.addToolApprovalResponse({ id: one, approved: true }) }, "Approve")),
    h("output", null, chat.error === undefined ? chat.status : String(chat.error)))
}
const response = await fetch(api + "/" + id)
show(App, await response.json())
`

const assistantUi = `
import { AssistantRuntimeProvider, ComposerPrimitive, makeAssistantTool, MessagePrimitive, ThreadPrimitive } from "@assistant-ui/react"
import { AssistantChatTransport, useChatRuntime } from "@assistant-ui/react-ai-sdk"
import { lastAssistantMessageIsCompleteWithToolCalls as complete } from "ai"
import { api, h, id, show } from "./shared.js"
const Color = makeAssistantTool({
  toolName: "set_color", type: "frontend", description: "Colors the page",
  parameters: { type: "object", properties: {} },
  execute: async () => { document.body.style.background = "red"; return "red" }
})
const Text = ({ text }) => h("span", null, text)
const Call = ({ status, toolName }) => h("i", null, "[" + toolName + ":" + status.type + "]")
const Message = () => h(MessagePrimitive.Root, { className: "message" },
  h(MessagePrimitive.Parts, { components: { Text, tools: { Fallback: Call } } }))
const App = ({ messages }) => {
  const transport = new AssistantChatTransport({ api,
    prepareSendMessagesRequest: (options) => ({ body: { ...options.body, id, messages: options.messages, trigger: options.trigger, messageId: options.messageId } }) })
  const runtime = useChatRuntime({ id, messages, transport, sendAutomaticallyWhen: complete })
  return h(AssistantRuntimeProvider, { runtime }, h(Color), h(ThreadPrimitive.Root, null,
    h(ThreadPrimitive.Messages, { components: { Message } }),
    h(ComposerPrimitive.Root, null, h(ComposerPrimitive.Input, { className: "input" }), h(ComposerPrimitive.Send, null, "Send"))))
}
const response = await fetch(api + "/" + id)
show(App, await response.json())
`

const sources = { useChat, assistantUi }

export type Page = keyof typeof sources

const pages = join(folder, "pages")

/** The script of a page, bundled once for its source. */
export const scriptOf = async (page: Page): Promise<string> => {
  mkdirSync(pages, { recursive: true })
  const source = sources[page]
  const hash = createHash("sha256").update(shared + source).digest("hex").slice(0, 16)
  const bundle = join(pages, `${page}.${hash}.bundle.js`)
  if (!existsSync(bundle)) {
    writeFileSync(join(pages, "shared.js"), shared)
    writeFileSync(join(pages, `${page}.js`), source)
    const build = await rolldown({
      input: join(pages, `${page}.js`),
      platform: "browser",
      transform: { define: { "process.env.NODE_ENV": "\"production\"" } },
      onLog: () => undefined
    })
    const { output: [script] } = await build.generate({ format: "esm", codeSplitting: false })
    writeFileSync(bundle, script.code)
  }
  return readFileSync(bundle, "utf8")
}
