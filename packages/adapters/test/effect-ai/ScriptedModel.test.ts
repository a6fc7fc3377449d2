import { assert, describe, it } from "@effect/vitest"
import { ScriptedModel } from "@fastagentic/adapters/effect-ai"
import { Effect, Fiber, Option, Schema, Stream } from "effect"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as TestClock from "effect/testing/TestClock"
import { converse, SupportToolsLayer } from "./support.ts"

const deltas = (prompt: string) =>
  LanguageModel.streamText({ prompt }).pipe(
    Stream.runFold(() => "", (text, part) => part.type === "text-delta" ? `${text}|${part.delta}` : text)
  )

describe("ScriptedModel", () => {
  it.effect("answers follow the script, and requests are recorded", () =>
    Effect.gen(function*() {
      const loop = yield* converse("Where is order 1042?")
      assert.deepStrictEqual(loop.calls, [{ name: "find_order", params: { orderId: 1042 } }])
      assert.deepStrictEqual(loop.deltas, ["It ", "is ", "on ", "its ", "way."])
      const { all, remaining } = yield* ScriptedModel.Requests
      const requests = yield* all
      assert.strictEqual(requests.length, 2)
      assert.deepStrictEqual(requests[0]?.tools, ["find_order", "search_orders", "refund_order"])
      assert.deepStrictEqual(requests[1]?.prompt.content.map(({ role }) => role), ["user", "assistant", "tool"])
      assert.deepStrictEqual(yield* remaining, [])
    }).pipe(
      Effect.provide(SupportToolsLayer),
      Effect.provide(ScriptedModel.layer([
        ScriptedModel.call("find_order", { orderId: 1042 }),
        ScriptedModel.text("It is on its way.")
      ]))
    ))

  it.effect("rules answer by the conversation, whatever the order of requests", () =>
    Effect.gen(function*() {
      const both = yield* Effect.all([converse("Where is order 1042?"), converse("Hello")], { concurrency: 2 })
      const again = yield* converse("Where is order 1042?")
      assert.deepStrictEqual(both.map(({ text }) => text), ["It is on its way.", "Good day."])
      assert.deepStrictEqual(again.calls, [{ name: "find_order", params: { orderId: 1042 } }])
      assert.strictEqual(again.text, "It is on its way.")
      const { description } = yield* Effect.flip(LanguageModel.generateText({ prompt: "Bye" })).pipe(
        Effect.map(({ reason }) => "description" in reason ? reason : { description: "" })
      )
      assert.strictEqual(description, "no rule of the script is for \"Bye\"")
    }).pipe(
      Effect.provide(SupportToolsLayer),
      Effect.provide(ScriptedModel.layerRules([
        {
          when: /order (\d+)/u,
          turns: [
            ScriptedModel.call("find_order", { orderId: 1042 }),
            ScriptedModel.text("It is on its way.")
          ]
        },
        { when: "Hello", turns: [ScriptedModel.text("Good day.")] }
      ]))
    ))

  it.effect("scripted chunks are streamed with the scripted usage", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* deltas("one"), "|ab|c d")
      const response = yield* LanguageModel.generateText({ prompt: "two" })
      assert.strictEqual(response.finishReason, "length")
      assert.strictEqual(response.usage.inputTokens.total, 7)
      assert.strictEqual(response.usage.outputTokens.total, 9)
    }).pipe(Effect.provide(ScriptedModel.layer([
      ScriptedModel.text(["ab", "c d"]),
      ScriptedModel.text("cut", { reason: "length", inputTokens: 7, outputTokens: 9 })
    ]))))

  it.effect("a scripted object is generated", () =>
    Effect.gen(function*() {
      const response = yield* LanguageModel.generateObject({ prompt: "?", schema: Schema.Struct({ n: Schema.Int }) })
      assert.deepStrictEqual(response.value, { n: 3 })
    }).pipe(Effect.provide(ScriptedModel.layer([ScriptedModel.object({ n: 3 })]))))

  it.effect("a scripted failure comes after the scripted text", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const error = yield* LanguageModel.streamText({ prompt: "one" }).pipe(
        Stream.runForEach((part) => Effect.sync(() => void (part.type === "text-delta" && seen.push(part.delta)))),
        Effect.flip
      )
      assert.deepStrictEqual(seen, ["half "])
      assert.strictEqual(error.reason._tag, "RateLimitError")
      const second = yield* LanguageModel.generateText({ prompt: "two" }).pipe(Effect.flip)
      assert.strictEqual(second.reason._tag, "ContentPolicyError")
    }).pipe(Effect.provide(ScriptedModel.layer([
      ScriptedModel.fail(new AiError.RateLimitError({}), { after: "half " }),
      ScriptedModel.fail(new AiError.ContentPolicyError({ description: "no" }))
    ]))))

  it.effect("scripted delays and hangs take effect", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(deltas("one"), { startImmediately: true })
      yield* TestClock.adjust("59 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "|late")
      const seen: Array<string> = []
      const hanging = yield* LanguageModel.streamText({ prompt: "two" }).pipe(
        Stream.runForEach((part) => Effect.sync(() => void (part.type === "text-delta" && seen.push(part.delta)))),
        Effect.timeoutOption("1 hour"),
        Effect.forkChild({ startImmediately: true })
      )
      yield* TestClock.adjust("1 hour")
      assert.isTrue(Option.isNone(yield* Fiber.join(hanging)))
      assert.deepStrictEqual(seen, ["so far"])
    }).pipe(Effect.provide(ScriptedModel.layer([
      ScriptedModel.delay("1 minute"),
      ScriptedModel.text("late"),
      ScriptedModel.hang({ after: ["so far"] })
    ]))))

  it.effect("a request after the script fails with a clear error", () =>
    Effect.gen(function*() {
      yield* deltas("one")
      const error = yield* Effect.flip(deltas("two"))
      assert.strictEqual(error.message, "ScriptedModel.streamText: the script has 1 turns, and this is request 2")
      assert.isFalse(error.isRetryable)
    }).pipe(Effect.provide(ScriptedModel.layer([ScriptedModel.text("only")]))))
})
