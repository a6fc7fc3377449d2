// Answers requests that Node refuses before any listener sees them, with problem details and the security headers of all
// other answers. Called by nodeServer.ts. The bytes of an answer that is under way are never followed by those of another.
// A request that arrives before the routes are there waits for them: Node would give it to nobody.
import { ConnectionProblem } from "@fastagentic/protocols/mount"
import { type IncomingMessage, Server, type ServerOptions, ServerResponse, STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"

const reasons: Readonly<Record<string, ConnectionProblem.Reason>> = {
  ERR_HTTP_REQUEST_TIMEOUT: "RequestTooSlow",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "ChunkExtensionsTooLarge",
  HPE_HEADER_OVERFLOW: "HeadersTooLarge"
}

/** The response to a request that Node has read, and that no listener gets. */
const refuse = (response: ServerResponse, reason: ConnectionProblem.Reason) => {
  const { body, headers, status } = ConnectionProblem.make(reason)
  response.writeHead(status, { ...headers }).end(body)
}

const asText = (reason: ConnectionProblem.Reason) => {
  const { body, headers, status } = ConnectionProblem.make(reason)
  const lines = Object.entries({ ...headers, "content-length": Buffer.byteLength(body) }).map(([name, value]) =>
    `${name}: ${value}\r\n`
  ).join("")
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines}\r\n${body}`
}

/** The connection takes an answer: nothing of another one is under way. */
const isFree = (socket: Duplex, last: ServerResponse | undefined) =>
  last === undefined || last.writableFinished || (last.socket === socket && !last.headersSent)

/** A server of Node whose own refusals are problem details. */
export class ReadableServer extends Server {
  readonly #last = new WeakMap<Duplex, ServerResponse>()
  /** The requests that wait for the routes; undefined once these are there. */
  #early: Array<readonly [event: string, response: ServerResponse]> | undefined

  constructor(options: ServerOptions) {
    super({ ...options, requireHostHeader: false })
    this.on("checkExpectation", (_request, response) => refuse(response, "ExpectationFailed"))
    this.on("clientError", (error, socket) => {
      if (socket.writable && isFree(socket, this.#last.get(socket))) {
        const code = "code" in error ? String(error.code) : ""
        socket.write(asText(reasons[code] ?? "BadRequest"))
      }
      socket.destroy(error)
    })
  }

  /** Keeps requests until the next listener for them is added, which is that of the routes. */
  untilServed(): this {
    this.#early = []
    const begin = (event: string) => {
      if (event !== "request") return
      this.off("newListener", begin)
      // Its other listeners are added in the same turn.
      setImmediate(() => {
        const early = this.#early ?? []
        this.#early = undefined
        for (const [event, response] of early) if (!response.destroyed) this.emit(event, response.req, response)
      })
    }
    return this.on("newListener", begin)
  }

  /** Routes that are not there yet do not come any more: requests that wait for them would keep the server from closing. */
  override close(callback?: (error?: Error) => void): this {
    super.close(callback)
    for (const [, response] of this.#early?.splice(0) ?? []) if (!response.destroyed) refuse(response, "NotStarted")
    return this
  }

  /** Node's own refusal of a missing host, before the listeners. HTTP/1.0 has no such rule. */
  override emit(event: string, ...args: ReadonlyArray<unknown>): boolean {
    const response = args[1]
    if ((event === "request" || event === "checkContinue") && response instanceof ServerResponse) {
      this.#last.set(response.req.socket, response)
      if (hasNoHost(response.req)) {
        refuse(response, "NoHost")
        return true
      }
      if (this.#early !== undefined) {
        if (this.listening) this.#early.push([event, response])
        else refuse(response, "NotStarted")
        return true
      }
    }
    return super.emit(event, ...args)
  }
}

const hasNoHost = ({ headers, httpVersion }: IncomingMessage) => headers.host === undefined && httpVersion === "1.1"
