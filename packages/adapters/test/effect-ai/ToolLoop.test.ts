import { assert, describe, it } from "@effect/vitest"
import { OfflineModel } from "@fastagentic/adapters/effect-ai"
import { Effect, Layer, Stream } from "effect"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import { SupportTools, SupportToolsLayer } from "./support.ts"

/** The loop of a runtime that executes tools itself: effect/ai neither runs a handler nor asks for approval. */
const run = Effect.fnUntraced(function*(question: string, allows: (tool: string) => boolean) {
  const toolkit = yield* SupportTools
  let prompt = Prompt.make(question)
  while (true) {
    const parts = yield* LanguageModel.streamText({ prompt, toolkit, disableToolCallResolution: true }).pipe(
      Stream.runCollect
    )
    const calls = parts.filter((part) => part.type === "tool-call")
    const results = yield* Effect.forEach(
      calls,
      Effect.fnUntraced(function*(call) {
        const common = { id: call.id, name: call.name, providerExecuted: false }
        if (!allows(call.name)) {
          const result = { type: "execution-denied", reason: "not today" }
          return Prompt.toolResultPart({ ...common, isFailure: true, result })
        }
        const outputs = yield* Stream.runCollect(Stream.unwrap(toolkit.handle(call.name, call.params, call.id)))
        const output = outputs.at(-1)
        return Prompt.toolResultPart({
          ...common,
          isFailure: output?.isFailure ?? true,
          result: output?.encodedResult
        })
      })
    )
    const answer = Prompt.fromResponseParts(parts)
    const resultMessages = results.length === 0 ? [] : [Prompt.toolMessage({ content: results })]
    prompt = Prompt.fromMessages([...prompt.content, ...answer.content, ...resultMessages])
    const finish = parts.find((part) => part.type === "finish")
    const text = parts.map((part) => part.type === "text-delta" ? part.delta : "").join("")
    if (finish?.reason !== "tool-calls") return { text, roles: prompt.content.map(({ role }) => role) }
  }
})

const TestLayer = Layer.merge(OfflineModel.layer, SupportToolsLayer)

describe("a tool loop with its own execution", () => {
  it.effect("allowed tools run", () =>
    Effect.gen(function*() {
      const { roles, text } = yield* run("Refund order 1042 in full", () => true)
      assert.strictEqual(text, "Done: I refunded 84.50 EUR of order 1042. It is now refunded.")
      assert.deepStrictEqual(roles, ["user", "assistant", "tool", "assistant", "tool", "assistant"])
    }).pipe(Effect.provide(TestLayer)))

  it.effect("a denied call is reported to the model", () =>
    Effect.gen(function*() {
      const { text } = yield* run("Refund order 1042 in full", (tool) => tool !== "refund_order")
      assert.strictEqual(text, "I did not refund order 1042: the call was denied (not today).")
    }).pipe(Effect.provide(TestLayer)))

  it.effect("a failed call is reported to the model", () =>
    Effect.gen(function*() {
      const { text } = yield* run("Where is order 999999?", () => true)
      assert.strictEqual(text, "There is no order 999999.")
    }).pipe(Effect.provide(TestLayer)))
})
