import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Schema } from "effect"
import { Redacted } from "effect"
import { Toolkit } from "effect/ai"
import { Agent, App } from "fastagentic"
import { ModelLoop } from "fastagentic/effect-ai"
import { Models } from "fastagentic/models"
import { join } from "node:path"
import { temporaryFolder } from "../process.ts"
import { onSqlite } from "../serving.ts"
import { type ProviderApi, providerApis, testKey } from "./providerApis.ts"
import { cutOf, judged, tooLong } from "./providerEnds.ts"
import { type Answer, replayServer } from "./replayServer.ts"

const payload = { model: Schema.String }
class Talk extends Agent.make("talk", { description: "Talks", payload, success: Schema.Json }) {}
class Judge extends Agent.make("judge", {
  description: "Judges",
  payload,
  success: Schema.Struct({ order: Schema.Int })
}) {}
class Court extends App.make("court", { version: "1", agents: [Talk, Judge] }) {}

const Handlers = Layer.mergeAll(
  Talk.toLayer(({ model }) =>
    ModelLoop.run({ prompt: "Talk.", toolkit: Toolkit.empty, model }).pipe(
      Effect.map(({ finishReason, text }) => ({ text, finishReason }))
    )
  ),
  Judge.toLayer(({ model }) =>
    ModelLoop.run({ prompt: "Judge.", toolkit: Toolkit.empty, model, output: Judge.successSchema }).pipe(
      Effect.map(({ output }) => output)
    )
  )
)

const nameOf = ({ env, provider }: ProviderApi) => env?.["OPENAI_BASE_URL"] === undefined ? provider : "openai server"

/** Another model of the provider, whose answers it holds to a schema. */
const structured: Readonly<Record<string, string>> = { bedrock: "us.anthropic.claude-sonnet-4-5-20250929-v1:0" }

/** One app with a model of every provider, each behind the same replay server. */
const served = Effect.gen(function*() {
  const replay = yield* Effect.acquireRelease(Effect.promise(replayServer), ({ stop }) => Effect.promise(stop))
  const models = Object.fromEntries(providerApis.map((api) => [nameOf(api), {
    model: nameOf(api) === "openai server" ? api.model : `${api.provider}:${structured[api.provider] ?? api.model}`,
    baseUrl: `${replay.url}${api.base ?? "/openai"}`,
    ...(api.provider === "bedrock" ? {} : { apiKey: Redacted.make(testKey) })
  }]))
  const env = Object.assign({}, ...providerApis.map(({ env }) => env ?? {}), { OPENAI_BASE_URL: "" })
  const Model = Layer.orDie(Models.layerNamed(models)).pipe(
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env)))
  )
  const { url } = yield* onSqlite(Court, Layer.provide(Handlers, Model), join(temporaryFolder(), "ends.db"))
  const ask = (agent: string, api: ProviderApi, answers: ReadonlyArray<Answer>) =>
    Effect.promise(async () => {
      replay.prepare(answers)
      const response = await fetch(`${url}/agents/${agent}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model: nameOf(api) })
      })
      const body: unknown = await response.json()
      return { status: response.status, body, sent: replay.received.map(({ body }) => JSON.stringify(body)) }
    })
  return ask
})

/** Makes a claim about every provider, and names the one for which it does not hold. */
const each = (
  claim: (
    ask: Effect.Success<typeof served>,
    api: ProviderApi
  ) => Effect.Effect<void>
) =>
  Effect.gen(function*() {
    const ask = yield* served
    for (const api of providerApis) yield* claim(ask, api)
  }).pipe(Effect.scoped)

const whole = (api: ProviderApi, text: string): Answer => {
  const answer = judged[nameOf(api)]?.answer(text)
  if (answer !== undefined) return answer
  const stream = String(api.second.body).replace("\"It is sunny.\"", JSON.stringify(text))
  return { ...api.second, body: stream }
}

describe("the ends of an answer, for each provider, over REST on SQLite", () => {
  it.live(
    "a prompt that the provider finds too long is ContextExceeded with its counts, and is not asked again",
    () =>
      each((ask, api) =>
        Effect.gen(function*() {
          const name = nameOf(api)
          const refused = tooLong[name]
          assert.isDefined(refused, name)
          const answer = { status: refused?.status, headers: { "content-type": "application/json" } }
          const { body, sent, status } = yield* ask("talk", api, [{ ...answer, body: JSON.stringify(refused?.body) }])
          assert.strictEqual(status, 413, `${name}: ${JSON.stringify(body)}`)
          const { detail, title } = Object(body)
          assert.strictEqual(title, "ContextExceeded", name)
          if (refused?.inputTokens !== undefined) assert.include(detail, `has ${refused.inputTokens} tokens`, name)
          if (refused?.contextWindow !== undefined) assert.include(detail, `(${refused.contextWindow} tokens)`, name)
          assert.strictEqual(sent.length, 1, name)
        })
      ),
    60_000
  )

  it.live(
    "a text that the limit cuts off is given as it is, with its finish reason",
    () =>
      each((ask, api) =>
        Effect.gen(function*() {
          const { body, status } = yield* ask("talk", api, [cutOf(api)])
          assert.strictEqual(status, 200, nameOf(api))
          assert.deepStrictEqual(body, { text: "It is sunny.", finishReason: "length" }, nameOf(api))
        })
      ),
    60_000
  )

  it.live(
    "a structured answer is asked for as the provider's JSON schema where it has one, otherwise as a tool",
    () =>
      each((ask, api) =>
        Effect.gen(function*() {
          const name = nameOf(api)
          const { body, sent: [request = ""], status } = yield* ask("judge", api, [whole(api, "{\"order\":7}")])
          assert.strictEqual(status, 200, `${name}: ${JSON.stringify(body)}`)
          assert.deepStrictEqual(body, { order: 7 }, name)
          const { asks } = judged[name] ?? {}
          if (asks === undefined) assert.include(request, "\"final_answer\"", name)
          else {
            assert.match(request, asks, name)
            assert.notInclude(request, "\"tools\"", name)
          }
        })
      ),
    60_000
  )

  it.live(
    "a structured answer that the limit cuts off is asked for once more, and then ends the run with AnswerCut",
    () =>
      each((ask, api) =>
        Effect.gen(function*() {
          const name = nameOf(api)
          const cut = judged[name] === undefined
            ? cutOf({ ...api, second: whole(api, "{\"order\":") })
            : {
              ...whole(api, "{\"order\":"),
              body: String(whole(api, "{\"order\":").body)
                .replace("\"finish_reason\":\"stop\"", "\"finish_reason\":\"length\"")
                .replace("\"stop_reason\":\"end_turn\"", "\"stop_reason\":\"max_tokens\"")
                .replace("\"stopReason\":\"end_turn\"", "\"stopReason\":\"max_tokens\"")
                .replace("\"finishReason\":\"STOP\"", "\"finishReason\":\"MAX_TOKENS\"")
                .replace(
                  "\"status\":\"completed\",\"output\"",
                  "\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"max_output_tokens\"},\"output\""
                )
            }
          const { body, sent, status } = yield* ask("judge", api, [cut, cut])
          assert.strictEqual(status, 502, `${name}: ${JSON.stringify(body)}`)
          assert.strictEqual(Object(body).title, "AnswerCut", name)
          assert.strictEqual(sent.length, 2, name)
          assert.include(sent[1], "cut off", name)
        })
      ),
    60_000
  )
})
