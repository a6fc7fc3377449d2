import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, Content, Principal, RateLimit, Run, Runtime } from "@fastagentic/core"
import { A2aRemote } from "@fastagentic/protocols/a2a"
import { Effect, Layer, Redacted, Schema } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { createServer, type RequestListener } from "node:http"
import { mounted, mountedWith, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"
import { start, startWithGrpc } from "./support.ts"
import { type Json, list, object, wires } from "./wires.ts"

class Desk extends A2aRemote.agent("desk", { description: "The support desk of another company" }) {}

/** Asks the remote desk, and gives its answer as text. */
class Boss extends Agent.make("boss", {
  description: "Delegates",
  payload: { question: Schema.String },
  error: A2aRemote.RemoteTaskFailed
}) {}

class Here extends App.make("here", { version: "1.0.0", agents: [Desk, Boss] }) {}

const bossLayer = Boss.toLayer(({ question }) =>
  Run.delegate(Desk, { message: [Content.text(question)] }).pipe(
    Effect.map((contents) => JSON.stringify(contents)),
    Effect.catchTag(["DelegationFailed", "RunError"], Effect.die)
  )
)

const serveHere = (options: A2aRemote.Options) =>
  serve(
    mounted("rest", "a2a").pipe(Layer.provide(
      Runtime.layer(Here).pipe(
        Layer.provide(A2aRemote.toLayer(Desk, options).pipe(Layer.provide(FetchHttpClient.layer))),
        Layer.provide(bossLayer),
        Layer.provideMerge(
          Layer.mergeAll(layerStores, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited)
        )
      )
    ))
  )

const auth = Auth.layerKeys([{
  key: Redacted.make("key-of-here"),
  principal: new Principal.Principal({ id: "here", tenant: "acme", scopes: [], roles: [], claims: {} })
}])
const headers = Effect.succeed({ authorization: "Bearer key-of-here" })

const bindings = ["JSONRPC", "HTTP+JSON", "GRPC"] as const
const spoken = bindings.flatMap((binding) => [[binding, "1.0"], [binding, "0.3"]] as const)

/** A card that offers one binding of another server. */
const cardOf = (url: string, protocolBinding: string, protocolVersion: "1.0" | "0.3" = "1.0", more: Json = {}) =>
  Effect.gen(function*() {
    const offered = protocolBinding === "GRPC" ? yield* grpcAddressOf(url) : `${url}/a2a`
    const interfaces = protocolVersion === "1.0"
      ? {
        supportedInterfaces: [
          { url: "https://example.com", protocolBinding: "GRPC", protocolVersion: "1.0" },
          { url: offered, protocolBinding, protocolVersion, ...more }
        ]
      }
      : { protocolVersion: "0.3.0", url: offered, preferredTransport: protocolBinding }
    const card = {
      name: "desk",
      description: "A desk",
      version: "1",
      ...interfaces,
      capabilities: {},
      securitySchemes: { login: { oauth2SecurityScheme: { flows: { deviceCode: {} } } } },
      defaultInputModes: ["text/plain"],
      defaultOutputModes: ["text/plain"],
      skills: []
    }
    return yield* answering((_request, response) => response.end(JSON.stringify(card)))
  })

/** The host and port of gRPC that the card of a server names. */
const grpcAddressOf = (url: string) =>
  Effect.promise(async () => {
    const card: unknown = await (await fetch(`${url}/.well-known/agent-card.json`)).json()
    const found = list(object(card)["supportedInterfaces"]).map(object)
      .find(({ protocolBinding }) => protocolBinding === "GRPC")
    return String(found?.["url"])
  })

/** The origins of a server and of its gRPC. */
const originsOf = (url: string) => Effect.map(grpcAddressOf(url), (address) => [url, `http://${address}`])

/** A server of HTTP that answers everything in one way. */
const answering = (listener: RequestListener) =>
  Effect.gen(function*() {
    const server = createServer(listener)
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
      () => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
    )
    const address = server.address()
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  })

