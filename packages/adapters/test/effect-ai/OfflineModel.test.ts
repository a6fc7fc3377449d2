import { assert, describe, it } from "@effect/vitest"
import { OfflineModel } from "@fastagentic/adapters/effect-ai"
import { Effect, Fiber, Layer, Schema, Stream } from "effect"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as TestClock from "effect/testing/TestClock"
import { converse, SupportToolsLayer } from "./support.ts"

const TestLayer = Layer.merge(OfflineModel.layer, SupportToolsLayer)

const ask = (question: string, earlier?: Prompt.Prompt) => converse(question, earlier).pipe(Effect.provide(TestLayer))

const find = (orderId: number) => ({ name: "find_order", params: { orderId } })
const search = (params: object) => ({ name: "search_orders", params })
const refund = (orderId: number, amount: number) => ({ name: "refund_order", params: { orderId, amount } })

describe("OfflineModel", () => {
  const planned: Array<[question: string, calls: Array<{ readonly name: string; readonly params: unknown }>]> = [
    ["Where is order 1042?", [find(1042)]],
    ["What's the status of order 1,042?", [find(1042)]],
    ["track #1044", [find(1044)]],
    ["Was order 1042 refunded?", [find(1042)]],
    ["Don't refund order 1042 in full", [find(1042)]],
    ["Why did you refund order 1042 in full?", [find(1042)]],
    ["Where is order 999999?", [find(999999)]],
    ["Refund order 1042 in full", [find(1042), refund(1042, 84.5)]],
    ["Can you refund the full amount of order 1042 please", [find(1042), refund(1042, 84.5)]],
    ["Refund 10 of order 1042", [refund(1042, 10)]],
    ["Please refund €10.50 on order #1042", [refund(1042, 10.5)]],
    ["Refund order 999999 in full", [find(999999)]],
    ["Refund order 1042", []],
    ["Cancel order 1042", []],
    ["Where is my order?", []],
    ["Tell me a joke", []],
    ["Show shipped orders of Ada Lovelace", [search({ customer: "Ada Lovelace", state: "shipped", limit: 10 })]],
    ["Show Ada Lovelace's orders", [search({ customer: "Ada Lovelace", limit: 10 })]],
    ["List 3 delivered orders", [search({ state: "delivered", limit: 3 })]],
    ["List 500 delivered orders", [search({ state: "delivered", limit: 50 })]],
    ["Find orders of \"alan turing\"", [search({ customer: "alan turing", limit: 10 })]]
  ]

  for (const [question, calls] of planned) {
    it.effect(`the model plans: ${question}`, () =>
      Effect.gen(function*() {
        const loop = yield* ask(question)
        assert.deepStrictEqual([...loop.calls], calls)
        assert.deepStrictEqual(loop.finishes.map((part) => part.reason), [...calls.map(() => "tool-calls"), "stop"])
        assert.notStrictEqual(loop.text, "")
      }))
  }

  it.effect("the answer states the tools' results, word by word and with usage", () =>
    Effect.gen(function*() {
      const loop = yield* ask("Where is order 1042?")
      assert.strictEqual(
        loop.text,
        "Order 1042 of Ada Lovelace is shipped. It contains 2 × Blue Mug and 1 × Teapot, comes to 84.50 EUR and was " +
          "placed on 2026-08-01."
      )
      assert.strictEqual(loop.deltas.length, loop.text.split(" ").length)
      for (const { usage } of loop.finishes) {
        assert.isAbove(usage.inputTokens.total ?? 0, 0)
        assert.isAbove(usage.outputTokens.total ?? 0, 0)
      }
    }))

  it.effect("the answer reports a refund, a list, an empty list, a typed failure and a refusal", () =>
    Effect.gen(function*() {
      const texts = yield* Effect.forEach([
        "Refund order 1042 in full",
        "Refund 10 of order 1042",
        "List 2 delivered orders",
        "Show cancelled orders",
        "Where is order 999999?",
        "Refund 500 of order 1042",
        "Refund order 1042"
      ], (question) => Effect.map(ask(question), ({ text }) => text))
      assert.deepStrictEqual(texts, [
        "Done: I refunded 84.50 EUR of order 1042. It is now refunded.",
        "Done: I refunded 10 of order 1042. Its state is shipped.",
        "I found 2 orders: order 1043 (Ada Lovelace, delivered, 20 EUR); order 1045 (Grace Hopper, delivered, 30 EUR).",
        "I found no orders with state cancelled.",
        "There is no order 999999.",
        "I could not refund order 1042: refund refused (left 84.50).",
        "To refund order I need to know the amount. Could you tell me?"
      ])
    }))

  it.effect("the answer lists the tools when none fits", () =>
    Effect.gen(function*() {
      const { text } = yield* ask("Tell me a joke")
      assert.include(text, "find order (Find one order by its number)")
      assert.include(text, "refund order")
      const bare = yield* LanguageModel.generateText({ prompt: "Hello" }).pipe(Effect.provide(OfflineModel.layer))
      assert.include(bare.text, "I have no tools here")
      assert.strictEqual(bare.finishReason, "stop")
    }))

  it.effect("results of earlier turns are reused, lookups repeat after a change, and changes never repeat", () =>
    Effect.gen(function*() {
      const first = yield* converse("Where is order 1042?")
      const second = yield* converse("Refund it in full", first.prompt)
      assert.deepStrictEqual(second.calls, [refund(1042, 84.5)])
      const third = yield* converse("Where is order 1042?", second.prompt)
      assert.deepStrictEqual(third.calls, [find(1042)])
      assert.include(third.text, "Order 1042 of Ada Lovelace is refunded.")
      const fourth = yield* converse("Where is order 1042?", third.prompt)
      assert.deepStrictEqual(fourth.calls, [])
      assert.strictEqual(fourth.text, third.text)
      const fifth = yield* converse("Refund 84.5 of order 1042", fourth.prompt)
      assert.deepStrictEqual(fifth.calls, [])
    }).pipe(Effect.provide(TestLayer)))

  it.effect("an amount comes from the order of the question", () =>
    Effect.gen(function*() {
      const first = yield* converse("Where is order 1042?")
      const second = yield* converse("Where is order 1044?", first.prompt)
      const third = yield* converse("Refund it in full", second.prompt)
      assert.deepStrictEqual(third.calls, [refund(1044, 12)])
      const fourth = yield* converse("Now refund order 1042 in full", third.prompt)
      assert.deepStrictEqual(fourth.calls, [find(1042), refund(1042, 84.5)])
    }).pipe(Effect.provide(TestLayer)))

  it.effect("a denied call is reported and not repeated", () =>
    Effect.gen(function*() {
      const prompt = Prompt.make([
        { role: "user", content: "Refund 10 of order 1042" },
        {
          role: "assistant",
          content: [{ type: "tool-call", id: "call_1", name: "refund_order", params: { orderId: 1042, amount: 10 } }]
        },
        {
          role: "tool",
          content: [{
            type: "tool-result",
            id: "call_1",
            name: "refund_order",
            isFailure: true,
            result: { type: "execution-denied", reason: "over the limit" }
          }]
        }
      ])
      const response = yield* LanguageModel.generateText({ prompt })
      assert.strictEqual(response.text, "I did not refund order 1042: the call was denied (over the limit).")
      assert.deepStrictEqual(response.toolCalls, [])
    }).pipe(Effect.provide(OfflineModel.layer)))

  it.effect("tools are chained by the fields of their results", () =>
    Effect.gen(function*() {
      const Ticket = Schema.Struct({ id: Schema.Int, customerId: Schema.String })
      const toolkit = Toolkit.make(
        Tool.make("get_ticket", { parameters: Schema.Struct({ ticketId: Schema.Int }), success: Ticket }),
        Tool.make("get_customer", {
          parameters: Schema.Struct({ customerId: Schema.String }),
          success: Schema.Struct({ name: Schema.String, city: Schema.String })
        })
      )
      const handlers = toolkit.toLayer({
        get_ticket: ({ ticketId }) => Effect.succeed({ id: ticketId, customerId: "c-7" }),
        get_customer: () => Effect.succeed({ name: "Ada Lovelace", city: "London" })
      })
      const called: Array<unknown> = []
      let prompt = Prompt.make("Get the customer of ticket 12")
      for (let turn = 0; turn < 4; turn++) {
        const response = yield* LanguageModel.generateText({ prompt, toolkit }).pipe(Effect.provide(handlers))
        called.push(...response.toolCalls.map(({ name, params }) => [name, params]))
        prompt = Prompt.concat(prompt, Prompt.fromResponseParts(response.content))
        if (response.finishReason !== "tool-calls") {
          assert.strictEqual(response.text, "Here is Ada Lovelace. Also: city London.")
          break
        }
      }
      assert.deepStrictEqual(called, [["get_ticket", { ticketId: 12 }], ["get_customer", { customerId: "c-7" }]])
    }).pipe(Effect.provide(OfflineModel.layer)))

  it.effect("runtime tools, tool choice and structured output work", () =>
    Effect.gen(function*() {
      const toolkit = Toolkit.make(Tool.dynamic("search_docs", {
        description: "Search the handbook",
        parameters: { type: "object", properties: { query: { type: "string" } }, required: ["query"] }
      }))
      const options = {
        prompt: "Search the handbook for refund policy",
        toolkit,
        disableToolCallResolution: true
      } as const
      const called = yield* LanguageModel.generateText(options)
      assert.deepStrictEqual(called.toolCalls.map(({ params }) => params), [{ query: "refund policy" }])
      const held = yield* LanguageModel.generateText({ ...options, toolChoice: "none" })
      assert.deepStrictEqual(held.toolCalls, [])
      const { value } = yield* LanguageModel.generateObject({
        prompt: "The parcel of Ada Lovelace is urgent, 3 days late",
        schema: Schema.Struct({
          name: Schema.String,
          priority: Schema.Literals(["low", "urgent"]),
          tags: Schema.Array(Schema.String),
          open: Schema.Boolean
        })
      })
      assert.deepStrictEqual(value, { name: "Ada Lovelace", priority: "urgent", tags: [], open: false })
    }).pipe(Effect.provide(OfflineModel.layer)))

  it.effect("parts are delayed on request", () =>
    Effect.gen(function*() {
      const fiber = yield* LanguageModel.streamText({ prompt: "Hello" }).pipe(
        Stream.runCollect,
        Effect.provide(OfflineModel.layerWith({ pause: "1 second" })),
        Effect.forkChild({ startImmediately: true })
      )
      yield* TestClock.adjust("5 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 minute")
      const parts = yield* Fiber.join(fiber)
      assert.strictEqual(parts.at(-1)?.type, "finish")
    }))
})
