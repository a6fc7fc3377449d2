// A server on the loopback interface that gives prepared answers, one per request, and keeps the requests.
import { once } from "node:events"
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"

export interface Answer {
  readonly status?: number | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body: string | Uint8Array
  /** Breaks the connection after the body. */
  readonly breaks?: boolean | undefined
  /** Keeps the connection open after the body. */
  readonly hangs?: boolean | undefined
}

export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Record<string, unknown>
}

/** Cuts bytes inside events, lines and characters. */
const pieces = (body: string | Uint8Array): ReadonlyArray<Uint8Array> => {
  const bytes = Buffer.from(body)
  const sizes = [1, 2, 3, 5, 7, 11, 64, 200]
  const cut: Array<Uint8Array> = []
  for (let from = 0, turn = 0; from < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1
    cut.push(bytes.subarray(from, from + size))
    from += size
  }
  return cut
}

const write = async (response: ServerResponse, answer: Answer) => {
  response.writeHead(answer.status ?? 200, { ...answer.headers })
  for (const piece of pieces(answer.body)) {
    response.write(piece)
    await new Promise((resolve) => setImmediate(resolve))
  }
  if (answer.hangs === true) return
  if (answer.breaks === true) response.destroy()
  else response.end()
}

export interface ReplayServer {
  readonly url: string
  /** Answers of the next requests, in order; `otherwise` afterwards. */
  readonly prepare: (answers: ReadonlyArray<Answer>, otherwise?: Answer) => void
  readonly received: ReadonlyArray<Received>
  /** The number of clients that left before their answer was complete. */
  readonly left: () => number
  readonly stop: () => Promise<void>
}

export const replayServer = async (): Promise<ReplayServer> => {
  let queue: Array<Answer> = []
  let fallback: Answer = { status: 500, body: "no answer is prepared" }
  let left = 0
  const received: Array<Received> = []
  const server = createServer((request, response) => {
    const bytes: Array<Buffer> = []
    response.on("close", () => {
      if (!response.writableFinished) left++
    })
    request.on("data", (data: Buffer) => bytes.push(data))
    request.on("end", () => {
      const text = Buffer.concat(bytes).toString("utf8")
      received.push({
        path: request.url ?? "",
        headers: request.headers,
        body: text === "" ? {} : JSON.parse(text)
      })
      void write(response, queue.shift() ?? fallback)
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}`,
    prepare: (answers, otherwise) => {
      queue = [...answers]
      fallback = otherwise ?? { status: 500, body: "no answer is left" }
      received.length = 0
    },
    received,
    left: () => left,
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, "close")
    }
  }
}
