// A JSON server that stands for a vendor: it records what is asked, and answers by a function.
import { once } from "node:events"
import { createServer, type IncomingHttpHeaders } from "node:http"

export interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
}

export interface Answered {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly body?: unknown
}

export const jsonServer = async (answer: (asked: Asked) => Answered | "hang") => {
  const asked: Array<Asked> = []
  const server = createServer(async (request, response) => {
    let text = ""
    for await (const chunk of request) text += String(chunk)
    const one = {
      method: request.method ?? "",
      path: request.url ?? "",
      headers: request.headers,
      body: text === "" ? undefined : JSON.parse(text)
    }
    asked.push(one)
    const given = answer(one)
    if (given === "hang") return
    response.writeHead(given.status ?? 200, { "content-type": "application/json", ...given.headers })
    response.end(given.body === undefined ? "" : JSON.stringify(given.body))
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  return { url, asked, close }
}
