import { Effect } from "effect"
import { connect, createServer, type Socket } from "node:net"

/** The number of bytes of the response that each connection lets through; later connections let everything through. */
export const cuttingProxy = (target: string, cuts: ReadonlyArray<number>) =>
  Effect.gen(function*() {
    const to = new URL(target)
    const open = new Set<Socket>()
    let connections = 0
    const server = yield* Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const listening = createServer((client) => {
          let left = cuts[connections++] ?? Number.POSITIVE_INFINITY
          const upstream = connect(Number(to.port), to.hostname)
          for (const socket of [client, upstream]) {
            open.add(socket)
            socket.on("error", () => {})
            socket.on("close", () => {
              open.delete(socket)
              client.destroy()
              upstream.destroy()
            })
          }
          client.pipe(upstream)
          upstream.on("data", (chunk: Buffer) => {
            const part = chunk.subarray(0, left)
            left -= part.length
            client.write(part, () => left <= 0 && client.resetAndDestroy())
          })
        })
        listening.listen(0, "127.0.0.1", () => resume(Effect.succeed(listening)))
      }),
      (listening) =>
        Effect.callback<void>((resume) => {
          for (const socket of open) socket.destroy()
          listening.close(() => resume(Effect.void))
        })
    )
    const address = server.address()
    return {
      url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`,
      connections: () => connections,
      cut: () => {
        for (const socket of open) socket.destroy()
      }
    }
  })
