import { assert, it } from "@effect/vitest"
import { Effect, Layer, Schedule } from "effect"
import { Agent, App, Content, Run } from "fastagentic"
import { A2aRemote } from "fastagentic/a2a"
import { Egress } from "fastagentic/egress"
import { createServer } from "node:http"
import { temporaryFolder } from "./process.ts"
import { onSqlite } from "./serving.ts"

class Desk extends A2aRemote.agent("desk", { description: "A desk elsewhere" }) {}
class Boss extends Agent.make("boss", { description: "Delegates", payload: {}, error: A2aRemote.RemoteTaskFailed }) {}
class Here extends App.make("here", { version: "1.0.0", agents: [Desk, Boss] }) {}

const BossLayer = Boss.toLayer(() =>
  Run.delegate(Desk, { message: [Content.text("hi")] }).pipe(
    Effect.map(Content.textOf),
    Effect.catchTag(["DelegationFailed", "RunError"], Effect.die)
  )
)

/** A server that redirects, and else gives a card, and counts its requests. */
const cardServer = (interfaces: ReadonlyArray<unknown>) =>
  Effect.gen(function*() {
    const seen: Array<string> = []
    const server = createServer((request, response) => {
      seen.push(String(request.url))
      if (request.url === "/moved") response.writeHead(302, { location: "http://169.254.169.254/latest/meta-data" })
      response.end(JSON.stringify({ supportedInterfaces: interfaces }))
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
      () => Effect.sync(() => server.close().closeAllConnections())
    )
    const address = server.address()
    return { seen, url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}` }
  })

const reasonOf = (options: A2aRemote.Options, allow: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const handlers = Layer.mergeAll(
      BossLayer,
      A2aRemote.toLayer(Desk, options).pipe(Layer.provide(Layer.orDie(Egress.layer({ allow, timeout: "2 seconds" }))))
    )
    const { url } = yield* onSqlite(Here, handlers, `${temporaryFolder()}/here.db`)
    const answered = yield* Effect.promise(async () => {
      const headers = { "content-type": "application/json", accept: "application/json" }
      return (await fetch(`${url}/agents/boss`, { method: "POST", body: "{}", headers })).text()
    }).pipe(Effect.timeout("5 seconds"))
    const ended = Effect.promise(async () => {
      const { items } = Object(await (await fetch(`${url}/audit?limit=100`)).json())
      return items.find(({ action, target }: Record<string, string>) => action === "run" && target === "agent/desk")
    })
    const { rule } = Object(
      yield* Effect.repeat(ended, {
        until: (entry) => entry !== undefined,
        schedule: Schedule.spaced("20 millis"),
        times: 50
      })
    )
    return `${Object(JSON.parse(answered)).error?.reason}, audited by ${rule}`
  }).pipe(Effect.scoped)

it.live(
  "A remote agent at an address of the internal network is refused at once, over every binding and by redirects",
  () =>
    Effect.gen(function*() {
      const inner = yield* cardServer([])
      for (
        const url of [inner.url, inner.url.replace("127.0.0.1", "0x7f.1"), inner.url.replace("127.0.0.1", "[::1]")]
      ) {
        assert.match(yield* reasonOf({ url: `${url}/card` }, []), /EGRESS_REFUSED.*audited by egress: address/u)
      }
      assert.deepStrictEqual(inner.seen, [])
      assert.match(
        yield* reasonOf({ url: `${inner.url}/moved` }, ["127.0.0.1"]),
        /EGRESS_REFUSED.*audited by egress: address/u
      )
      for (const at of ["127.0.0.2:7", "[::1]:7", "[::ffff:10.0.0.1]:7", "0x7f000002:7", "169.254.169.254:80"]) {
        const { url } = yield* cardServer([{ url: at, protocolBinding: "GRPC", protocolVersion: "1.0" }])
        const reason = yield* reasonOf({ url: `${url}/card`, origins: [`https://${at}`] }, ["127.0.0.1"])
        assert.match(reason, /EGRESS_REFUSED.*audited by egress: address/u, at)
      }
      for (
        const at of ["unix:/var/run/docker.sock", "dns:///10.0.0.1:7", "xds:///x", "ipv4:127.0.0.2:7", "a@127.0.0.1:7"]
      ) {
        const { url } = yield* cardServer([{ url: at, protocolBinding: "GRPC", protocolVersion: "1.0" }])
        assert.match(yield* reasonOf({ url: `${url}/card` }, ["127.0.0.1"]), /OTHER_ORIGIN|NO_INTERFACE/u, at)
      }
    }).pipe(Effect.scoped),
  30_000
)
