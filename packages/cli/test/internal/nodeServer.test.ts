// Slow clients at a server with short times, each over a socket of its own.
import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { connect } from "node:net"
import { afterAll, beforeAll } from "vitest"
import { make } from "../../src/internal/nodeServer.ts"

const server = make({ headMillis: 400, bodyMillis: 400, unreadMillis: 500, bytesPerMilli: 100_000 })
let port = 0

beforeAll(async () => {
  server.on("request", (request, response) => {
    if (request.url === "/refused") response.writeHead(401).end()
    else if (request.url === "/slow") setTimeout(() => response.end("late"), 1_500)
    else if (request.url === "/stream") {
      response.write("first")
      setTimeout(() => response.end("last"), 1_500)
    } else response.end(Buffer.alloc(8 * 1_048_576, "x"))
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  port = typeof address === "object" ? address?.port ?? 0 : 0
})
afterAll(() => void server.close())

/** The answer that a client receives until its connection is closed, and how long that took. */
const talk = async (first: string, drip: string | undefined) => {
  const socket = connect(port, "127.0.0.1")
  socket.on("error", () => {})
  let size = 0
  let text = ""
  socket.on("data", (data) => {
    size += data.length
    if (text.length < 1_000) text += data.toString("latin1")
  })
  const since = Date.now()
  socket.write(first)
  const timer = drip === undefined ? undefined : setInterval(() => socket.write(drip), 50)
  // A reset is a disconnection too, which `once` of Node would throw.
  await new Promise((resolve) => {
    socket.once("close", resolve)
    setTimeout(resolve, 8_000)
  })
  clearInterval(timer)
  const millis = Date.now() - since
  socket.destroy()
  return { millis, size, text }
}

const head = (path: string, more = "connection: close\r\n") => `GET ${path} HTTP/1.1\r\nhost: a\r\n${more}\r\n`

describe("A client that is slow", () => {
  for (
    const [name, first, drip] of [
      ["sends nothing", "", undefined],
      ["stops in the first line", "GET /ru", undefined],
      ["drips its head", "GET / HTTP/1.1\r\nhost: a\r\n", "x-a: b\r\n"],
      ["drips a body after its refusal", "POST /refused HTTP/1.1\r\nhost: a\r\ncontent-length: 5000\r\n\r\n", "x"],
      [
        "drips chunks after its refusal",
        "POST /refused HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
        "1\r\nx\r\n"
      ]
    ] as const
  ) {
    it(`and ${name} is disconnected`, async () => {
      const { millis } = await talk(first, drip)
      assert.isBelow(millis, 4_000)
    })
  }

  it("and does not read its answer is disconnected, and one who reads gets all of it", async () => {
    const open = () => new Promise<number>((resolve) => server.getConnections((_, open) => resolve(open)))
    const idle = connect(port, "127.0.0.1")
    idle.on("error", () => {})
    idle.pause()
    idle.write(head("/"))
    const { size } = await talk(head("/"), undefined)
    assert.isAbove(size, 8 * 1_048_576)
    assert.strictEqual(await open(), 1)
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    assert.strictEqual(await open(), 0)
    idle.destroy()
  })

  it("is not one who waits for a slow answer or a stream", async () => {
    const [late, stream] = await Promise.all([talk(head("/slow"), undefined), talk(head("/stream"), undefined)])
    assert.include(late.text, "late")
    assert.include(stream.text, "last")
  })
})
