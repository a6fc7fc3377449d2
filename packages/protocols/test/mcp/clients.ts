import { Client as Client2, StreamableHTTPClientTransport as Http2 } from "@modelcontextprotocol/client"
import { StdioClientTransport as Stdio2 } from "@modelcontextprotocol/client/stdio"
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport as Stdio1 } from "@modelcontextprotocol/sdk/client/stdio.js"
import { StreamableHTTPClientTransport as Http1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js"
import { Effect } from "effect"
import process from "node:process"
import { Readable } from "node:stream"

/** The address of a client's server. */
export type Target =
  | { readonly _tag: "Http"; readonly url: string; readonly headers?: Record<string, string> }
  | { readonly _tag: "Stdio"; readonly script: string; readonly env?: Record<string, string> }

export interface CallOptions {
  readonly signal?: AbortSignal
  readonly meta?: Record<string, unknown>
  readonly onprogress?: (progress: { progress: number; message?: string | undefined }) => void
}

/** The operations of a client in the tests. */
export interface Peer {
  readonly protocolVersion: string | undefined
  readonly stderr: Readable | undefined
  readonly listTools: () => Promise<ReadonlyArray<Record<string, unknown>>>
  readonly listResources: () => Promise<ReadonlyArray<Record<string, unknown>>>
  readonly listResourceTemplates: () => Promise<ReadonlyArray<Record<string, unknown>>>
  readonly listPrompts: () => Promise<ReadonlyArray<Record<string, unknown>>>
  readonly callTool: (name: string, args: Record<string, unknown>, options?: CallOptions) => Promise<CallResult>
  readonly readResource: (uri: string) => Promise<ReadonlyArray<Record<string, unknown>>>
  readonly getPrompt: (name: string, args: Record<string, string>) => Promise<ReadonlyArray<unknown>>
  readonly complete: (prompt: string, argument: string, value: string) => Promise<ReadonlyArray<string>>
}

export interface CallResult {
  readonly isError: boolean
  readonly text: string
  readonly structured: unknown
  /** The blocks as they came. */
  readonly content: unknown
  readonly meta: Record<string, unknown>
}

/** Each official client, in each of its protocol revisions. */
export const kinds = ["sdk 1.x", "client 2.x, 2026-07-28", "client 2.x, 2025-11-25"] as const
export type Kind = (typeof kinds)[number]

export const versionOf = (kind: Kind) => kind === "client 2.x, 2026-07-28" ? "2026-07-28" : "2025-11-25"

const info = { name: "test", version: "1.0.0" }

/** A question to a client. */
export interface Question {
  readonly message: string
  readonly requestedSchema: { readonly properties: Record<string, unknown>; readonly required?: ReadonlyArray<string> }
}

/** The scripted user's answer to a question; `signal` aborts when the question is cancelled. */
export type Person = (question: Question, signal: AbortSignal) => Promise<{
  readonly action: "accept" | "decline" | "cancel"
  readonly content?: Record<string, string | number | boolean>
}>

/** A client; with a scripted user it declares the elicitation capability. */
export const connect = (kind: Kind, target: Target, person?: Person) =>
  Effect.acquireRelease(
    Effect.promise(() => kind === "sdk 1.x" ? connect1(target, person) : connect2(kind, target, person)),
    (peer) => Effect.promise(() => peer.close())
  )

/** The environment of a server process: as little as it needs, the store of the suite, and modules compiled before. */
export const childEnvironment = (env: Record<string, string> = {}): Record<string, string> => {
  const kept = ["PATH", "TEST_STORE", "NODE_COMPILE_CACHE"].flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value]]
  })
  return { ...Object.fromEntries(kept), ...env }
}

const stdioOf = (target: Extract<Target, { _tag: "Stdio" }>) => ({
  command: process.execPath,
  args: [target.script],
  env: childEnvironment(target.env),
  stderr: "pipe" as const
})

const resultOf = (result: Record<string, unknown>): CallResult => {
  const content = Array.isArray(result["content"]) ? result["content"] : []
  return {
    isError: result["isError"] === true,
    text: content.map((part: { readonly text?: string }) => part.text ?? "").join(""),
    structured: result["structuredContent"],
    content: result["content"],
    meta: { ...(typeof result["_meta"] === "object" ? result["_meta"] : {}) }
  }
}

