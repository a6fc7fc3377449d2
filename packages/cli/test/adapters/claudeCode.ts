// The Claude Agent SDK with the process that it brings, installed once under build/, and a Messages API on the loopback that
// performs plays. Its package is large and not free, so that it is no dependency of this repository.
import { Effect, Schema } from "effect"
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer, type IncomingMessage } from "node:http"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import type { Play, Turn } from "../../src/adapter-contract.ts"
import type { Found } from "./interpreters.ts"

const version = "0.3.332"
const folder = fileURLToPath(new URL("../../../../build/claude/", import.meta.url))

/** The folder of the installed packages, or why there is none. */
export const claudeCode = (): Found => {
  const marker = join(folder, "version.txt")
  if (existsSync(marker) && readFileSync(marker, "utf8") === version) return { path: folder }
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, "package.json"), "{\"type\":\"module\"}")
  try {
    const one = `@anthropic-ai/claude-agent-sdk@${version}`
    execFileSync("npm", ["install", one, "--no-audit", "--no-fund"], { cwd: folder, stdio: "pipe", timeout: 300_000 })
  } catch (error) {
    return { reason: `the Claude Agent SDK cannot be installed: ${String(error).split("\n")[0]}` }
  }
  writeFileSync(marker, version)
  return { path: folder }
}

/** The parts of the SDK that the plays need. */
export interface Sdk {
  readonly query: (asked: { prompt: string; options?: object }) => AsyncIterable<unknown>
  readonly createSdkMcpServer: (server: object) => object
  readonly tool: (name: string, description: string, shape: object, handler: (args: never) => Promise<object>) => object
  readonly number: () => object
}

const moduleAt = (path: string): Promise<unknown> => import(pathToFileURL(path).href)

export const load = async (path: string): Promise<Sdk> => {
  const sdk = await moduleAt(join(path, "node_modules/@anthropic-ai/claude-agent-sdk/sdk.mjs"))
  const zod = await moduleAt(join(path, "node_modules/zod/index.js"))
  // cast: these are the modules of the release above.
  return { ...sdk as Sdk, number: () => Object(zod).z.number() }
}

const Asked = Schema.fromJsonString(Schema.Struct({
  stream: Schema.optionalKey(Schema.Boolean),
  messages: Schema.Array(Schema.Struct({ role: Schema.String, content: Schema.Json }))
}))
const decode = Schema.decodeUnknownSync(Asked)

const bodyOf = async (request: IncomingMessage) => {
  let body = ""
  for await (const chunk of request) body += String(chunk)
  return body
}

const eventsOf = function*({ calls, texts, usage }: Turn) {
  const id = `msg_${globalThis.crypto.randomUUID().replaceAll("-", "")}`
  const counts = { cache_read_input_tokens: 0, cache_creation_input_tokens: 0 }
  const message = { id, type: "message", role: "assistant", model: "play-1", content: [], stop_reason: null }
  yield {
    type: "message_start",
    message: {
      ...message,
      stop_sequence: null,
      usage: { input_tokens: usage.inputTokens, output_tokens: 1, ...counts }
    }
  }
  yield { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }
  for (const text of texts) yield { type: "content_block_delta", index: 0, delta: { type: "text_delta", text } }
  yield { type: "content_block_stop", index: 0 }
  for (const [at, { args, id, name }] of calls.entries()) {
    const index = at + 1
    const content_block = { type: "tool_use", id, name: `mcp__shop__${name}`, input: {} }
    yield { type: "content_block_start", index, content_block }
    const partial_json = JSON.stringify(args)
    yield { type: "content_block_delta", index, delta: { type: "input_json_delta", partial_json } }
    yield { type: "content_block_stop", index }
  }
  const stop_reason = calls.length > 0 ? "tool_use" : "end_turn"
  yield {
    type: "message_delta",
    delta: { stop_reason, stop_sequence: null },
    usage: { output_tokens: usage.outputTokens }
  }
  yield { type: "message_stop" }
}

/** Serves a play as the Messages API; gives its URL. */
export const serveModel = (play: Play) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = createServer(async (request, response) => {
        const body = await bodyOf(request)
        if (request.method !== "POST" || request.url?.startsWith("/v1/messages?") !== true) {
          response.writeHead(404).end("{}")
          return
        }
        const { messages } = decode(body)
        const answers = messages.filter(({ role }) => role === "assistant").length
        try {
          const turn = await play.answer(answers, JSON.stringify(messages))
          response.writeHead(200, { "content-type": "text/event-stream" })
          for (const event of eventsOf(turn)) response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
          response.end()
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error)
          // Other statuses would be asked again.
          response.writeHead(400, { "content-type": "application/json" })
          response.end(JSON.stringify({ type: "error", error: { type: "invalid_request_error", message } }))
        }
      })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      return server
    }),
    (server) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  ).pipe(Effect.map((server) => {
    const address = server.address()
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  }))
