// An address that is notified: it keeps what it was sent, and answers as it is asked to.
import { Effect } from "effect"
import { createServer } from "node:http"

export interface Delivery {
  readonly headers: Record<string, string | Array<string> | undefined>
  readonly body: unknown
}

export const receiver = Effect.gen(function*() {
  const deliveries: Array<Delivery> = []
  let answer: (index: number) => number | undefined = () => 200
  let tries = 0
  const server = createServer((request, response) => {
    let text = ""
    request.on("data", (chunk) => text += String(chunk))
    request.on("end", () => {
      const status = answer(tries++)
      if (status === undefined) return request.socket.destroy()
      if (status < 300) deliveries.push({ headers: request.headers, body: JSON.parse(text) })
      response.writeHead(status).end()
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () =>
      Effect.promise(() => {
        server.closeAllConnections()
        return new Promise((resolve) => server.close(resolve))
      })
  )
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}/hook`,
    deliveries,
    tries: () => tries,
    answerWith: (next: typeof answer) => {
      answer = next
    }
  }
})

/** Waits until something holds, for 20 seconds at most. */
export const until = (holds: () => boolean) =>
  Effect.gen(function*() {
    for (let turn = 0; turn < 400 && !holds(); turn++) yield* Effect.sleep("50 millis")
    return holds()
  })