const paramsOf = (name: string, args: Record<string, unknown>, meta: Record<string, unknown> | undefined) =>
  meta === undefined ? { name, arguments: args } : { name, arguments: args, _meta: meta }

const optionsOf = ({ onprogress, signal }: CallOptions) => ({
  ...(signal === undefined ? {} : { signal }),
  ...(onprogress === undefined ? {} : { onprogress })
})

interface Closeable extends Peer {
  readonly close: () => Promise<void>
}

const capabilitiesOf = (person: Person | undefined) => person === undefined ? {} : { elicitation: {} }

const connect1 = async (target: Target, person: Person | undefined): Promise<Closeable> => {
  const client = new Client1(info, { capabilities: capabilitiesOf(person) })
  if (person !== undefined) {
    client.setRequestHandler(ElicitRequestSchema, ({ params }, { signal }) => person(asked(params), signal))
  }
  const transport = target._tag === "Http"
    ? new Http1(new URL(target.url), { requestInit: { headers: target.headers ?? {} } })
    : new Stdio1(stdioOf(target))
  await client.connect(transport)
  return {
    protocolVersion: transport instanceof Http1 ? transport.protocolVersion : "2025-11-25",
    stderr: stderrOf(transport),
    listTools: async () => (await client.listTools()).tools,
    listResources: async () => (await client.listResources()).resources,
    listResourceTemplates: async () => (await client.listResourceTemplates()).resourceTemplates,
    listPrompts: async () => (await client.listPrompts()).prompts,
    callTool: async (name, args, options = {}) =>
      resultOf(await client.callTool(paramsOf(name, args, options.meta), undefined, optionsOf(options))),
    readResource: async (uri) => (await client.readResource({ uri })).contents,
    getPrompt: async (name, args) => (await client.getPrompt({ name, arguments: args })).messages,
    complete: async (name, argument, value) =>
      (await client.complete({ ref: { type: "ref/prompt", name }, argument: { name: argument, value } })).completion
        .values,
    close: () => client.close()
  }
}

const asked = (params: object): Question => {
  if (!("requestedSchema" in params)) throw new Error("no form")
  const { message, requestedSchema } = { message: "", ...params }
  const { properties, required = [] } = Object(requestedSchema)
  return { message, requestedSchema: { properties, required } }
}

const connect2 = async (kind: Kind, target: Target, person: Person | undefined): Promise<Closeable> => {
  const client = new Client2(info, {
    capabilities: capabilitiesOf(person),
    versionNegotiation: { mode: kind === "client 2.x, 2026-07-28" ? { pin: "2026-07-28" } : "legacy" }
  })
  if (person !== undefined) {
    client.setRequestHandler("elicitation/create", ({ params }, { mcpReq }) => person(asked(params), mcpReq.signal))
  }
  const transport = target._tag === "Http"
    ? new Http2(new URL(target.url), { requestInit: { headers: target.headers ?? {} } })
    : new Stdio2(stdioOf(target))
  await client.connect(transport)
  return {
    protocolVersion: client.getNegotiatedProtocolVersion(),
    stderr: stderrOf(transport),
    listTools: async () => (await client.listTools()).tools,
    listResources: async () => (await client.listResources()).resources,
    listResourceTemplates: async () => (await client.listResourceTemplates()).resourceTemplates,
    listPrompts: async () => (await client.listPrompts()).prompts,
    callTool: async (name, args, options = {}) =>
      resultOf(await client.callTool(paramsOf(name, args, options.meta), optionsOf(options))),
    readResource: async (uri) => (await client.readResource({ uri })).contents,
    getPrompt: async (name, args) => (await client.getPrompt({ name, arguments: args })).messages,
    complete: async (name, argument, value) =>
      (await client.complete({ ref: { type: "ref/prompt", name }, argument: { name: argument, value } })).completion
        .values,
    close: () => client.close()
  }
}

const stderrOf = (transport: object): Readable | undefined =>
  "stderr" in transport && transport.stderr instanceof Readable ? transport.stderr : undefined
