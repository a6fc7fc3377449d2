import { NodeWS } from "@effect/platform-node"
import { Deferred, Effect } from "effect"

/** Sends messages of effect/rpc in one request, and gives the messages of the answer. */
export const post = (url: string, messages: ReadonlyArray<unknown>) =>
  Effect.promise(async () => {
    const body = messages.map((message) => `${JSON.stringify(message)}\n`).join("")
    const answer = await fetch(`${url}/rpc`, { method: "POST", body })
    return (await answer.text()).split("\n").filter(Boolean).map((line): unknown => JSON.parse(line))
  })

/** A WebSocket of effect/rpc without its client. */
export const connect = Effect.fnUntraced(function*(url: string, headers: Record<string, string> = {}) {
  const lines: Array<string> = []
  const waiting = new Set<() => void>()
  const closed = yield* Deferred.make<{ readonly code: number }>()
  const ws = yield* Effect.acquireRelease(
    Effect.callback<NodeWS.WebSocket, { readonly status: number }>((resume) => {
      const socket = new NodeWS.WebSocket(`${url.replace("http", "ws")}/rpc`, { headers })
      socket.on("message", (data) => {
        lines.push(String(data))
        for (const look of waiting) look()
      })
      socket.on("close", (code) => Deferred.doneUnsafe(closed, Effect.succeed({ code })))
      socket.on("error", () => {})
      socket.on("open", () => resume(Effect.succeed(socket)))
      socket.on("unexpected-response", (_, response) => resume(Effect.fail({ status: response.statusCode ?? 0 })))
    }),
    (socket) => Effect.sync(() => socket.terminate())
  )
  return {
    ws,
    send: (text: string) => ws.send(text),
    closed: Deferred.await(closed),
    /** The first message with a text. */
    until: (part: string) =>
      Effect.callback<string>((resume) => {
        const look = () => {
          const found = lines.find((line) => line.includes(part))
          if (found === undefined) return
          waiting.delete(look)
          resume(Effect.succeed(found))
        }
        waiting.add(look)
        look()
      }).pipe(Effect.timeoutOrElse({
        duration: "5 seconds",
        orElse: () => Effect.die(new Error(`no ${part} among ${lines.join("").slice(0, 1_000)}`))
      }))
  }
})
