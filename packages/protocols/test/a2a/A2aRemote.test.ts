import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, Content, Principal, RateLimit, Run, Runtime } from "@fastagentic/core"
import { A2aRemote } from "@fastagentic/protocols/a2a"
import { Effect, Layer, Redacted, Schema } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { createServer } from "node:http"
import { mounted, mountedWith, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"
import { start } from "./support.ts"
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

/** A card that offers one binding of another server. */
const cardOf = (url: string, protocolBinding: string, more: Json = {}) =>
  Effect.gen(function*() {
    const card = {
      name: "desk",
      description: "A desk",
      version: "1",
      supportedInterfaces: [
        { url: "https://example.com", protocolBinding: "GRPC", protocolVersion: "1.0" },
        { url: `${url}/a2a`, protocolBinding, protocolVersion: "1.0", ...more }
      ],
      capabilities: {},
      securitySchemes: { login: { oauth2SecurityScheme: { flows: { deviceCode: {} } } } },
      defaultInputModes: ["text/plain"],
      defaultOutputModes: ["text/plain"],
      skills: []
    }
    const server = createServer((_request, response) => response.end(JSON.stringify(card)))
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
  for (const binding of ["JSONRPC", "HTTP+JSON"]) {
    it.live(`is delegated to over ${binding}, and its answer is the content of its artifacts`, () =>
      Effect.gen(function*() {
        const there = yield* start(auth)
        const url = yield* serveHere({ url: yield* cardOf(there, binding), headers, origins: [there] })
        const { status, text } = yield* call(url, "/agents/boss", { question: "Where is order 1042?" })
        assert.strictEqual(status, 200, text)
        const contents = JSON.parse(JSON.parse(text))
        assert.deepStrictEqual(contents.map((content: Json) => content["type"]), ["text", "data"])
        assert.include(JSON.stringify(contents), "Order 1042 is shipped.")
        assert.deepStrictEqual((yield* remoteTasks(there)).map(stateOf), ["TASK_STATE_COMPLETED"])
      }).pipe(Effect.scoped))
  }

  for (const binding of ["JSONRPC", "HTTP+JSON"]) {
    it.live(`says over ${binding} what becomes events of the run, once each, where it is asked to`, () =>
      Effect.gen(function*() {
        const there = yield* start(auth)
        const url = yield* serveHere({ url: yield* cardOf(there, binding), headers, origins: [there], stream: true })
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

  it.live("is reached as a tenant of its interface, when the card says so", () =>
    Effect.gen(function*() {
      const there = yield* start(auth)
      const card = yield* cardOf(there, "HTTP+JSON", { tenant: "echo" })
      const url = yield* serveHere({ url: card, headers, origins: [there] })
      const { status, text } = yield* call(url, "/agents/boss", { question: "said there" })
      assert.strictEqual(status, 200, text)
      assert.deepStrictEqual((yield* remoteTasks(there)).map(({ metadata }) => metadata), [{ skillId: "echo" }])
    }).pipe(Effect.scoped))

  it.live("asks through this run, and continues with the answer", () =>
    Effect.gen(function*() {
      const there = yield* start(auth)
      const url = yield* serveHere({ url: `${there}/.well-known/agent-card.json`, headers })
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

  it.live("stops its task when the run that delegates is cancelled", () =>
    Effect.gen(function*() {
      const there = yield* start(auth)
      const url = yield* serveHere({ url: `${there}/.well-known/agent-card.json`, headers })
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

  it.live(
    "fails the run with what it says, and for credentials and skills that it does not take",
    () =>
      Effect.gen(function*() {
        const there = yield* start(auth)
        const card = `${there}/.well-known/agent-card.json`
        const cases: ReadonlyArray<readonly [A2aRemote.Options, string, string, string]> = [
          [{ url: card, headers }, "Where is order 2042?", "failed", "OrderNotFound"],
          [{ url: card, headers }, "crash", "failed", "unexpectedly"],
          [{ url: card }, "hi", "refused", "UNAUTHENTICATED"],
          [{ url: card, headers, skill: "none" }, "hi", "refused", "there is no skill"],
          [{ url: `${there}/nothing`, headers }, "hi", "refused", "404"],
          // A card that leads to another server would get the credentials for it.
          [{ url: yield* cardOf(there, "JSONRPC"), headers }, "hi", "refused", "OTHER_ORIGIN"]
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
})
