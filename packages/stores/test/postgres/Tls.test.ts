import { assert, it } from "@effect/vitest"
import { RunStore } from "@fastagentic/core/store/RunStore"
import { Effect, Exit, Layer, Redacted } from "effect"
import { chmodSync, chownSync, copyFileSync, statSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { join } from "node:path"
import { Postgres } from "../../src/postgres/index.ts"
import { certificates } from "../certificates.ts"
import { execute, Server } from "./process.ts"
import { describeWithOwnServer } from "./server.ts"

/** A server that speaks TLS and plain text. LOCALHOST is this machine, but is not recognised as such. */
const server = Effect.gen(function*() {
  const files = yield* certificates
  const server = yield* Effect.acquireRelease(
    Effect.promise(() => Server.make()),
    (server) => Effect.promise(() => server.remove())
  )
  const { gid, uid } = statSync(server.data)
  for (const name of ["key", "cert"] as const) {
    const path = join(server.data, `server.${name}`)
    copyFileSync(files[name], path)
    chownSync(path, uid, gid)
    chmodSync(path, 0o600)
  }
  for (const setting of ["ssl_cert_file = 'server.cert'", "ssl_key_file = 'server.key'", "ssl = on"]) {
    yield* execute(server.url, `ALTER SYSTEM SET ${setting}`)
  }
  yield* execute(server.url, "SELECT pg_reload_conf()")
  const { port } = new URL(Redacted.value(server.url))
  return { ...files, port }
})

const open = (url: string) =>
  Effect.scoped(Effect.flatMap(
    Layer.build(Layer.fresh(Postgres.layer({ url: Redacted.make(url), maxConnections: 2 }))),
    (context) => Effect.provideContext(RunStore.use(({ identity }) => identity), context)
  ))

const failure = (url: string) =>
  Effect.map(Effect.exit(open(url)), (exit) => {
    assert.isTrue(Exit.isFailure(exit), url)
    return String(Exit.isFailure(exit) ? exit.cause : "")
  })

/** A server without TLS that keeps everything that it is sent. */
const plain = Effect.acquireRelease(
  Effect.promise(async () => {
    const received: Array<Buffer> = []
    const sockets: Array<Socket> = []
    const server = createServer((socket) => {
      sockets.push(socket)
      socket.on("error", () => {}).on("data", (data) => {
        received.push(data)
        socket.write("N")
      })
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    return { port, received, server, sockets }
  }),
  ({ server, sockets }) =>
    Effect.sync(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
)

describeWithOwnServer("PostgreSQL over TLS", () => {
  it.live("is used and verified by default off this machine, and on it when asked for", () =>
    Effect.gen(function*() {
      const { ca, other, port } = yield* server
      yield* open(`postgres://postgres@LOCALHOST:${port}/postgres?sslrootcert=${ca}`)
      yield* open(`postgres://postgres@localhost:${port}/postgres?sslmode=verify-full&sslrootcert=${ca}`)
      yield* open(`postgres://postgres@LOCALHOST:${port}/postgres?sslmode=disable`)
      assert.match(yield* failure(`postgres://postgres@LOCALHOST:${port}/postgres`), /certificate/u)
      assert.match(
        yield* failure(`postgres://postgres@LOCALHOST:${port}/postgres?sslrootcert=${other}`),
        /certificate/u
      )
      assert.match(
        yield* failure(`postgres://postgres@127.0.0.1:${port}/postgres?sslmode=require&sslrootcert=${ca}`),
        /altnames/u
      )
    }).pipe(Effect.scoped), 60_000)

  it.live("sends no password to a server without it", () =>
    Effect.gen(function*() {
      const { port, received } = yield* plain
      assert.match(yield* failure(`postgres://acme:opensesame@LOCALHOST:${port}/acme`), /TLS/u)
      assert.strictEqual(Buffer.concat(received).includes("acme"), false)
      assert.strictEqual(Buffer.concat(received).includes("opensesame"), false)
    }).pipe(Effect.scoped))
})
