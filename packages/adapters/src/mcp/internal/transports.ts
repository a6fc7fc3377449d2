// Opens the wire to a server: HTTP through Egress, or a child process. connection.ts opens one at a time; a process gets an
// environment without the secrets of this one, and what it prints goes to the log.
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import { Redacted } from "effect"
import { Lines } from "../../adapter/internal/lines.ts"
import type { Fetch } from "../../models/internal/wire/mendedFetch.ts"
import type { Opened } from "../McpAuth.ts"
import { streamEnded } from "./failure.ts"
import type { Library } from "./library.ts"

/** A server at an address. @internal */
export interface Http {
  readonly url: string
  readonly headers?: Readonly<Record<string, string | Redacted.Redacted>> | undefined
  readonly auth?: Opened | undefined
}

/** A server that is a child process. @internal */
export interface Process {
  readonly command: string
  readonly args?: ReadonlyArray<string> | undefined
  readonly env?: Readonly<Record<string, string | Redacted.Redacted>> | undefined
  readonly cwd?: string | undefined
}

/** A transport, and how it is left. */
export interface Wire {
  readonly transport: Transport
  /** Tells a server of 2025 that its session is over. */
  readonly leave: () => Promise<unknown>
  /** Whether a server of 2025 keeps a session for it. */
  readonly hasSession: () => boolean
}

const plain = (values: Readonly<Record<string, string | Redacted.Redacted>> = {}): Record<string, string> =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, typeof value === "string" ? value : Redacted.value(value)])
  )

export const http = (library: Library, { auth, headers, url }: Http, fetch: Fetch): Wire => {
  /** A request whose stream ends before its answer would wait for its time limit. */
  class Transporting extends library.StreamableHTTPClientTransport {
    override send(
      message: JSONRPCMessage | Array<JSONRPCMessage>,
      options: Parameters<InstanceType<Library["StreamableHTTPClientTransport"]>["send"]>[1] = {}
    ) {
      const lost = () => {
        if (Array.isArray(message) || !("id" in message) || message.id === undefined || !("method" in message)) return
        const error = { code: -32_000, message: "the stream ended before the answer", data: streamEnded }
        this.onmessage?.({ jsonrpc: "2.0", id: message.id, error })
      }
      return super.send(message, { ...options, onRequestStreamEnd: lost })
    }
  }
  const transport = new Transporting(new URL(url), {
    fetch,
    requestInit: { headers: plain(headers) },
    ...(auth === undefined ? {} : { authProvider: auth.provider })
  })
  return {
    transport,
    leave: () => transport.terminateSession(),
    hasSession: () => transport.sessionId !== undefined
  }
}

export const childProcess = (
  library: Library,
  { args = [], command, cwd, env }: Process,
  log: (line: string) => void
): Wire => {
  const transport = new library.StdioClientTransport({
    command,
    args: [...args],
    env: { ...library.getDefaultEnvironment(), ...plain(env) },
    stderr: "pipe",
    ...(cwd === undefined ? {} : { cwd })
  })
  const words = new Lines(4_096, log)
  transport.stderr?.on("data", (chunk: Uint8Array) => words.push(chunk))
  return { transport, leave: () => Promise.resolve(), hasSession: () => false }
}
