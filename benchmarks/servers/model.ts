/** A model server that streams 20 tokens in the chat completions API, each in a write of its own. */
import { createServer } from "node:http"

const frame = (delta: unknown, finish: string | null, usage?: unknown) =>
  `data: ${
    JSON.stringify({
      id: "chatcmpl-1",
      object: "chat.completion.chunk",
      created: 1_700_000_000,
      model: "test-model",
      choices: [{ index: 0, delta, finish_reason: finish }],
      ...(usage === undefined ? {} : { usage })
    })
  }\n\n`

const frames = [
  ...Array.from({ length: 20 }, (_, index) => frame({ content: ` token${index}` }, null)),
  frame({}, "stop", { prompt_tokens: 20, completion_tokens: 20, total_tokens: 40 }),
  "data: [DONE]\n\n"
]

const server = createServer((request, response) => {
  request.resume().on("end", async () => {
    response.writeHead(200, { "content-type": "text/event-stream" })
    for (const text of frames) {
      response.write(text)
      await new Promise((resolve) => setImmediate(resolve))
    }
    response.end()
  })
})

server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  console.log(typeof address === "object" ? address?.port : "")
})
