import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, Event, RateLimit, Redaction, Run, Runtime } from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import { mountedWith, serve } from "../fixture.ts"
import { get, json, post, text } from "../http/rest.ts"
import { layerStores } from "../stores.ts"

/** Says as many words as it is asked for, and a key among them. */
class Long extends Agent.make("long", { description: "Talks on", payload: { text: Schema.String } })
  .hook(Redaction.Redaction)
{}

class Talks extends App.make("talks", { version: "1.0.0", agents: [Long] }) {}

const secret = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH"

const serveTalks = (options: {
  readonly rules?: ReadonlyArray<RateLimit.Rule>
  readonly cors?: ReadonlyArray<string>
} = {}) =>
  serve(
    mountedWith({ cors: options.cors ?? [] }, "rest", "ai-sdk", "ag-ui", "openai").pipe(
      Layer.provide(
        Runtime.layer(Talks).pipe(
          Layer.provide(
            Long.toLayer(Effect.fnUntraced(function*({ text }) {
              const words = Number(text)
              for (let at = 0; at < words; at++) yield* Run.emit(Event.token(`${at} `))
              yield* Run.emit(Event.token(`the key is ${secret} `))
              return ""
            }))
          ),
          Layer.provide(Redaction.layer()),
          Layer.provideMerge(Layer.mergeAll(
            layerStores,
            Auth.layerNone,
            options.rules === undefined ? RateLimit.layerUnlimited : RateLimit.layer(options.rules),
            Budget.layerUnlimited
          ))
        )
      )
    )
  )

const ask = (url: string, words: string, headers: Record<string, string> = {}) =>
  [
    post(`${url}/agents/long/chat`, {
      messages: [{ id: "m", role: "user", parts: [{ type: "text", text: words }] }]
    }, headers),
    post(`${url}/agents/long/ag-ui`, {
      threadId: "t",
      runId: words,
      messages: [{ id: "m", role: "user", content: words }]
    }, headers),
    post(`${url}/v1/chat/completions`, {
      model: "long",
      messages: [{ role: "user", content: words }],
      stream: true
    }, headers),
    post(`${url}/v1/responses`, { model: "long", input: words, stream: true }, headers)
  ] as const

/** The text of a stream of any of the front ends. */
const said = (body: string) =>
  body.split("\n").filter((line) => line.startsWith("data: {")).map((line) => {
    const event = JSON.parse(line.slice(6))
    const isText = [undefined, "text-delta", "TEXT_MESSAGE_CONTENT", "response.output_text.delta"].includes(event.type)
    return isText ? event.delta ?? event.choices?.[0]?.delta.content ?? "" : ""
  }).join("")

describe("The chat front ends, as every route", () => {
  it.live("say nothing that a guard takes out, and lose no word of a long answer", () =>
    Effect.gen(function*() {
      const url = yield* serveTalks()
      const words = 5_000
      const expected = Array.from({ length: words }, (_, at) => `${at} `).join("")
      for (const asked of ask(url, String(words))) {
        const body = yield* Effect.flatMap(asked, text)
        assert.notInclude(body, secret)
        assert.isTrue(said(body).startsWith(expected), said(body).slice(0, 200))
      }
      const whole = yield* json(yield* post(`${url}/v1/responses`, { model: "long", input: String(words) }))
      assert.notInclude(JSON.stringify(whole), secret)
    }).pipe(Effect.scoped))

  it.live("are limited by rules of their protocol, and say so in their own shape", () =>
    Effect.gen(function*() {
      const rules = (["ai-sdk", "ag-ui", "openai"] as const).map((protocol) => ({
        name: protocol,
        by: [],
        limit: 1,
        window: "1 minute" as const,
        protocols: [protocol]
      }))
      const url = yield* serveTalks({ rules })
      const [chat, agUi, completion, response] = yield* Effect.all(ask(url, "1"))
      for (const allowed of [chat, agUi, completion]) {
        assert.strictEqual(allowed.status, 200)
        assert.include(allowed.headers.get("ratelimit") ?? "", "r=0")
      }
      assert.strictEqual(response.status, 429)
      assert.isNotNull(response.headers.get("retry-after"))
      const { error } = yield* json(response)
      assert.deepInclude(Object(error), { code: "rate_limit_exceeded", type: "rate_limit_error" })
      const [again, further] = yield* Effect.all(ask(url, "2"))
      for (const refused of [again, further]) {
        assert.strictEqual((yield* json(refused))["title"], "RateLimited")
      }
      assert.strictEqual((yield* post(`${url}/agents/long`, { text: "1" })).status, 200)
    }).pipe(Effect.scoped))

  it.live("carry the security headers, and answer pages of listed origins only", () =>
    Effect.gen(function*() {
      const url = yield* serveTalks({ cors: ["https://chat.example.com"] })
      for (const asked of ask(url, "1", { origin: "https://chat.example.com" })) {
        const { headers, status } = yield* asked
        assert.strictEqual(status, 200)
        assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
        assert.strictEqual(headers.get("cache-control"), "no-store, no-transform")
        assert.strictEqual(headers.get("access-control-allow-origin"), "https://chat.example.com")
        assert.isNotNull(headers.get("x-run-id"))
        assert.isNotNull(headers.get("x-trace-id"))
      }
      for (const asked of ask(url, "1", { origin: "https://evil.example.com" })) {
        assert.strictEqual((yield* asked).status, 403)
      }
      assert.strictEqual((yield* get(`${url}/v1/models`)).status, 200)
    }).pipe(Effect.scoped))

  it.live("are not there where the mount leaves them out", () =>
    Effect.gen(function*() {
      const url = yield* serve(
        mountedWith({}, "rest", "openai").pipe(
          Layer.provide(
            Runtime.layer(Talks).pipe(
              Layer.provide(Long.toLayer(() => Effect.succeed("well"))),
              Layer.provide(Redaction.layer()),
              Layer.provideMerge(
                Layer.mergeAll(layerStores, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited)
              )
            )
          )
        )
      )
      const statuses = yield* Effect.forEach(ask(url, "1"), Effect.map(({ status }) => status))
      assert.deepStrictEqual(statuses, [404, 404, 200, 200])
      const document = yield* json(yield* get(`${url}/openapi.json`))
      const paths = Object.keys(Object(document["paths"]))
      assert.include(paths, "/v1/models")
      assert.notInclude(paths, "/agents/long/chat")
    }).pipe(Effect.scoped))
})
