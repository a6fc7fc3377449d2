import { Effect } from "effect"

/** The headers of every POST. */
export const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" }

/** A request of 2026-07-28 on the wire. */
export const modern = (method: string, params: Record<string, unknown>) => ({
  headers: {
    ...headers,
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": method,
    "mcp-name": String(params["name"])
  },
  body: JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method,
    params: {
      ...params,
      _meta: {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}
      }
    }
  })
})

export interface Reply {
  readonly result?: Record<string, unknown> & { readonly content?: ReadonlyArray<{ readonly text: string }> }
  readonly error?: { readonly code: number; readonly message: string; readonly data: Record<string, unknown> }
}

/** Sends one request of 2026-07-28, without any SDK. */
export const send = (
  url: string,
  method: string,
  params: Record<string, unknown>,
  extra: Record<string, string> = {}
) =>
  Effect.promise(async (): Promise<Reply> => {
    const { body, headers } = modern(method, params)
    const response = await fetch(url, { method: "POST", headers: { ...headers, ...extra }, body })
    return response.json()
  })