const call = (url: string, path: string, body?: Json) =>
  Effect.promise(async () => {
    const response = await fetch(url + path, {
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
      headers: { "content-type": "application/json", accept: "application/json" }
    })
    const text = await response.text()
    return { status: response.status, text, body: text === "" ? {} : object(JSON.parse(text)) }
  })

const [rpc] = wires
if (rpc === undefined) throw new Error("there are wires")

const remoteTasks = (url: string) =>
  Effect.map(
    rpc.call(`${url}/a2a`, "list", {}, { authorization: "Bearer key-of-here" }),
    ({ result }) => list(object(result)["tasks"]).map(object)
  )

const stateOf = (task: Json | undefined) => object(task?.["status"])["state"]

/** Waits until an effect gives something. */
const eventually = <A>(look: Effect.Effect<A | undefined>) =>
  Effect.gen(function*() {
    for (let turn = 0; turn < 200; turn++) {
      const found = yield* look
      if (found !== undefined) return found
      yield* Effect.sleep("50 millis")
    }
    return yield* Effect.die(new Error("it did not happen in ten seconds"))
  })

describe("A remote agent", () => {
  for (const [binding, version] of spoken) {
    it.live(`is delegated to over ${binding} ${version}, and its answer is the content of its artifacts`, () =>
      Effect.gen(function*() {
        const there = yield* startWithGrpc(auth)
        const origins = yield* originsOf(there)
        const url = yield* serveHere({ url: yield* cardOf(there, binding, version), headers, origins })
        const { status, text } = yield* call(url, "/agents/boss", { question: "Where is order 1042?" })
        assert.strictEqual(status, 200, text)
        const contents = JSON.parse(JSON.parse(text))
        assert.deepStrictEqual(contents.map((content: Json) => content["type"]), ["text", "data"])
        assert.include(JSON.stringify(contents), "Order 1042 is shipped.")
        assert.deepStrictEqual((yield* remoteTasks(there)).map(stateOf), ["TASK_STATE_COMPLETED"])
      }).pipe(Effect.scoped))
  }

  for (const [binding, version] of spoken) {
    it.live(`says over ${binding} ${version} what becomes events of the run, once each, where it is asked to`, () =>
      Effect.gen(function*() {
        const there = yield* startWithGrpc(auth)
        const origins = yield* originsOf(there)
        const url = yield* serveHere({ url: yield* cardOf(there, binding, version), headers, origins, stream: true })
        const { body } = yield* call(url, "/agents/desk/runs", {
          message: [{ type: "text", text: "refund order 1042" }]
        })
        const runId = String(body["runId"])
        const [asked = {}] = yield* eventually(Effect.map(call(url, "/interrupts"), ({ body }) => {
          const items = list(body["items"]).map(object)
          return items.length > 0 ? items : undefined
        }))
        yield* call(url, `/runs/${runId}/interrupts/${String(asked["id"])}`, { decision: "approve", value: "yes" })
        yield* eventually(Effect.map(
          call(url, `/runs/${runId}`),
          ({ body }) => body["state"] === "completed" ? body : undefined
        ))
        const { body: journal } = yield* call(url, `/runs/${runId}/events`)
        const events = list(journal["items"]).map(object)
        const said = events.filter(({ type }) => type === "token" || type === "content" || type === "superseded")
        assert.deepStrictEqual(said.map(({ data, type }) => [type, object(data)["delta"] ?? object(data)["content"]]), [
          ["token", "Looking at your order… "],
          ["token", "Done."],
          ["content", [{
            type: "data",
            data: { answer: "refunded", orders: [{ id: 1042, state: "shipped", amount: 42.5 }] }
          }]]
        ])
      }).pipe(Effect.scoped))
  }

  for (const binding of ["HTTP+JSON", "GRPC"]) {
    it.live(`is reached over ${binding} as a tenant of its interface, when the card says so`, () =>
      Effect.gen(function*() {
        const there = yield* startWithGrpc(auth)
        const card = yield* cardOf(there, binding, "1.0", { tenant: "echo" })
        const url = yield* serveHere({ url: card, headers, origins: yield* originsOf(there) })
        const { status, text } = yield* call(url, "/agents/boss", { question: "said there" })
        assert.strictEqual(status, 200, text)
        assert.deepStrictEqual((yield* remoteTasks(there)).map(({ metadata }) => metadata), [{ skillId: "echo" }])
      }).pipe(Effect.scoped))
  }

  it.live("is called over the binding that its options name, of those that its card offers", () =>
    Effect.gen(function*() {
      const there = yield* startWithGrpc(auth)
      const card = `${there}/.well-known/agent-card.json`
      const origins = yield* originsOf(there)
      for (const binding of bindings) {
        const url = yield* serveHere({ url: card, headers, origins, binding })
        const { status, text } = yield* call(url, "/agents/boss", { question: "Where is order 1042?" })
        assert.strictEqual(status, 200, text)
      }
      const url = yield* serveHere({ url: card, headers, binding: "GRPC" })
      const { body } = yield* call(url, "/agents/boss", { question: "Where is order 1042?" })
      const { reason, state } = object(body["error"])
      assert.strictEqual(state, "refused")
      assert.include(String(reason), "OTHER_ORIGIN")
    }).pipe(Effect.scoped))

  for (const binding of bindings) {
    it.live(`asks over ${binding} through this run, and continues with the answer`, () =>
      Effect.gen(function*() {
        const there = yield* startWithGrpc(auth)
        const origins = yield* originsOf(there)
        const url = yield* serveHere({ url: `${there}/.well-known/agent-card.json`, headers, origins, binding })
        const { body } = yield* call(url, "/agents/boss/runs", { question: "refund order 1042" })
        const asked = yield* eventually(Effect.map(
          call(url, "/interrupts"),
          ({ body }) => list(body["items"]).map(object)[0]
        ))
        assert.strictEqual(asked["message"], "Pay it back?")
        const path = `/runs/${String(asked["runId"])}/interrupts/${String(asked["id"])}`
        const answered = yield* call(url, path, { decision: "approve", value: "yes" })
        assert.isBelow(answered.status, 300, JSON.stringify(answered.body))
        const done = yield* eventually(Effect.map(
          call(url, `/runs/${String(body["runId"])}`),
          ({ body }) => body["state"] === "completed" ? body : undefined
        ))
        assert.include(String(done["output"]), "refunded")
      }).pipe(Effect.scoped))
  }

  for (const [binding, version] of spoken) {
    it.live(`stops its task over ${binding} ${version} when the run that delegates is cancelled`, () =>
      Effect.gen(function*() {
        const there = yield* startWithGrpc(auth)
        const origins = yield* originsOf(there)
        const url = yield* serveHere({
          url: yield* cardOf(there, binding, version),
          headers,
          origins,
          skill: "support"
        })
        const { body } = yield* call(url, "/agents/boss/runs", { question: "wait" })
        yield* eventually(Effect.map(
          remoteTasks(there),
          ([task]) => stateOf(task) === "TASK_STATE_WORKING" ? task : undefined
        ))
        // The run knows its task once the next step has begun.
        yield* Effect.sleep("300 millis")
        yield* call(url, `/runs/${String(body["runId"])}/cancel`, {})
        yield* eventually(Effect.map(
          remoteTasks(there),
          ([task]) => stateOf(task) === "TASK_STATE_CANCELED" ? task : undefined
        ))
      }).pipe(Effect.scoped))
  }

  it.live("that delegates back is not called a second time for the same work", () =>
    Effect.gen(function*() {
      const urls = new Map<string, string>()
      // The names of two servers that know each other, which are looked up when they are called.
      const client = Layer.effect(
        HttpClient.HttpClient,
        Effect.map(HttpClient.HttpClient, (client) =>
          HttpClient.mapRequest(client, (request) => {
            const { host, pathname, search } = new URL(request.url)
            return HttpClientRequest.setUrl(request, `${urls.get(host) ?? "http://127.0.0.1:1"}${pathname}${search}`)
          }))
      ).pipe(Layer.provide(FetchHttpClient.layer))
      const serveBoss = (name: string, other: string, depth?: number) =>
        Effect.tap(
          serve(
            mountedWith({ publicUrl: `http://${name}` }, "rest", "a2a").pipe(Layer.provide(
              Runtime.layer(Here).pipe(
                Layer.provide(
                  A2aRemote.toLayer(Desk, {
                    url: `http://${other}/.well-known/agent-card.json`,
                    skill: "boss",
                    ...(depth === undefined ? {} : { depth })
                  }).pipe(Layer.provide(client))
                ),
                Layer.provide(bossLayer),
                Layer.provideMerge(
                  Layer.mergeAll(layerStores, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited)
                )
              )
            ))
          ),
          (url) => Effect.sync(() => urls.set(name, url))
        )
      const one = yield* serveBoss("one.test", "two.test")
      const two = yield* serveBoss("two.test", "one.test")
      const bosses = (url: string) =>
        Effect.map(call(url, "/runs?agent=boss"), ({ body }) => list(body["items"]).length)
      const { body } = yield* call(one, "/agents/boss", { question: "round and round" })
      assert.deepInclude(object(body["error"]), { _tag: "RemoteTaskFailed", state: "failed" })
      assert.include(String(object(body["error"])["reason"]), "CIRCULAR_DELEGATION")
      assert.deepStrictEqual([yield* bosses(one), yield* bosses(two)], [2, 1])
      // A message says how far the work has come; what is no chain counts for nothing.
      const sent = (chain: unknown) =>
        Effect.map(
          rpc.call(`${one}/a2a`, "send", {
            message: {
              messageId: globalThis.crypto.randomUUID(),
              role: "ROLE_USER",
              parts: [{ text: "hi" }],
              metadata: { skillId: "boss", "urn:fastagentic:chain:1": chain }
            }
          }),
          ({ result }) => JSON.stringify(object(object(result)["status"])["message"])
        )
      const digests = Array.from({ length: 8 }, (_, index) => String(index).repeat(32))
      assert.include(yield* sent(digests), "DELEGATION_TOO_DEEP")
      assert.include(yield* sent(digests.slice(1)), "DELEGATION_TOO_DEEP: the work came through 8")
      assert.include(yield* sent(["odd"]), "CIRCULAR_DELEGATION")
      yield* serveBoss("three.test", "two.test", 0)
      const { text } = yield* call(urls.get("three.test") ?? "", "/agents/boss", { question: "deep" })
      assert.include(text, "DELEGATION_TOO_DEEP: the work came through 0 ")
    }).pipe(Effect.scoped))

  for (const [binding, version] of spoken) {
    it.live(
      `fails the run with what it says over ${binding} ${version}, and for credentials that it does not take`,
      () =>
        Effect.gen(function*() {
          const there = yield* startWithGrpc(auth)
          const [card, origins] = [yield* cardOf(there, binding, version), yield* originsOf(there)]
          const cases: ReadonlyArray<readonly [A2aRemote.Options, string, string, string]> = [
            [{ url: card, headers, origins }, "Where is order 2042?", "failed", "OrderNotFound"],
            [{ url: card, headers, origins }, "crash", "failed", "unexpectedly"],
            [{ url: card, origins }, "hi", "refused", "UNAUTHENTICATED"],
            [{ url: card, headers, origins, skill: "none" }, "hi", "refused", "there is no skill"]
          ]
          for (const [options, question, state, reason] of cases) {
            const url = yield* serveHere(options)
            const { body } = yield* call(url, "/agents/boss", { question })
            const error = object(body["error"])
            assert.deepInclude(error, { _tag: "RemoteTaskFailed", state }, JSON.stringify(body))
            assert.include(String(error["reason"]), reason)
            assert.notInclude(JSON.stringify(body), "postgres")
          }
        }).pipe(Effect.scoped),
      30_000
    )
  }

  it.live(
    "is refused at once where an address answers with what is no A2A, and tried again while it is away",
    () =>
      Effect.gen(function*() {
        const reply = (status: number, body: string, headers: Record<string, string> = {}) =>
          answering((_request, response) => {
            response.writeHead(status, headers)
            response.end(body)
          })
        for (
          const [place, reason] of [
            [reply(404, "Not Found"), "404"],
            [reply(404, "{}"), "404"],
            [reply(410, "gone"), "410"],
            [reply(403, "<html>"), "403"],
            [reply(405, ""), "405"],
            [reply(304, ""), "304"],
            [reply(200, "<html>"), "NOT_A2A"],
            [reply(200, "7"), "NOT_A2A"],
            [reply(200, "{}"), "NO_INTERFACE"],
            [reply(200, JSON.stringify({ supportedInterfaces: {} })), "NOT_A2A"]
          ] as const
        ) {
          const url = yield* serveHere({ url: yield* place })
          const { body } = yield* call(url, "/agents/boss", { question: "hi" }).pipe(Effect.timeout("5 seconds"))
          const error = object(body["error"])
          assert.deepInclude(error, { _tag: "RemoteTaskFailed", state: "refused" }, JSON.stringify(body))
          assert.include(String(error["reason"]), reason)
        }
        // A task endpoint that is gone, behind a card that is there.
        for (const binding of ["JSONRPC", "HTTP+JSON"]) {
          const gone = yield* reply(404, "Not Found")
          const url = yield* serveHere({ url: yield* cardOf(gone, binding), origins: [gone] })
          const { body } = yield* call(url, "/agents/boss", { question: "hi" }).pipe(Effect.timeout("5 seconds"))
          assert.include(String(object(body["error"])["reason"]), "404")
        }
        let calls = 0
        const there = yield* start()
        const away = yield* answering((request, response) => {
          const status = [503, 408, 429][calls++]
          if (status !== undefined) {
            response.writeHead(status)
            return response.end("<html>")
          }
          void fetch(`${there}${request.url}`, { headers: { "a2a-version": "1.0" } }).then(async (answer) =>
            response.end(await answer.text())
          )
        })
        const card = `${away}/.well-known/agent-card.json`
        const url = yield* serveHere({ url: card, origins: [there] })
        const { status, text } = yield* call(url, "/agents/boss", { question: "Where is order 1042?" })
        assert.strictEqual(status, 200, text)
        assert.isAbove(calls, 3)
      }).pipe(Effect.scoped),
    30_000
  )

  it.live("is not called at an address of another server, which would get the credentials for it", () =>
    Effect.gen(function*() {
      const there = yield* startWithGrpc(auth)
      for (const binding of bindings) {
        const url = yield* serveHere({ url: yield* cardOf(there, binding), headers })
        const { body } = yield* call(url, "/agents/boss", { question: "hi" })
        assert.include(String(object(body["error"])["reason"]), "OTHER_ORIGIN")
      }
      // The origin of gRPC without TLS is not that with it.
      const address = yield* grpcAddressOf(there)
      const url = yield* serveHere({ url: yield* cardOf(there, "GRPC"), headers, origins: [`https://${address}`] })
      const { runId } = (yield* call(url, "/agents/boss/runs", { question: "hi" })).body
      yield* Effect.sleep("500 millis")
      assert.deepStrictEqual(yield* remoteTasks(there), [])
      yield* call(url, `/runs/${String(runId)}/cancel`, {})
    }).pipe(Effect.scoped))
})
