import { assert, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, Event, RateLimit, Run } from "@fastagentic/core"
import { Postgres } from "@fastagentic/stores/postgres"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import { DefaultChatTransport, readUIMessageStream, type UIMessage, type UIMessageChunk } from "ai"
import { Context, Deferred, Effect, Exit, Layer, Schema, Scope } from "effect"
import * as HttpServer from "effect/http/HttpServer"
import * as Server from "../src/Server.ts"

/** Says a word, waits at the gate, says another. */
class Slow extends Agent.make("slow", { description: "Takes its time", payload: { text: Schema.String } }) {}

/** Asks for a name, and counts how often it was greeted with. */
class Greet extends Agent.make("greet", { description: "Greets", payload: { text: Schema.String } }) {}

class Nodes extends App.make("nodes", { version: "1.0.0", agents: [Slow, Greet] }) {}

const twoNodes = Effect.gen(function*() {
  const url = yield* PostgresServer.database
  const gate = yield* Deferred.make<void>()
  const greeted: Array<string> = []
  const handlers = Layer.merge(
    Slow.toLayer(() =>
      Effect.gen(function*() {
        yield* Run.emit(Event.token("First, "))
        yield* Deferred.await(gate)
        yield* Run.emit(Event.token("then."))
        return "First, then."
      })
    ),
    Greet.toLayer(() =>
      Effect.gen(function*() {
        const name = yield* Effect.orDie(Run.interrupt("name", { schema: Schema.String }))
        return yield* Run.step(
          "greet",
          Effect.sync(() => {
            greeted.push(name)
            return `Hello, ${name}!`
          })
        )
      })
    )
  )
  const node = Effect.gen(function*() {
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    const context = yield* Layer.buildWithScope(
      Layer.fresh(Server.layer(Nodes, { port: 0, grace: "100 millis" })).pipe(
        Layer.provide(handlers),
        Layer.provide([Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited]),
        Layer.provide(Postgres.layer({ url }))
      ),
      scope
    )
    const { address } = Context.get(context, HttpServer.HttpServer)
    return { url: `http://127.0.0.1:${"port" in address ? address.port : 0}`, stop: Scope.close(scope, Exit.void) }
  })
  return { one: yield* node, two: yield* node, gate, greeted }
})

const transport = (url: string, agent: string) =>
  new DefaultChatTransport<UIMessage>({ api: `${url}/agents/${agent}/chat` })

const message = (text: string): UIMessage => ({ id: "m-1", role: "user", parts: [{ type: "text", text }] })

const ask = (url: string, agent: string, text: string) =>
  transport(url, agent).sendMessages({
    chatId: "chat",
    messages: [message(text)],
    trigger: "submit-message",
    messageId: undefined,
    abortSignal: undefined
  })

const last = async (stream: ReadableStream<UIMessageChunk>, until: (text: string) => boolean = () => false) => {
  let seen: UIMessage | undefined
  for await (const one of readUIMessageStream({ stream })) {
    seen = one
    if (until(textOf(one))) break
  }
  return seen
}

const textOf = (one: UIMessage | undefined) =>
  one?.parts.map((part) => part.type === "text" ? part.text : "").join("") ?? ""

const post = (url: string, body: object) =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body)
    })
    return { status: response.status, text: await response.text() }
  })

PostgresServer.describeWithServer("The chat front ends on two nodes", () => {
  it.live(
    "a stream that was lost on a node that stops goes on from its beginning on the other one",
    () =>
      Effect.gen(function*() {
        const { gate, one, two } = yield* twoNodes
        const begun = yield* Effect.promise(async () =>
          last(await ask(one.url, "slow", "go"), (text) => text === "First, ")
        )
        const elsewhere = yield* Effect.promise(async () => {
          const stream = await transport(two.url, "slow").reconnectToStream({ chatId: "chat" })
          return stream === null ? undefined : last(stream, (text) => text === "First, ")
        })
        assert.strictEqual(elsewhere?.id, begun?.id)
        yield* one.stop
        const resumed = Effect.promise(async () => {
          const stream = await transport(two.url, "slow").reconnectToStream({ chatId: "chat" })
          return stream === null ? undefined : last(stream)
        })
        const [whole] = yield* Effect.all([resumed, Effect.delay(Deferred.succeed(gate, undefined), "500 millis")], {
          concurrency: 2
        })
        assert.strictEqual(whole?.id, begun?.id)
        assert.strictEqual(textOf(whole), "First, then.")
      }).pipe(Effect.scoped),
    30_000
  )

  it.live(
    "a message that both nodes get is one run, and its question is answered once, on any of them",
    () =>
      Effect.gen(function*() {
        const { greeted, one, two } = yield* twoNodes
        const [first, second] = yield* Effect.promise(() =>
          Promise.all([one, two].map(async ({ url }) => last(await ask(url, "greet", "Hi"))))
        )
        assert.strictEqual(first?.id, second?.id)
        const part = first?.parts.find((found) => found.type === "dynamic-tool")
        const id = part?.toolCallId.replace(/^ask\./u, "") ?? ""
        const resume = (value: string) => ({
          threadId: "chat",
          runId: "r",
          messages: [],
          resume: [{ interruptId: id, status: "resolved", payload: value }]
        })
        const answers = yield* Effect.all([
          post(`${one.url}/agents/greet/ag-ui`, resume("Ann")),
          post(`${two.url}/agents/greet/ag-ui`, resume("Ann")),
          post(`${two.url}/v1/responses`, { input: [{ type: "function_call_output", call_id: id, output: "Ann" }] })
        ], { concurrency: 3 })
        for (const { status, text } of answers) {
          assert.strictEqual(status, 200, text)
          assert.include(text, "Hello, Ann!")
        }
        assert.deepStrictEqual(greeted, ["Ann"])
        const late = yield* post(`${one.url}/agents/greet/ag-ui`, resume("Ben"))
        assert.strictEqual(late.status, 409)
      }).pipe(Effect.scoped),
    30_000
  )
})
