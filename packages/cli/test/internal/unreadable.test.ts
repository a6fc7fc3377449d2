// Requests that arrive while a server starts, over sockets of their own.
import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { request } from "node:http"
import { connect } from "node:net"
import * as NodeServer from "../../src/internal/nodeServer.ts"

const listening = async () => {
  const server = NodeServer.make({ headMillis: 5_000, unreadMillis: 5_000, bodyMillis: 5_000 })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  return { server, port: typeof address === "object" && address !== null ? address.port : 0 }
}

describe("a server whose routes are not there yet", () => {
  it("answers the requests that arrived before them, each once", async () => {
    const { port, server } = await listening()
    const early = ["a", "b"].map((path) => fetch(`http://127.0.0.1:${port}/${path}`))
    const expecting = request({ port, host: "127.0.0.1", method: "POST", headers: { expect: "100-continue" } })
    expecting.on("error", () => {})
    expecting.flushHeaders()
    const continued = once(expecting, "continue")
    await new Promise((resolve) => setTimeout(resolve, 100))
    const seen: Array<string> = []
    server.on("request", (incoming, response) => {
      seen.push(incoming.url ?? "")
      response.end(incoming.url)
    })
    server.on("checkContinue", (_, response) => response.writeContinue())
    assert.deepStrictEqual(await Promise.all(early.map(async (answer) => (await answer).text())), ["/a", "/b"])
    await continued
    expecting.destroy()
    assert.strictEqual(await (await fetch(`http://127.0.0.1:${port}/late`)).text(), "/late")
    assert.deepStrictEqual(seen.toSorted(), ["/a", "/b", "/late"])
    server.close()
    server.closeAllConnections()
  })

  it("gives no request to the routes whose client has gone", async () => {
    const { port, server } = await listening()
    const gone = request({ port, host: "127.0.0.1", path: "/gone" })
    gone.on("error", () => {})
    gone.end()
    await new Promise((resolve) => setTimeout(resolve, 50))
    gone.destroy()
    await new Promise((resolve) => setTimeout(resolve, 50))
    const seen: Array<string> = []
    server.on("request", (incoming, response) => {
      seen.push(incoming.url ?? "")
      response.end()
    })
    await (await fetch(`http://127.0.0.1:${port}/here`)).text()
    assert.deepStrictEqual(seen, ["/here"])
    server.close()
    server.closeAllConnections()
  })

  it("refuses the requests that wait when it closes, also one whose head is not there yet", async () => {
    const { port, server } = await listening()
    const waiting = fetch(`http://127.0.0.1:${port}/early`)
    const slow = connect(port, "127.0.0.1")
    let text = ""
    slow.on("data", (chunk: Buffer) => text += chunk.toString("latin1"))
    slow.write("GET /late HTTP/1.1\r\n")
    await new Promise((resolve) => setTimeout(resolve, 50))
    const closed = Promise.all([once(server, "close"), once(slow, "close")])
    server.close()
    slow.write("host: localhost\r\n\r\n")
    const answer = await waiting
    assert.strictEqual(answer.status, 503)
    assert.strictEqual(Object(await answer.json()).title, "NotStarted")
    await closed
    assert.match(text, /^HTTP\/1\.1 503 /u)
  })
})
