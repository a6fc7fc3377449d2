import { assert, describe, it } from "@effect/vitest"
import { App, ClientRequest, Policy, PromptTemplate, Run, Runtime } from "@fastagentic/core"
import { Effect, Layer, Schedule, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { messagesIn, modern, open, post } from "./asker.ts"
import { by, lasting, serveApp } from "./asking.ts"

const asks = <const Name extends string>(name: Name) =>
  Tool.make(name, {
    parameters: Schema.Struct({ url: Schema.optionalKey(Schema.String) }),
    success: Schema.String,
    failure: ClientRequest.ClientRefused,
    dependencies: [Run.CurrentRun]
  }).annotate(Policy.Durable, true)

const Tools = Toolkit.make(asks("consent"), asks("pay"), asks("only_pages").annotate(ClientRequest.Requires, ["url"]))

const Connected = PromptTemplate.make("connected", {
  description: "Needs an account",
  params: { page: Schema.Literals(["consent", "page"]) }
})

class Till extends App.make("till", { version: "1", tools: Tools, prompts: [Connected] }) {}

const address = "https://example.com/pay?order=1"
const Receipt = Schema.Struct({ receipt: Schema.Int })

/** Whether the account of the prompt is connected; tests change it. */
const account = { isConnected: false }

const consent = (url = address) => ClientRequest.openUrl("terms", { message: "Read the terms", url })
const pay = (url = address) => ClientRequest.openUrl("payment", { message: "Pay 5 EUR", url, schema: Receipt })

const handlers = Layer.mergeAll(
  Tools.toLayer({
    consent: ({ url }) => Effect.as(consent(url), "agreed"),
    pay: ({ url }) => Effect.map(pay(url), ({ receipt }) => `receipt ${receipt}`),
    only_pages: () => Effect.as(consent(), "agreed")
  }),
  Connected.toLayer(({ page }) =>
    (account.isConnected ? Effect.void : Effect.asVoid(page === "consent" ? consent() : pay())).pipe(
      Effect.as("connected"),
      Effect.catchTag("ClientRefused", ({ reason }) => Effect.succeed(`refused: ${reason}`))
    )
  )
)

const serveTill = (kept: Effect.Success<typeof lasting>) =>
  Effect.map(
    serveApp(kept, Runtime.layer(Till, { grace: "100 millis" }).pipe(Layer.provide(handlers)), { ann: [], bob: [] }),
    ({ url }) => ({ url: `${url}/mcp`, rest: url })
  )
const node = Effect.flatMap(lasting, serveTill)

const pages = { elicitation: { url: {} } }
const call = (name: string, more: object = {}) => ({ name, arguments: {}, ...more })
const last = <A>({ messages }: { readonly messages: ReadonlyArray<A> }) => messages[messages.length - 1]
const textOf = (message: ReturnType<typeof JSON.parse>): string => message.result?.content?.[0]?.text

const json = (url: string, init: RequestInit = {}): Effect.Effect<ReturnType<typeof JSON.parse>> =>
  Effect.promise(async () => {
    const headers = { "content-type": "application/json", ...by("ann") }
    return (await fetch(url, { headers, ...init })).json()
  })

const questions = (rest: string) => Effect.map(json(`${rest}/interrupts`), ({ items }) => items)

/** Answers the open question as the page's server does. */
const answerAsPage = (rest: string, answer: object) =>
  questions(rest).pipe(
    Effect.flatMap(([question]) => question === undefined ? Effect.fail("none is open") : Effect.succeed(question)),
    Effect.retry({ times: 100, schedule: Schedule.spaced("30 millis") }),
    Effect.orDie,
    Effect.flatMap(({ id, runId }) =>
      json(`${rest}/runs/${runId}/interrupts/${id}`, { method: "POST", body: JSON.stringify(answer) })
    )
  )

/** Sends a request in a session of 2025, and answers each request of the server; the result is all that came. */
const converse = (
  url: string,
  session: Record<string, string>,
  method: string,
  params: object,
  answer: (params: ReturnType<typeof JSON.parse>) => Promise<object>
) =>
  Effect.promise(async () => {
    const headers = { "content-type": "application/json", accept: "application/json, text/event-stream", ...session }
    const sent = (message: object) => fetch(url, { method: "POST", headers, body: JSON.stringify(message) })
    const response = await sent({ jsonrpc: "2.0", id: 7, method, params })
    let [text, read] = ["", 0]
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true })
      const messages = messagesIn(text.slice(0, text.lastIndexOf("\n\n") + 1))
      for (const { id, method, params } of messages.slice(read)) {
        if (method === undefined || id === undefined) continue
        await sent({ jsonrpc: "2.0", id, result: await answer(params) })
      }
      read = messages.length
    }
    return messagesIn(text)
  })

