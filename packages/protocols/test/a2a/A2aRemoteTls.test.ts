import { assert, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, Content, HostLookup, Principal, RateLimit, Run, Runtime } from "@fastagentic/core"
import { A2aRemote, GrpcServer } from "@fastagentic/protocols/a2a"
import { Effect, Layer, Redacted } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { createServer } from "node:http"
import { createServer as createTlsServer } from "node:https"
import { connect, type Server } from "node:net"
import * as Tls from "node:tls"
import { layerRuntime, mounted, mountedWith, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"
import { certificate, key } from "./certificate.ts"
import { list, object } from "./wires.ts"

class Desk extends A2aRemote.agent("desk", { description: "The support desk of another company" }) {}
class Boss extends Agent.make("boss", { description: "Delegates", payload: {}, error: A2aRemote.RemoteTaskFailed }) {}
class Here extends App.make("here", { version: "1.0.0", agents: [Desk, Boss] }) {}

const bossLayer = Boss.toLayer(() =>
  Run.delegate(Desk, { message: [Content.text("Where is order 1042?")] }).pipe(
    Effect.map(Content.textOf),
    Effect.catchTag(["DelegationFailed", "RunError"], Effect.die)
  )
)

const auth = Auth.layerKeys([{
  key: Redacted.make("key-of-here"),
  principal: new Principal.Principal({ id: "here", tenant: "acme", scopes: [], roles: [], claims: {} })
}])

/** A proxy that ends TLS in front of a port, the addresses of two names that lead to it, and a card for each of them. */
const proxied = Effect.gen(function*() {
  const there = yield* serve(
    mountedWith({ publicUrl: "https://agent.test" }, "a2a").pipe(
      Layer.provide(GrpcServer.GrpcServer.layer({ port: 0 })),
      Layer.provide(layerRuntime(auth))
    )
  )
  const card: unknown = yield* Effect.promise(async () => (await fetch(`${there}/.well-known/agent-card.json`)).json())
  const { url } = list(object(card)["supportedInterfaces"]).map(object)
    .find(({ protocolBinding }) => protocolBinding === "GRPC") ?? {}
  const port = Number(String(url).split(":")[1])
  const proxy = Tls.createServer({ key, cert: certificate, ALPNProtocols: ["h2"] }, (socket) => {
    const inner = connect(port, "127.0.0.1")
    socket.on("error", () => inner.destroy()).pipe(inner).on("error", () => socket.destroy()).pipe(socket)
  })
  const outer = yield* listening(proxy)
  const cardAt = (name: string) => {
    const body = { supportedInterfaces: [{ url: `${name}:${outer}`, protocolBinding: "GRPC", protocolVersion: "1.0" }] }
    return Effect.map(
      listening(createServer((_request, response) => response.end(JSON.stringify(body)))),
      (port) => ({ headers, url: `http://127.0.0.1:${port}/card`, origins: [`https://${name}:${outer}`] })
    )
  }
  return { cardAt }
})

const headers = Effect.succeed({ Authorization: "Bearer key-of-here", Host: "elsewhere.test", "X-Team": "blue" })

const listening = (server: Server) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
      () => Effect.sync(() => server.close())
    ),
    () => {
      const address = server.address()
      return typeof address === "object" && address !== null ? address.port : 0
    }
  )

const lookup: HostLookup.Lookup = (name) =>
  name === "inner.test"
    ? Effect.fail(new HostLookup.HostRefused({ rule: "address", reason: `${name} is not on the public network` }))
    : Effect.succeed(name === "gone.test" ? [] : ["127.0.0.1"])

const serveHere = (options: A2aRemote.Options) =>
  serve(
    mounted("rest").pipe(Layer.provide(
      Runtime.layer(Here).pipe(
        Layer.provide(
          A2aRemote.toLayer(Desk, options).pipe(
            Layer.provide([FetchHttpClient.layer, Layer.succeed(HostLookup.HostLookup, lookup)])
          )
        ),
        Layer.provide(bossLayer),
        Layer.provideMerge(
          Layer.mergeAll(layerStores, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited)
        )
      )
    ))
  )

const ask = (url: string) =>
  Effect.promise(async () => {
    const headers = { "content-type": "application/json", accept: "application/json" }
    const response = await fetch(`${url}/agents/boss`, { method: "POST", body: "{}", headers })
    const text = await response.text()
    return { status: response.status, text }
  })

it.live("A remote agent is called over gRPC with TLS at the address of its name, which its certificate has to name", () =>
  Effect.gen(function*() {
    const { cardAt } = yield* proxied
    const before = Tls.getCACertificates("default")
    yield* Effect.acquireRelease(
      Effect.sync(() => Tls.setDefaultCACertificates([...before, certificate])),
      () => Effect.sync(() => Tls.setDefaultCACertificates(before))
    )
    const right = yield* ask(yield* serveHere(yield* cardAt("agent.test")))
    assert.strictEqual(right.status, 200, right.text)
    assert.include(right.text, "Looking at your order")
    const other = yield* ask(yield* serveHere(yield* cardAt("other.test")))
    assert.include(other.text, "CERTIFICATE_NOT_TRUSTED")
    // A name that leads nowhere may lead to the agent again: it is tried for a while.
    const gone = yield* serveHere(yield* cardAt("gone.test"))
    assert.isUndefined(
      yield* Effect.timeoutOption(ask(gone), "1 second").pipe(Effect.map((some) => Object(some).value))
    )
    const inner = yield* ask(yield* serveHere(yield* cardAt("inner.test")))
    assert.include(inner.text, "EGRESS_REFUSED: inner.test is not on the public network")
  }).pipe(Effect.scoped))

it.live("A remote agent whose certificate is not trusted is refused at once, over gRPC and HTTP", () =>
  Effect.gen(function*() {
    const { cardAt } = yield* proxied
    const overGrpc = yield* ask(yield* serveHere(yield* cardAt("agent.test")))
    const port = yield* listening(
      createTlsServer({ key, cert: certificate }, (_request, response) => response.end("{}"))
    )
    const overHttp = yield* ask(yield* serveHere({ url: `https://127.0.0.1:${port}/card` }))
    for (const { text } of [overGrpc, overHttp]) {
      assert.include(text, "RemoteTaskFailed")
      assert.include(text, "\"refused\"")
      assert.include(text, "CERTIFICATE_NOT_TRUSTED")
    }
  }).pipe(Effect.scoped))
