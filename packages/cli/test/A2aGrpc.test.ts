import { assert, describe, it } from "@effect/vitest"
import { GrpcServer } from "@fastagentic/protocols/a2a"
import { Effect, Exit, Layer, Schema, Scope } from "effect"
import { Agent, App, Auth, Run, Server } from "fastagentic"
import { connect } from "node:net"
import { call } from "./grpcCall.ts"
import { memory, urlOf } from "./serving.ts"

class Asker extends Agent.make("asker", { description: "Asks", payload: {} }) {}
class Asking extends App.make("asking", { version: "1.0.0", agents: [Asker] }) {}
const AskerLayer = Asker.toLayer(() =>
  Effect.as(Effect.orDie(Run.interrupt("sure", { schema: Schema.Boolean, message: "Sure?" })), "done")
)

const start = (scope: Scope.Scope) =>
  Effect.map(
    Layer.buildWithScope(
      Layer.fresh(Server.layer(Asking, { port: 0, grace: "10 seconds" })).pipe(
        Layer.provide([AskerLayer, Auth.layerNone, memory]),
        Layer.provide(GrpcServer.GrpcServer.layer())
      ),
      scope
    ),
    urlOf
  )

/** SendMessageRequest { message: { message_id, role: ROLE_USER, parts: [{ data: {} }] } } */
const asking = Buffer.from([0x12, 11, 0x0a, 1, 0x6d, 0x20, 1, 0x2a, 4, 0x22, 2, 0x2a, 0])

const rpc = async (url: string, method: string, params: unknown) => {
  const response = await fetch(`${url}/a2a`, {
    method: "POST",
    headers: { "content-type": "application/json", "a2a-version": "1.0" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })
  })
  return Object(await response.json())
}

/** The bytes that a connection is answered with, or nothing when it is closed. */
const answerTo = (url: string, parts: ReadonlyArray<string>) =>
  new Promise<string>((resolve) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1")
    let text = ""
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1")
      socket.end()
    })
    socket.on("error", () => resolve(text))
    socket.on("close", () => resolve(text))
    const send = (index: number) => {
      const part = parts[index]
      if (part === undefined || socket.destroyed) return
      socket.write(part)
      setTimeout(() => send(index + 1), 20)
    }
    send(0)
  })

describe("One port for HTTP and gRPC", () => {
  it.live("serves both, also when the first bytes of a connection come one by one", () =>
    Effect.gen(function*() {
      const url = yield* start(yield* Effect.scope)
      const card = Object(yield* Effect.promise(async () => (await fetch(`${url}/.well-known/agent-card.json`)).json()))
      const interfaces: ReadonlyArray<Record<string, unknown>> = card.supportedInterfaces
      const grpc = interfaces.filter(({ protocolBinding }) => protocolBinding === "GRPC").map(({ url }) => url)
      assert.deepStrictEqual(grpc, [new URL(url).host, new URL(url).host])
      const sent = yield* Effect.promise(async () => (await call(url, "SendMessage", asking)).closed)
      assert.strictEqual(sent.status, 0)
      const { result } = yield* Effect.promise(() => rpc(url, "ListTasks", {}))
      assert.strictEqual(result.totalSize, 1)
      assert.include(sent.bytes.toString("latin1"), result.tasks[0].id)
      // A body of more than one packet, on a connection that has been looked at.
      const large = yield* Effect.promise(() =>
        fetch(`${url}/a2a`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ x: "y".repeat(900_000) })
        })
      )
      assert.strictEqual(large.status, 200)
      const get = "GET /health/ready HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
      assert.match(yield* Effect.promise(() => answerTo(url, [...get])), /^HTTP\/1\.1 /u)
      assert.match(
        yield* Effect.promise(() => answerTo(url, ["PROPFIND / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"])),
        /^HTTP\/1\.1 /u
      )
      const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0"
      // A frame of settings: 9 bytes of head, of type 4.
      assert.strictEqual((yield* Effect.promise(() => answerTo(url, [...preface]))).charCodeAt(3), 4)
    }).pipe(Effect.scoped))

  it.live("stops at once with an open subscription over gRPC, which ends as unavailable", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const url = yield* start(scope)
      yield* Effect.promise(async () => (await call(url, "SendMessage", asking)).closed)
      const { result } = yield* Effect.promise(() => rpc(url, "ListTasks", {}))
      const id: string = result.tasks[0].id
      const subscription = yield* Effect.promise(() =>
        call(url, "SubscribeToTask", Buffer.from([0x12, id.length, ...Buffer.from(id)]))
      )
      yield* Effect.promise(() => subscription.first)
      const began = Date.now()
      yield* Scope.close(scope, Exit.void)
      assert.isBelow(Date.now() - began, 5_000)
      assert.strictEqual((yield* Effect.promise(() => subscription.closed)).status, 14)
    }).pipe(Effect.scoped))
})
