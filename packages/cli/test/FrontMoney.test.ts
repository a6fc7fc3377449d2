// Budgets on the routes of the chat front ends, over sockets on SQLite: refusals in the words of each route, races, raises.
import { assert, describe, it } from "@effect/vitest"
import { Sqlite } from "@fastagentic/stores/sqlite"
import { Effect, Layer, Redacted, Schema } from "effect"
import * as Model from "effect/ai/Model"
import * as Toolkit from "effect/ai/Toolkit"
import { Agent, App, Auth, Budget, Prices, Principal } from "fastagentic"
import { join } from "node:path"
import { ModelLoop } from "../src/effect-ai.ts"
import { ScriptedModel } from "../src/testing.ts"
import { temporaryFolder } from "./process.ts"
import { onStores } from "./serving.ts"

class Talker extends Agent.make("talker", { description: "Talks", payload: { text: Schema.String } }) {}
class Talk extends App.make("talk", { version: "1", agents: [Talker] }) {}

const person = (id: string, scopes: ReadonlyArray<string> = []) => ({
  key: Redacted.make(`key-of-${id}`),
  principal: new Principal.Principal({ id, tenant: "acme", scopes, roles: [], claims: {} })
})
const people = Auth.layerKeys([
  person("ann", ["budgets:raise"]),
  person("fin", ["budgets:raise", "runs:read:tenant", "runs:act:tenant"])
])

