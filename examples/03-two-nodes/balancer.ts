import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http"

/** Remembers which node answered, so that the demo knows which one runs it. */
export interface Balancer {
  readonly handle: (incoming: IncomingMessage, outgoing: ServerResponse) => void
  readonly last: () => string | undefined
}

/** Round robin over the nodes. An unreachable node is skipped; a broken stream is broken for the client too. */
export const makeBalancer = (nodes: ReadonlyArray<string>): Balancer => {
  let turn = 0
  let last: string | undefined

  const forward = (incoming: IncomingMessage, body: Buffer, outgoing: ServerResponse, left: number) => {
    const node = nodes[turn++ % nodes.length] ?? ""
    const { headers, method, url = "/" } = incoming
    const upstream = request(new URL(url, node), { method, headers, agent: false }, (answer) => {
      last = node
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      outgoing.flushHeaders()
      // The response has begun: only the reader knows how much it received.
      answer.on("error", () => outgoing.destroy())
      answer.pipe(outgoing)
    })
    outgoing.on("close", () => upstream.destroy())
    upstream.on("error", () => {
      if (outgoing.headersSent || outgoing.destroyed) return outgoing.destroy()
      if (left > 1) return forward(incoming, body, outgoing, left - 1)
      outgoing.writeHead(502).end()
    })
    upstream.end(body)
  }

  return {
    last: () => last,
    handle: (incoming, outgoing) => {
      const chunks: Array<Buffer> = []
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
      incoming.on("end", () => forward(incoming, Buffer.concat(chunks), outgoing, nodes.length))
    }
  }
}

/** Serves on a free port until the process ends. */
export const serve = ({ handle }: Balancer): Promise<string> =>
  new Promise((resolve) => {
    const server = createServer(handle).listen(0, "127.0.0.1", () => {
      const address = server.address()
      resolve(`http://127.0.0.1:${typeof address === "object" ? address?.port : address}`)
    })
    server.unref()
  })