describe("A page that a tool asks its client to open", () => {
  it.live("is a request of mode url on 2026-07-28, and the consent is the answer", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const { result } = last(yield* modern(url, "tools/call", call("consent"), { capabilities: pages }))
      assert.deepStrictEqual(result.inputRequests, {
        terms: { method: "elicitation/create", params: { mode: "url", message: "Read the terms", url: address } }
      })
      const more = { requestState: result.requestState, inputResponses: { terms: { action: "accept" } } }
      const done = last(yield* modern(url, "tools/call", call("consent", more), { capabilities: pages }))
      assert.strictEqual(textOf(done), "agreed")
    }))

  it.live("answers itself where the question has a value: consent leaves it open, and the next round has the value", () =>
    Effect.gen(function*() {
      const { rest, url } = yield* node
      const { result } = last(yield* modern(url, "tools/call", call("pay"), { capabilities: pages }))
      assert.strictEqual(result.inputRequests.payment.params.url, address)
      const forged = { action: "accept", content: { receipt: 1 } }
      const more = { requestState: result.requestState, inputResponses: { payment: forged } }
      const paying = Effect.andThen(
        Effect.sleep("300 millis"),
        answerAsPage(rest, {
          decision: "approve",
          value: { receipt: 42 }
        })
      )
      const [reply] = yield* Effect.all([
        modern(url, "tools/call", call("pay", more), { capabilities: pages }),
        paying
      ], { concurrency: "unbounded" })
      assert.strictEqual(textOf(last(reply)), "receipt 42")
    }))

  it.live("has an id on 2025-11-25, and its end is told on the stream of the call, before the result", () =>
    Effect.gen(function*() {
      const { rest, url } = yield* node
      const session = yield* open(url, pages)
      const asked: Array<ReturnType<typeof JSON.parse>> = []
      const messages = yield* converse(url, session, "tools/call", call("pay"), async (params) => {
        asked.push(params)
        const paying = Effect.andThen(
          Effect.sleep("300 millis"),
          answerAsPage(rest, { decision: "approve", value: { receipt: 7 } })
        )
        void Effect.runPromise(paying)
        return { action: "accept" }
      })
      const [{ elicitationId, ...shown }] = asked
      assert.deepStrictEqual(shown, { mode: "url", message: "Pay 5 EUR", url: address })
      const told = messages.filter(({ method }) => method === "notifications/elicitation/complete")
      assert.deepStrictEqual(told.map(({ params }) => params), [{ elicitationId }])
      assert.strictEqual(textOf(messages.at(-1)), "receipt 7")
      assert.strictEqual(asked.length, 1)
    }))

  it.live("leaves its run to wait when the client of 2026-07-28 hangs up while the page is open", () =>
    Effect.gen(function*() {
      const { rest, url } = yield* node
      const { result } = last(yield* modern(url, "tools/call", call("pay"), { capabilities: pages }))
      const more = { requestState: result.requestState, inputResponses: { payment: { action: "accept" } } }
      const hungUp = yield* Effect.timeoutOption(
        modern(url, "tools/call", call("pay", more), { capabilities: pages }),
        "400 millis"
      )
      assert.strictEqual(hungUp._tag, "None")
      yield* Effect.sleep("200 millis")
      yield* answerAsPage(rest, { decision: "approve", value: { receipt: 9 } })
      const again = last(yield* modern(url, "tools/call", call("pay"), { capabilities: pages }))
      assert.strictEqual(textOf(again), "receipt 9")
    }))

  it.live("that the user declines is refused to the handler", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const session = yield* open(url, pages)
      const messages = yield* converse(url, session, "tools/call", call("pay"), async () => ({ action: "decline" }))
      assert.include(textOf(messages.at(-1)), "declined")
    }))

  it.live("is never sent to a client without the mode, whose result and whose other protocols show the address", () =>
    Effect.gen(function*() {
      const { rest, url } = yield* node
      const { result } = last(
        yield* modern(url, "tools/call", call("pay"), { capabilities: { elicitation: { form: {} } } })
      )
      assert.isTrue(result.isError)
      const { interrupts: [shown], next } = JSON.parse(result.content[0].text)
      assert.strictEqual(shown.url, address)
      assert.include(next, "whole url")
      const [question] = yield* questions(rest)
      assert.strictEqual(question.url, address)
      const runId = question.runId
      const answer = { runId, decision: "approve", value: { receipt: 1 } }
      const forged = last(yield* modern(url, "tools/call", { name: "answer_run", arguments: answer }))
      assert.include(textOf(forged), "AnsweredByPage")
      yield* answerAsPage(rest, { decision: "approve", value: { receipt: 3 } })
      const again = last(yield* modern(url, "tools/call", call("pay"), { capabilities: { elicitation: {} } }))
      assert.strictEqual(textOf(again), "receipt 3")
    }))

  it.live("is refused before the run where the tool requires the mode, with the capability that lacks", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const { error } = last(
        yield* modern(url, "tools/call", call("only_pages"), { capabilities: { elicitation: {} } })
      )
      assert.strictEqual(error.code, -32021)
      assert.deepStrictEqual(error.data.requiredCapabilities, { elicitation: { url: {} } })
      const session = yield* open(url, { elicitation: {} })
      const legacy = last(
        yield* post(url, { jsonrpc: "2.0", id: 1, method: "tools/call", params: call("only_pages") }, session)
      )
      assert.strictEqual(legacy.error.code, -32021)
    }))

  it.live("is shown to nobody when its address is not https, holds credentials, or is no address", () =>
    Effect.gen(function*() {
      const { rest, url } = yield* node
      const unsafe = [
        "http://example.com/",
        "https://ann:secret@example.com/",
        "javascript:alert(1)",
        "pay",
        "file:///a",
        `https://example.com/${"ü".repeat(1_000)}`
      ]
      for (const one of unsafe) {
        const { result } = last(
          yield* modern(url, "tools/call", { name: "pay", arguments: { url: one } }, { capabilities: pages })
        )
        assert.include(result.content[0].text, "unsafe", one)
      }
      assert.deepStrictEqual(yield* questions(rest), [])
      const local = { name: "pay", arguments: { url: "http://localhost:3000/pay\n/\u202e" } }
      const { result } = last(yield* modern(url, "tools/call", local, { capabilities: pages }))
      assert.strictEqual(result.resultType, "input_required")
      assert.strictEqual(result.inputRequests.payment.params.url, "http://localhost:3000/pay/%E2%80%AE")
    }))

  it.live("is shown in its ASCII form, whatever characters its address has", () =>
    Effect.gen(function*() {
      const { rest, url } = yield* node
      const odd = { name: "pay", arguments: { url: "https://аpple.com/\u202eyap\n?of=1" } }
      const { result } = last(yield* modern(url, "tools/call", odd, { capabilities: pages }))
      const shown = "https://xn--pple-43d.com/%E2%80%AEyap?of=1"
      assert.strictEqual(result.inputRequests.payment.params.url, shown)
      assert.deepStrictEqual((yield* questions(rest)).map((question: { readonly url: string }) => question.url), [
        shown
      ])
    }))
})

