// A port for an app that starts again: `--port 0` would give it another one after each change. DevCommand and RunCommand ask.
import { Effect } from "effect"
import { createServer } from "node:net"

const free = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** The port that was asked for, or for 0 one that is free now. */
export const or = (port: number) => port === 0 ? free : Effect.succeed(port)
