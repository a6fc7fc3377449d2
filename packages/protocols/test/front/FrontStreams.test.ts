// How the streams of all front ends end: an answer that its limit of tokens has cut off, a key that is revoked meanwhile, and
// a turn that waits behind another.
import { assert, describe, it } from "@effect/vitest"
import { Agent, ApiKeys, App, Budget, Event, RateLimit, Run, Runtime } from "@fastagentic/core"
import { Deferred, Effect, Fiber, Layer, Redacted, Schema } from "effect"
import { mountedWith, serve } from "../fixture.ts"
import { json, post, text } from "../http/rest.ts"
import { layerStores } from "../stores.ts"

/** Says a word as a model that was cut off; "mended" adds words of its own, "again" asks the model once more. */
class Cut extends Agent.make("cut", { description: "Is cut off", payload: { text: Schema.String } }) {}

/** Says a word, and waits at the gate. */
class Slow extends Agent.make("slow", { description: "Takes its time", payload: { text: Schema.String } }) {}

/** Asks about the message "ask", and repeats every other. */
class Line extends Agent.make("line", {
  description: "Takes one message after the other",
  payload: { text: Schema.String },
  threads: "enqueue"
}) {}

class Ends extends App.make("ends", { version: "1.0.0", agents: [Cut, Slow, Line] }) {}

const model = Effect.fnUntraced(function*(messageId: string, said: string, finishReason: string) {
  yield* Run.emit(Event.make("message_start", { messageId, role: "assistant" }))
  yield* Run.emit(Event.token(said, messageId))
  yield* Run.emit(Event.make("message_end", { messageId, finishReason }))
})

const serveEnds = Effect.gen(function*() {
  const gate = yield* Deferred.make<void>()
  yield* Effect.addFinalizer(() => Deferred.succeed(gate, undefined))
  const handlers = Layer.mergeAll(
    Cut.toLayer(Effect.fnUntraced(function*({ text }) {
      yield* model("m1", "half a sen", "length")
      if (text === "mended") return "It is too long."
      if (text === "again") yield* model("m2", "whole", "stop")
      return text === "again" ? "whole" : "half a sen"
    })),
    Slow.toLayer(Effect.fnUntraced(function*() {
      yield* Run.emit(Event.token("First, "))
      yield* Deferred.await(gate)
      return "First, then."
    })),
    Line.toLayer(({ text }) =>
      text === "ask"
        ? Effect.as(Effect.orDie(Run.interrupt("sure", { schema: Schema.Boolean, message: "Sure?" })), "sure")
        : Effect.succeed(text)
    )
  )
  const keys = yield* Layer.build(ApiKeys.layer.pipe(
    Layer.provideMerge(Layer.merge(ApiKeys.ApiKeyStore.layerMemory, layerStores))
  ))
  const services = Layer.mergeAll(Layer.succeedContext(keys), RateLimit.layerUnlimited, Budget.layerUnlimited)
  const { key, secret } = yield* Effect.provideContext(
    ApiKeys.create({ id: "ann", tenant: "acme", scopes: [], roles: [] }),
    keys
  )
  const url = yield* serve(
    mountedWith({}, "rest", "ai-sdk", "ag-ui", "openai").pipe(
      Layer.provide(
        Runtime.layer(Ends, { grace: "100 millis", credentialCheck: "200 millis" }).pipe(
          Layer.provide(handlers),
          Layer.provideMerge(services)
        )
      )
    )
  )
  const headers = { authorization: `Bearer ${Redacted.value(secret)}` }
  return { url, headers, revoke: Effect.provideContext(ApiKeys.revoke(key.prefix), keys) }
})

const fronts = ["ai-sdk", "ag-ui", "completions", "responses"] as const
type Front = typeof fronts[number]

let asked = 0

const ask = (
  { headers, url }: { readonly url: string; readonly headers: Record<string, string> },
  front: Front,
  agent: string,
  said: string,
  stream = true
) => {
  const id = `m${++asked}`
  switch (front) {
    case "ai-sdk":
      return post(
        `${url}/agents/${agent}/chat`,
        { id, messages: [{ id, role: "user", parts: [{ type: "text", text: said }] }] },
        headers
      )
    case "ag-ui":
      return post(
        `${url}/agents/${agent}/ag-ui`,
        { threadId: id, runId: id, messages: [{ id, role: "user", content: said }] },
        headers
      )
    case "completions":
      return post(
        `${url}/v1/chat/completions`,
        { model: agent, messages: [{ role: "user", content: said }], stream },
        headers
      )
    case "responses":
      return post(`${url}/v1/responses`, { model: agent, input: said, stream }, headers)
  }
}

const Frame = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json))

/** The events of a stream, and whether it ends as OpenAI's and the AI SDK's streams do. */
const framesOf = (body: string) =>
  Effect.forEach(
    body.split("\n").filter((line) => line.startsWith("data: {")),
    (line) => Effect.orDie(Schema.decodeUnknownEffect(Frame)(line.slice(6)))
  )

