// A call over gRPC as its bytes, without a client of the protocol.
import { once } from "node:events"
import { connect as connectHttp2 } from "node:http2"

/** Calls a method of version 1.0 with the bytes of its message; the answer has the status of gRPC. */
export const call = async (url: string, method: string, message: Buffer) => {
  const session = connectHttp2(url)
  session.on("error", () => {})
  const stream = session.request({
    ":method": "POST",
    ":path": `/lf.a2a.v1.A2AService/${method}`,
    "content-type": "application/grpc",
    te: "trailers"
  })
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  let status: unknown
  stream.on("response", (headers) => status = headers["grpc-status"] ?? status)
  stream.on("trailers", (trailers) => status = trailers["grpc-status"])
  stream.on("error", () => {})
  const chunks: Array<Buffer> = []
  stream.on("data", (chunk: Buffer) => chunks.push(chunk))
  stream.end(Buffer.concat([head, message]))
  const closed = once(stream, "close").then(() => {
    session.close()
    return { status: Number(status), bytes: Buffer.concat(chunks) }
  })
  return { closed, first: once(stream, "data") }
}
