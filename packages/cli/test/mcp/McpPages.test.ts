// A page that a user opens, where the call, the client's consent and the page's answer reach different nodes on PostgreSQL, whose
// nodes wake each other.
import { assert, it } from "@effect/vitest"
import { Postgres } from "@fastagentic/stores/postgres"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import { Effect, Schedule, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { App, ClientRequest, Policy, Run } from "fastagentic"
import { onStores } from "../serving.ts"

const Tools = Toolkit.make(
  Tool.make("pay", {
    success: Schema.String,
    failure: ClientRequest.ClientRefused,
    dependencies: [Run.CurrentRun]
  }).annotate(Policy.Durable, true)
)

class Till extends App.make("till", { version: "1", tools: Tools }) {}

const handlers = Tools.toLayer({
  pay: () =>
    Effect.map(
      ClientRequest.openUrl("payment", {
        message: "Pay 5 EUR",
        url: "https://example.com/pay",
        schema: Schema.Struct({ receipt: Schema.Int })
      }),
      ({ receipt }) => `receipt ${receipt}`
    )
})

type Json = ReturnType<typeof JSON.parse>

const send = (url: string, body: object, headers: Record<string, string> = {}) =>
  fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers },
    body: JSON.stringify(body)
  })

/** A session of a client of 2025-11-25 that opens pages. */
const open = async (url: string) => {
  const params = {
    protocolVersion: "2025-11-25",
    capabilities: { elicitation: { url: {} } },
    clientInfo: { name: "t", version: "1" }
  }
  const response = await send(`${url}/mcp`, { jsonrpc: "2.0", id: 0, method: "initialize", params })
  await response.text()
  return {
    "mcp-session-id": response.headers.get("mcp-session-id") ?? "",
    "mcp-protocol-version": "2025-11-25"
  }
}

/** Answers the open question at a node, as the server of the page does. */
const answerAsPage = (url: string) =>
  Effect.promise(async (): Promise<Json> => (await fetch(`${url}/interrupts`)).json()).pipe(
    Effect.flatMap(({ items: [question] }) =>
      question === undefined ? Effect.fail("none is open") : Effect.succeed(question)
    ),
    Effect.retry({ times: 100, schedule: Schedule.spaced("30 millis") }),
    Effect.flatMap(({ id, runId }) =>
      Effect.promise(() =>
        send(`${url}/runs/${runId}/interrupts/${id}`, { decision: "approve", value: { receipt: 8 } })
      )
    )
  )

/** The messages of a stream; each request of the server goes to `answer`. */
const read = async (response: Response, answer: (request: Json) => Promise<unknown>) => {
  const messages: Array<Json> = []
  let rest = ""
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) {
      if (!line.startsWith("data: {")) continue
      const message: Json = JSON.parse(line.slice(6))
      messages.push(message)
      if (message.method !== undefined && message.id !== undefined) await answer(message)
    }
  }
  return messages
}

PostgresServer.describeWithServer("A page that a user opens, with two nodes on PostgreSQL", () => {
  it.live(
    "ends the call at one node once its client has agreed, and the page has answered, at the other",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const url = yield* PostgresServer.database
        const one = yield* onStores(Till, handlers, Postgres.layer({ url }))
        const two = yield* onStores(Till, handlers, Postgres.layer({ url }))
        const messages = yield* Effect.promise(async () => {
          const session = await open(one.url)
          const params = { name: "pay", arguments: {} }
          const called = await send(`${one.url}/mcp`, { jsonrpc: "2.0", id: 1, method: "tools/call", params }, session)
          return read(called, async ({ id }) => {
            await send(`${two.url}/mcp`, { jsonrpc: "2.0", id, result: { action: "accept" } }, session)
            // The node of the call learns of the consent within a second.
            void Effect.runPromise(Effect.andThen(Effect.sleep("1200 millis"), answerAsPage(two.url)))
          })
        })
        const methods = messages.flatMap(({ method }) => method === undefined ? [] : [method])
        assert.deepStrictEqual(methods, ["elicitation/create", "notifications/elicitation/complete"])
        assert.strictEqual(messages.at(-1).result.content[0].text, "receipt 8")
      })),
    20_000
  )
})