const endOf = Effect.fnUntraced(function*(response: Response) {
  const frames = yield* Effect.flatMap(text(response), framesOf)
  return { frames, last: frames.at(-1) ?? {} }
})

describe("An answer that its limit of tokens has cut off", () => {
  it.live("is cut for every front end, unless its handler has added to it or asked again", () =>
    Effect.gen(function*() {
      const served = yield* serveEnds
      for (const [said, isCut] of [["cut", true], ["mended", false], ["again", false]] as const) {
        const reason = isCut ? "length" : "stop"
        const ui = yield* Effect.flatMap(ask(served, "ai-sdk", "cut", said), endOf)
        assert.deepInclude(ui.last, { type: "finish", finishReason: reason }, said)
        const agUi = yield* Effect.flatMap(ask(served, "ag-ui", "cut", said), endOf)
        assert.deepInclude(agUi.last, { type: "RUN_FINISHED", outcome: { type: "success" } }, said)
        assert.deepStrictEqual(agUi.last["metadata"], isCut ? { finishReason: "length" } : undefined, said)
        const chunks = yield* Effect.flatMap(ask(served, "completions", "cut", said), endOf)
        assert.deepInclude(Object(chunks.last["choices"])[0], { finish_reason: reason }, said)
        const completion = yield* Effect.flatMap(ask(served, "completions", "cut", said, false), json)
        assert.deepInclude(Object(completion["choices"])[0], { finish_reason: reason }, said)
        const status = isCut
          ? { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } }
          : { status: "completed", incomplete_details: null }
        const events = yield* Effect.flatMap(ask(served, "responses", "cut", said), endOf)
        assert.strictEqual(events.last["type"], `response.${status.status}`, said)
        assert.deepInclude(events.last["response"], status, said)
        const response = yield* Effect.flatMap(ask(served, "responses", "cut", said, false), json)
        assert.deepInclude(response, status, said)
      }
    }).pipe(Effect.scoped))
})

describe("A stream whose caller's key is revoked", () => {
  it.live("ends with the typed error of its front end, and with nothing after it", () =>
    Effect.gen(function*() {
      const served = yield* serveEnds
      const streams = yield* Effect.forEach(fronts, (front) => ask(served, front, "slow", "go"))
      yield* Effect.sleep("300 millis")
      yield* served.revoke
      const [ui, agUi, completion, response] = yield* Effect.forEach(streams, endOf)
      assert.deepInclude(Object(ui?.frames.at(-2)), { type: "data-error", transient: true })
      assert.deepInclude(Object(ui?.frames.at(-2)?.["data"]), { tag: "Unauthenticated", status: 401 })
      assert.strictEqual(ui?.last["type"], "error")
      assert.deepInclude(agUi?.last, { type: "RUN_ERROR", code: "Unauthenticated" })
      assert.deepInclude(Object(agUi?.last["metadata"]), { status: 401 })
      const error = { code: "invalid_api_key", type: "authentication_error" }
      assert.deepInclude(Object(completion?.last["error"]), error)
      assert.deepInclude(response?.last, { code: "invalid_api_key", type: "error" })
      const numbers = response?.frames.map((frame) => frame["sequence_number"]) ?? []
      assert.deepStrictEqual(numbers, numbers.map((_, at) => at))
    }).pipe(Effect.scoped))
})

describe("A message behind a turn that waits for a decision", () => {
  it.live("keeps its request open until somebody has decided, and chat completions refuse it", () =>
    Effect.gen(function*() {
      const { headers, url } = yield* serveEnds
      const send = (input: string, more: { readonly background?: boolean; readonly stream?: boolean } = {}) =>
        post(`${url}/v1/responses`, { model: "line", input, conversation: "chat", ...more }, headers)
      const asking = yield* Effect.flatMap(send("ask"), json)
      const runId = String(asking["id"]).slice("resp_".length)
      const completion = yield* post(
        `${url}/v1/chat/completions`,
        { model: "line", messages: [{ role: "user", content: "later" }], metadata: { thread_id: "chat" } },
        headers
      )
      assert.strictEqual(completion.status, 400, yield* text(completion))
      const background = yield* Effect.flatMap(send("background", { background: true }), json)
      assert.deepInclude(background, { status: "in_progress" })
      const whole = yield* Effect.forkChild(Effect.flatMap(send("later"), json))
      const streamed = yield* Effect.forkChild(Effect.flatMap(send("last", { stream: true }), endOf))
      yield* Effect.sleep("300 millis")
      assert.deepStrictEqual([whole.pollUnsafe(), streamed.pollUnsafe()], [undefined, undefined])
      const open = yield* Effect.flatMap(
        Effect.promise(() => fetch(`${url}/runs/${runId}/interrupts`, { headers })),
        json
      )
      const [question] = Object(open["items"])
      yield* post(`${url}/runs/${runId}/interrupts/${question.id}`, { decision: "approve", value: true }, headers)
      assert.deepInclude(yield* Fiber.join(whole), { status: "completed" })
      assert.strictEqual((yield* Fiber.join(streamed)).last["type"], "response.completed")
    }).pipe(Effect.scoped))
})
