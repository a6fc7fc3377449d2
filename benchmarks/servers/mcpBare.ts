/** The peer: the SDK's low-level server with the tool echo among `TOOLS` tools, on `node:http`, and nothing else. */
import { createMcpHandler, Server } from "@modelcontextprotocol/server"
import { createServer, type IncomingMessage } from "node:http"

const schema = {
  type: "object" as const,
  properties: { message: { type: "string" } },
  required: ["message"],
  additionalProperties: false
}
const tools = Array.from({ length: Number(process.env["TOOLS"] ?? 1) }, (_, i) => ({
  name: i === 0 ? "echo" : `other_${i - 1}`,
  description: "Says what you say",
  inputSchema: schema,
  outputSchema: schema
}))

const handler = createMcpHandler(() => {
  const server = new Server({ name: "mcp", version: "1.0.0" }, { capabilities: { tools: {} } })
  server.setRequestHandler("tools/list", () => ({ tools }))
  server.setRequestHandler("tools/call", ({ params }) => {
    const message = String(params.arguments?.["message"])
    return { content: [{ type: "text", text: JSON.stringify({ message }) }], structuredContent: { message } }
  })
  return server
})

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  let text = ""
  for await (const chunk of request.setEncoding("utf8")) text += chunk
  return text
}

const headersOf = (request: IncomingMessage) =>
  Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))

createServer(async (request, response) => {
  if (request.url === "/health") return void response.end("ok")
  const parsedBody: unknown = JSON.parse(await bodyOf(request))
  const answer = await handler.fetch(
    new Request(`http://${request.headers.host}${request.url}`, { method: "POST", headers: headersOf(request) }),
    { parsedBody }
  )
  response.writeHead(answer.status, Object.fromEntries(answer.headers))
  response.end(await answer.text())
}).listen(Number(process.env["PORT"]), "127.0.0.1")
