/** A server of the 1.x SDK, which speaks 2025 on standard input and output, and asks on the same stream. */
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js"
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js"

const server = new Server({ name: "old", version: "1.0.0" }, { capabilities: { tools: {} } })
server.setRequestHandler(ListToolsRequestSchema, () => ({
  tools: [{ name: "free", inputSchema: { type: "object" }, annotations: { destructiveHint: false } }]
}))
server.setRequestHandler(CallToolRequestSchema, async () => {
  const { action, content } = await server.elicitInput({
    message: "Really?",
    requestedSchema: { type: "object", properties: { sure: { type: "boolean" } } }
  })
  return { content: [{ type: "text", text: `${action} ${JSON.stringify(content ?? null)}` }] }
})
await server.connect(new StdioServerTransport())