describe("A page that a prompt asks its client to open", () => {
  const get = (page: "consent" | "page", more: object = {}) => ({ name: "connected", arguments: { page }, ...more })
  const said = (message: ReturnType<typeof JSON.parse>) => message.result.messages[0].content.text

  it.live("is asked for again on 2026-07-28 until the handler needs it no more", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const first = last(yield* modern(url, "prompts/get", get("page"), { capabilities: pages })).result
      const inputResponses = { payment: { action: "accept" } }
      const more = { requestState: first.requestState, inputResponses }
      const second = last(yield* modern(url, "prompts/get", get("page", more), { capabilities: pages })).result
      assert.deepStrictEqual(Object.keys(second.inputRequests), ["payment"])
      account.isConnected = true
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          account.isConnected = false
        })
      )
      const third = { requestState: second.requestState, inputResponses }
      assert.strictEqual(
        said(last(yield* modern(url, "prompts/get", get("page", third), { capabilities: pages }))),
        "connected"
      )
    }).pipe(Effect.scoped))

  it.live("is an error -32042 with the page on 2025-11-25, once the user has agreed to open it", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const session = yield* open(url, pages)
      const asked: Array<ReturnType<typeof JSON.parse>> = []
      const messages = yield* converse(url, session, "prompts/get", get("page"), async (params) => {
        asked.push(params)
        return { action: "accept" }
      })
      const { error } = messages.at(-1)
      assert.strictEqual(error.code, -32042)
      assert.deepStrictEqual(error.data.elicitations, asked)
      assert.strictEqual(new Set(asked.map(({ elicitationId }) => elicitationId)).size, 1)
      const consented = yield* converse(url, session, "prompts/get", get("consent"), async () => ({ action: "accept" }))
      assert.strictEqual(said(consented.at(-1)), "connected")
    }))

  it.live("is refused to the handler where the client does not declare the mode", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      for (const capabilities of [{}, { elicitation: {} }]) {
        const reply = last(yield* modern(url, "prompts/get", get("consent"), { capabilities }))
        assert.strictEqual(said(reply), "refused: unsupported")
      }
    }))
})