/** The app, whose model says so many words in each of 50 answers; a word is a thousandth of a cent. */
const serve = Effect.fnUntraced(function*(limit: Partial<Budget.Limit>, words: number) {
  const turn = ScriptedModel.text(["word ".repeat(words)], { inputTokens: 1, outputTokens: words })
  const talker = Talker.toLayer(({ text }) =>
    ModelLoop.run({ prompt: text, toolkit: Toolkit.empty }).pipe(Effect.map(({ text }) => text), Effect.orDie)
  ).pipe(Layer.provide(Model.make("lab", "big", ScriptedModel.layer(Array.from({ length: 50 }, () => turn)))))
  const opened = yield* Layer.build(Sqlite.layer({ filename: join(temporaryFolder(), "money.db") }))
  const stores = Layer.succeedContext(opened)
  const limits: ReadonlyArray<Budget.Limit> = [{ name: "daily", per: "user", period: "day", hard: 1, ...limit }]
  const budget = Budget.layer.pipe(
    Layer.provide([stores, Prices.layer({ big: { input: 1, output: 10 } })]),
    Layer.provideMerge(Budget.limits(limits, { maxOutputTokens: 1_000 }))
  )
  const { url } = yield* onStores(Talk, talker, stores, { auth: people, budget: Layer.orDie(budget) })
  const send = (method: "GET" | "POST", path: string, body?: object, by = "ann") =>
    Effect.promise(async () => {
      const response = await fetch(url + path, {
        method,
        headers: {
          "accept": "application/json",
          "authorization": `Bearer key-of-${by}`,
          "content-type": "application/json"
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      return { status: response.status, text: await response.text(), runId: response.headers.get("x-run-id") ?? "" }
    })
  const usage = Effect.map(send("GET", "/usage?by=agent"), ({ text }) => {
    const { items, totalUsd } = JSON.parse(text)
    return {
      totalUsd: Number(totalUsd),
      tokens: Number(items[0]?.outputTokens ?? 0),
      calls: Number(items[0]?.calls ?? 0)
    }
  })
  return { send, usage }
})

let messages = 0
const fronts = {
  "ai-sdk": (id: string) => [
    "/agents/talker/chat",
    { id, messages: [{ id, role: "user", parts: [{ type: "text", text: "talk" }] }] }
  ],
  "ag-ui": (id: string) => [
    "/agents/talker/ag-ui",
    { threadId: id, runId: id, messages: [{ id, role: "user", content: "talk" }] }
  ],
  "completions": () => ["/v1/chat/completions", { model: "talker", messages: [{ role: "user", content: "talk" }] }],
  "completions, streamed": () => [
    "/v1/chat/completions",
    {
      model: "talker",
      messages: [{ role: "user", content: "talk" }],
      stream: true,
      stream_options: { include_usage: true }
    }
  ],
  "responses": () => ["/v1/responses", { model: "talker", input: "talk" }],
  "responses, streamed": () => ["/v1/responses", { model: "talker", input: "talk", stream: true }]
} satisfies Record<string, (id: string) => readonly [string, object]>

type Served = Effect.Success<ReturnType<typeof serve>>

const ask = ({ send }: Served, front: keyof typeof fronts) => {
  const [path, body] = fronts[front](`m${++messages}`)
  return send("POST", path, body)
}

const names = Object.keys(fronts).filter((name): name is keyof typeof fronts => name in fronts)

/** The last JSON of a body that has events or is JSON. */
const lastOf = (text: string) => {
  const line = text.split("\n").findLast((line) => line.startsWith("data: {"))
  return JSON.parse(line?.slice(6) ?? text)
}

describe("A budget on the chat front ends", () => {
  it.live("that is used up is the typed error of each route, and of a response that is read again", () =>
    Effect.gen(function*() {
      const served = yield* serve({ hard: 0.000_001 }, 5)
      const quota = { code: "insufficient_quota", type: "insufficient_quota" }
      const typed = { _tag: "BudgetExceeded", rule: "budget: daily" }
      for (const name of names) {
        const { runId, status, text } = yield* ask(served, name)
        const last = lastOf(text)
        switch (name) {
          case "ai-sdk":
            assert.strictEqual(last.type, "error")
            assert.include(text, `"tag":"BudgetExceeded"`)
            assert.include(text, `"rule":"budget: daily"`)
            break
          case "ag-ui":
            assert.deepInclude(last, { type: "RUN_ERROR", code: "BudgetExceeded" })
            assert.deepInclude(last.metadata, { status: 402, rule: "budget: daily" })
            break
          case "responses, streamed": {
            const read = yield* served.send("GET", `/v1/responses/resp_${runId}`)
            for (const response of [last.response, JSON.parse(read.text)]) {
              assert.strictEqual(response.status, "failed")
              assert.deepInclude(response.error, { ...quota, error: typed })
            }
            break
          }
          default:
            assert.strictEqual(status, name === "completions, streamed" ? 200 : 402, name)
            assert.deepInclude(last.error, { ...quota, error: typed }, name)
        }
      }
      assert.strictEqual((yield* served.usage).calls, 0)
    }).pipe(Effect.scoped))

  it.live(
    "that is smaller than an answer cuts it off, and the route says so and what /usage says",
    () =>
      Effect.gen(function*() {
        for (const name of names) {
          const served = yield* serve({ hard: 0.005 }, 900)
          const { text } = yield* ask(served, name)
          const last = lastOf(text)
          const { tokens } = yield* served.usage
          assert.isTrue(tokens > 256 && tokens < 900, `${name} ${tokens}`)
          switch (name) {
            case "ai-sdk":
              assert.strictEqual(last.finishReason, "length")
              assert.strictEqual(last.messageMetadata.usage.outputTokens, tokens)
              break
            case "ag-ui":
              assert.deepStrictEqual(last.metadata, { finishReason: "length" })
              assert.strictEqual(last.usage[0].outputTokens, tokens)
              break
            case "completions":
            case "completions, streamed":
              assert.include(text, `"finish_reason":"length"`)
              assert.strictEqual(last.usage.completion_tokens, tokens)
              break
            default: {
              const response = last.response ?? last
              assert.deepInclude(response, {
                status: "incomplete",
                incomplete_details: { reason: "max_output_tokens" }
              })
              assert.strictEqual(response.usage.output_tokens, tokens)
            }
          }
        }
      }).pipe(Effect.scoped),
    30_000
  )

  it.live(
    "holds against 50 messages at once over all routes, and each is answered or refused",
    () =>
      Effect.gen(function*() {
        const served = yield* serve({ hard: 0.03 }, 100)
        const all = yield* Effect.forEach(
          Array.from({ length: 50 }, (_, at) => names[at % names.length] ?? "ai-sdk"),
          (name) => ask(served, name),
          { concurrency: "unbounded" }
        )
        const refused = all.filter(({ text }) => text.includes("The budget \\\"daily\\\" is used up"))
        const { calls, tokens, totalUsd } = yield* served.usage
        assert.isAtMost(totalUsd, 0.03)
        assert.strictEqual(calls + refused.length, 50)
        assert.strictEqual(tokens, calls * 100)
      }).pipe(Effect.scoped),
    30_000
  )

  it.live("that asks is raised by nobody who has asked, only as it is, and once", () =>
    Effect.gen(function*() {
      const served = yield* serve({ hard: 0.01, atHard: "suspend" }, 1_000)
      yield* ask(served, "ag-ui")
      const { runId, text } = yield* ask(served, "ag-ui")
      const { id, metadata } = lastOf(text).outcome.interrupts[0]
      assert.isFalse(metadata.mayDecide)
      const resume = (payload: object, by: string) =>
        served.send("POST", "/agents/talker/ag-ui", {
          threadId: `m${messages}`,
          runId: "r",
          messages: [],
          resume: [{ interruptId: id, status: "resolved", payload }]
        }, by)
      assert.strictEqual((yield* resume({ approved: true }, "ann")).status, 403)
      const interrupt = `/runs/${runId}/interrupts/${String(id).split(".")[1]}`
      const edited = [
        yield* resume({ approved: true, editedArgs: { hardUsd: 1_000 } }, "fin"),
        yield* served.send("POST", interrupt, { decision: "edit", value: { hardUsd: 1_000 } }, "fin")
      ]
      for (const { status, text } of edited) {
        assert.strictEqual(status, 400)
        assert.include(text, "there is nothing to edit")
      }
      const raised = yield* Effect.all([1, 2, 3].map(() => resume({ approved: true }, "fin")), { concurrency: 3 })
      for (const { status, text } of raised) {
        assert.strictEqual(status, 200)
        assert.deepInclude(lastOf(text), { type: "RUN_FINISHED" })
      }
      const { calls, totalUsd } = yield* served.usage
      assert.strictEqual(calls, 2)
      assert.isTrue(totalUsd > 0.01 && totalUsd <= 0.02, `${totalUsd}`)
    }).pipe(Effect.scoped))
})
