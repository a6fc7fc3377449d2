// The calls of the MCP benchmark: one tool, over the wire of 2026-07-28 and over sessions of 2025-11-25.
import type { Load } from "../load.ts"

const callOf = (meta: object) => ({
  jsonrpc: "2.0",
  id: 1,
  method: "tools/call",
  params: { name: "echo", arguments: { message: "hello" }, _meta: meta }
})

const accept = "application/json, text/event-stream"

/** A call of 2026-07-28. */
export const modern = (token: string): Load => ({
  path: "/mcp",
  body: callOf({
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "bench", version: "1.0.0" },
    "io.modelcontextprotocol/clientCapabilities": {}
  }),
  expect: "\"structuredContent\":{\"message\":\"hello\"}",
  headers: {
    accept,
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": "echo",
    authorization: `Bearer ${token}`
  }
})

/** The same tool over REST. */
export const rest = (token: string): Load => ({
  path: "/tools/echo",
  body: { message: "hello" },
  expect: "hello",
  headers: { authorization: `Bearer ${token}` }
})

/** A client of 2025-11-25: it initializes, calls once, and goes without a word. */
export const session = async (url: string, token: string) => {
  const post = async (body: unknown, extra: Record<string, string>) => {
    const response = await fetch(`${url}/mcp`, {
      method: "POST",
      headers: { "content-type": "application/json", accept, authorization: `Bearer ${token}`, ...extra },
      body: JSON.stringify(body)
    })
    return { id: response.headers.get("mcp-session-id") ?? "", text: await response.text() }
  }
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1.0.0" } }
  const { id } = await post({ jsonrpc: "2.0", id: 0, method: "initialize", params }, {})
  const own = { "mcp-session-id": id, "mcp-protocol-version": "2025-11-25" }
  const { text } = await post(callOf({}), own)
  if (!text.includes("hello")) throw new Error(text)
}
