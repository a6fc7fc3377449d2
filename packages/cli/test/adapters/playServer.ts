import { Effect, Schema } from "effect"
import { createServer } from "node:net"
import { createInterface } from "node:readline"
import { NoSuchOrder, type Play } from "../../src/adapter-contract.ts"

const Args = Schema.Struct({ order: Schema.Int })
const Asked = Schema.fromJsonString(Schema.Union([
  Schema.Struct({ answers: Schema.Int, heard: Schema.String }),
  Schema.Struct({ name: Schema.Literals(["look", "refund", "pay"]), args: Args })
]))
const decode = Schema.decodeUnknownSync(Asked)

/** Serves the play of the moment to another process, one request for each connection; gives the port. */
export const servePlay = (current: () => Play) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = createServer((socket) => {
        const controller = new AbortController()
        socket.once("close", () => controller.abort())
        socket.on("error", () => {})
        createInterface({ input: socket }).once("line", (line) => {
          const asked = decode(line)
          const play = current()
          const value = "name" in asked
            ? play.work(asked.name, asked.args, controller.signal)
            : play.answer(asked.answers, asked.heard, controller.signal)
          value.then(
            (value) => ({ value }),
            (error: unknown) => ({
              error: error instanceof NoSuchOrder ? { order: error.order } : { message: String(error) }
            })
          ).then((reply) => socket.end(`${JSON.stringify(reply)}\n`))
        })
      })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      return server
    }),
    (server) => Effect.sync(() => server.close())
  ).pipe(Effect.map((server) => {
    const address = server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  }))
