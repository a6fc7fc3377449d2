import { assert, it } from "@effect/vitest"
import { RunStore } from "@fastagentic/core/store/RunStore"
import { Effect, Exit, Layer, Redacted } from "effect"
import { Redis } from "../../src/redis/index.ts"
import { certificates } from "../certificates.ts"
import { freePort } from "../serverProcess.ts"
import { describeWithOwnServer, ownServer } from "./server.ts"

const open = (url: string) =>
  Effect.scoped(Effect.flatMap(
    Layer.build(Layer.fresh(Redis.layer({ url: Redacted.make(url) }))),
    (context) => Effect.provideContext(RunStore.use(({ identity }) => identity), context)
  ))

const failure = (url: string) =>
  Effect.map(Effect.exit(open(url)), (exit) => {
    assert.isTrue(Exit.isFailure(exit), url)
    return String(Exit.isFailure(exit) ? exit.cause : "")
  })

describeWithOwnServer("Redis over TLS", () => {
  it.live("is used and verified by default off this machine, and on it when asked for", () =>
    Effect.gen(function*() {
      const { ca, cert, key, other } = yield* certificates
      const port = yield* Effect.promise(freePort)
      const files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca]
      const server = yield* ownServer(["--tls-port", `${port}`, ...files, "--tls-auth-clients", "no"])
      const { port: plain } = new URL(Redacted.value(server.url))
      // LOCALHOST is this machine, but is not recognised as such.
      const identity = yield* open(`redis://LOCALHOST:${port}/0?cacert=${ca}`)
      assert.strictEqual(yield* open(`rediss://localhost:${port}?cacert=${ca}`), identity)
      assert.strictEqual(yield* open(`redis://localhost:${port}?tls=verify&cacert=${ca}`), identity)
      assert.strictEqual(yield* open(`redis://LOCALHOST:${plain}?tls=disable`), identity)
      assert.strictEqual(yield* open(`redis://127.0.0.1:${plain}`), identity)
      // A server that is asked for TLS and has none never answers: each of these can take the client's limit of 5 seconds.
      const refusals = yield* Effect.all([
        failure(`redis://LOCALHOST:${port}`),
        failure(`rediss://localhost:${port}?cacert=${other}`),
        failure(`rediss://127.0.0.1:${port}?cacert=${ca}`),
        failure(`redis://acme:opensesame@LOCALHOST:${plain}`)
      ], { concurrency: "unbounded" })
      for (const [index, reason] of [/certificate/u, /certificate/u, /altnames/u].entries()) {
        assert.match(refusals[index] ?? "", reason)
      }
    }).pipe(Effect.scoped), 60_000)
})
