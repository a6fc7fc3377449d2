// Uses an MCP server with the client of the AI SDK and prints what it saw as one line of JSON. Runs in the folder of the
// clients, which has its packages.
import { createMCPClient, ElicitationRequestSchema } from "@ai-sdk/mcp"

const [url, key] = process.argv.slice(2)

const connect = (token) =>
  createMCPClient({
    transport: { type: "http", url, headers: { "x-api-key": token } },
    capabilities: { elicitation: {} }
  })

const client = await connect(key)
const asked = []
client.onElicitationRequest(ElicitationRequestSchema, ({ params }) => {
  asked.push(params.message)
  return { action: "accept", content: { decision: "approve" } }
})
const tools = await client.tools()
const call = (name, args) => tools[name].execute(args, { toolCallId: "1", messages: [] })
const found = await call("find_order", { orderId: 1001 })
const failed = await call("find_order", { orderId: 1 }).catch((error) => ({
  isError: true,
  content: [{ text: error.message }]
}))
const refunded = await call("refund_order", { orderId: 1001, amount: 1 })
const page = await client.readResource({ uri: "handbook://returns" })
const prompt = await client.experimental_getPrompt({ name: "triage", arguments: { severity: "high" } })
await client.close()
const refused = await connect("wrong").then(() => "", (error) => error.message)

console.log(JSON.stringify({
  tools: Object.keys(tools),
  found: found.structuredContent,
  failed: [failed.isError, failed.content[0].text],
  refunded: refunded.structuredContent,
  asked,
  resource: page.contents[0].text,
  prompt: prompt.messages[0].content.text,
  refused
}))
