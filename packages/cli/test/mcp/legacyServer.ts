/** A server of the 1.x SDK, which speaks 2025 on standard input and output, and asks on the same stream. */
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js"
import {
  CallToolRequestSchema,
  ListToolsRequestSchema,
  UrlElicitationRequiredError
} from "@modelcontextprotocol/sdk/types.js"

const server = new Server({ name: "old", version: "1.0.0" }, { capabilities: { tools: {} } })
const definition = { inputSchema: { type: "object" as const }, annotations: { destructiveHint: false } }
server.setRequestHandler(ListToolsRequestSchema, () => ({
  tools: [{ name: "free", ...definition }, { name: "connect", ...definition }, { name: "stubborn", ...definition }]
}))
let calls = 0
const page = { mode: "url" as const, elicitationId: "1", url: "https://example.com/connect", message: "Connect it" }
server.setRequestHandler(CallToolRequestSchema, async ({ params: { name } }) => {
  if (name === "stubborn" || (name === "connect" && ++calls === 1)) throw new UrlElicitationRequiredError([page])
  if (name === "connect") return { content: [{ type: "text", text: `connected after ${calls} calls` }] }
  const { action, content } = await server.elicitInput({
    message: "Really?",
    requestedSchema: { type: "object", properties: { sure: { type: "boolean" } } }
  })
  return { content: [{ type: "text", text: `${action} ${JSON.stringify(content ?? null)}` }] }
})
await server.connect(new StdioServerTransport())
