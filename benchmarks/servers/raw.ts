/** The floor: node:http, the same frames written token by token, and the same JSON answer. */
import { createServer, type IncomingMessage } from "node:http"

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  let text = ""
  for await (const chunk of request) text += chunk
  return text
}

createServer(async (request, response) => {
  if (request.url === "/health") return void response.end("ok")
  const body: unknown = JSON.parse(await bodyOf(request))
  if (request.url === "/tools/find_order") {
    response.writeHead(200, { "content-type": "application/json" })
    return void response.end(JSON.stringify({ id: Object(body).orderId, state: "shipped", amount: 42 }))
  }
  if (request.url === "/tools/echo") {
    response.writeHead(200, { "content-type": "application/json" })
    return void response.end(JSON.stringify({ message: Object(body).message }))
  }
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" })
  let seq = 0
  const frame = (type: string, data: unknown) =>
    response.write(`id: ${++seq}\nevent: ${type}\ndata: ${JSON.stringify({ seq, type, data })}\n\n`)
  frame("run_started", { agent: "echo" })
  for (const delta of String(Object(body).text).split(" ")) {
    frame("token", { delta })
    // Node would else join the tokens of one task into one write.
    if (request.url === "/agents/paced/stream") await new Promise((resolve) => setImmediate(resolve))
  }
  frame("done", { output: Object(body).text })
  response.end()
}).listen(Number(process.env["PORT"]), "127.0.0.1")
