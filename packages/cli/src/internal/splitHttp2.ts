// Gives connections of a server of HTTP/1.1 that speak HTTP/2 to `accept`, by their first bytes, and leaves all others to the
// server. Only a server with gRPC on its port pays for the look.
import type { Server } from "node:http"
import type { Socket } from "node:net"

export const splitHttp2 = (server: Server, accept: (socket: Socket) => void, headMillis: number) => {
  const others = server.listeners("connection")
  server.removeAllListeners("connection")
  server.on("connection", (socket: Socket) => {
    const timer = setTimeout(() => socket.destroy(), headMillis)
    const ignore = () => {}
    const chunks: Array<Buffer> = []
    const look = (chunk: Buffer) => {
      chunks.push(chunk)
      const start = Buffer.concat(chunks)
      const isHttp2 = start.subarray(0, preface.length).equals(preface)
      // No method of HTTP/1.1 begins so.
      if (!isHttp2 && start.length < preface.length && preface.subarray(0, start.length).equals(start)) return
      clearTimeout(timer)
      socket.off("data", look).off("error", ignore).pause()
      socket.unshift(start)
      if (isHttp2) accept(socket)
      else for (const listener of others) Reflect.apply(listener, server, [socket])
      process.nextTick(() => socket.resume())
    }
    socket.on("data", look).on("error", ignore).once("close", () => clearTimeout(timer))
  })
  return server
}

const preface = Buffer.from("PRI")
