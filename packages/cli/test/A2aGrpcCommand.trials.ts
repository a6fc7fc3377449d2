import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { createServer } from "node:net"
import { join } from "node:path"
import { call } from "./grpcCall.ts"
import { fastagentic, fixture, listening, temporaryFolder } from "./process.ts"

describe("fastagentic run --grpc-port", () => {
  const free = async () => {
    const server = createServer().listen(0, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    server.close()
    return typeof address === "object" && address !== null ? address.port : 0
  }
  const run = (...flags: ReadonlyArray<string>) =>
    fastagentic(["run", fixture("app.ts"), "--mode", "http", "--store", join(temporaryFolder(), "app.db"), ...flags])

  for (const isShared of [true, false]) {
    it(`serves gRPC on ${isShared ? "the port of --port" : "a port of its own"}, and the card has the address of --grpc-url`, async () => {
      const port = String(await free())
      const running = run("--port", port, "--grpc-port", isShared ? port : "0", "--grpc-url", "agents.example.com:443")
      const url = await listening(running)
      const card = Object(await (await fetch(`${url}/.well-known/agent-card.json`)).json())
      const interfaces: ReadonlyArray<Record<string, unknown>> = card.supportedInterfaces
      const { status } = isShared ? await (await call(url, "ListTasks", Buffer.alloc(0))).closed : { status: 0 }
      running.child.kill()
      await running.exited
      assert.deepStrictEqual(
        interfaces.filter(({ protocolBinding }) => protocolBinding === "GRPC").map(({ url }) => url),
        ["agents.example.com:443", "agents.example.com:443"]
      )
      assert.strictEqual(status, 0)
    })
  }

  it("needs a number", async () => {
    const running = run("--port", "0", "--grpc-port", "many")
    assert.notStrictEqual(await running.exited, 0)
    assert.include(running.stderr(), "grpc-port")
  })
})
