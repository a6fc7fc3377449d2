import {
  type CallToolResult,
  createMcpHandler,
  type InputRequiredResult,
  type McpHttpHandler,
  Server,
  type ServerContext,
  type Tool
} from "@modelcontextprotocol/server"
import { Effect } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { Readable } from "node:stream"

type Answer = CallToolResult | InputRequiredResult

/** A tool of the remote server, with its work. */
export interface RemoteTool {
  readonly definition: Omit<Tool, "inputSchema"> & { readonly inputSchema: object }
  readonly work: (args: Record<string, unknown>, context: ServerContext) => Answer | Promise<Answer>
}

export interface World {
  tools: ReadonlyArray<RemoteTool>
  /** The calls that began, in order. */
  readonly begun: Array<string>
}

export const said = (text: string): CallToolResult => ({ content: [{ type: "text", text }] })

const order = { type: "object", properties: { order: { type: "integer" } }, required: ["order"] }

/** Reads. */
export const look: RemoteTool = {
  definition: {
    name: "look",
    description: "Looks an order up",
    inputSchema: order,
    annotations: { readOnlyHint: true }
  },
  work: ({ order }) => said(`order ${String(order)} is here`)
}

/** Has no hints, so it may destroy something. */
export const refund: RemoteTool = {
  definition: { name: "refund", description: "Pays an order back", inputSchema: order },
  work: ({ order }) => said(`paid ${String(order)} back`)
}

/** The official server of both generations of the protocol. */
export const serverOf = (world: World): Server => {
  const server = new Server({ name: "shop", version: "1.0.0" }, {
    capabilities: { tools: { listChanged: true }, resources: {}, prompts: {} }
  })
  // cast: the tests list schemas that no type allows.
  server.setRequestHandler("tools/list", () => ({ tools: world.tools.map(({ definition }) => definition as Tool) }))
  server.setRequestHandler("tools/call", ({ params }, context) => {
    const tool = world.tools.find(({ definition }) => definition.name === params.name)
    if (tool === undefined) throw new Error("no such tool")
    world.begun.push(`${params.name} ${JSON.stringify(params.arguments)}`)
    return tool.work(params.arguments ?? {}, context)
  })
  server.setRequestHandler("resources/list", () => ({ resources: [{ uri: "pages://returns", name: "returns" }] }))
  server.setRequestHandler("resources/read", ({ params: { uri } }) => ({
    contents: [{ uri, mimeType: "text/markdown", text: "# Returns" }]
  }))
  server.setRequestHandler("prompts/list", () => ({ prompts: [{ name: "greet", arguments: [{ name: "who" }] }] }))
  server.setRequestHandler("prompts/get", ({ params }) => ({
    messages: [{ role: "user", content: { type: "text", text: `Greet ${params.arguments?.["who"] ?? ""}` } }]
  }))
  return server
}

const requestOf = (request: IncomingMessage, response: ServerResponse, url: string) => {
  const controller = new AbortController()
  response.once("close", () => controller.abort())
  const headers = new Headers()
  for (const [name, value] of Object.entries(request.headers)) if (typeof value === "string") headers.set(name, value)
  const { method = "GET" } = request
  return new Request(new URL(request.url ?? "/", url), {
    method,
    headers,
    signal: controller.signal,
    // cast: Node's own stream, which fetch takes.
    ...(method === "GET" ? {} : { body: Readable.toWeb(request) as ReadableStream<Uint8Array>, duplex: "half" })
  })
}

type Handle = (request: Request, send: () => Promise<Response>) => Promise<Response | undefined>

export interface Remote {
  readonly url: string
  readonly origin: string
  readonly handler: McpHttpHandler
  /** Breaks all connections off. */
  readonly drop: () => void
}

/** Serves a world over HTTP; `around` may answer itself, or break the connection off by `undefined`. */
export const serveRemote = (
  world: World,
  around: Handle = (_, send) => send()
): Effect.Effect<Remote, never, import("effect").Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const handler = createMcpHandler(() => serverOf(world))
      const server = createServer((request, response) => {
        const asked = requestOf(request, response, origin)
        around(asked, () => handler.fetch(asked)).then(async (answer) => {
          if (answer === undefined) return void response.destroy()
          response.writeHead(answer.status, Object.fromEntries(answer.headers))
          if (answer.body === null) return void response.end()
          // cast: the stream of fetch, which Node takes.
          Readable.fromWeb(answer.body as never).on("error", () => response.destroy()).pipe(response)
        }).catch(() => response.destroy())
      })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      const address = server.address()
      const origin = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
      const drop = () => server.closeAllConnections()
      return { url: `${origin}/mcp`, origin, handler, drop, server }
    }),
    ({ drop, server }) =>
      Effect.sync(() => {
        server.close()
        drop()
      })
  )
