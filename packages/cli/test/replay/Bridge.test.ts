import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Redacted, Schema, Stream } from "effect"
import { AiError, LanguageModel, type Response, Tool, Toolkit } from "effect/ai"
import { Models } from "fastagentic/models"
import { afterAll, beforeAll } from "vitest"
import { type ReplayServer, replayServer } from "./replayServer.ts"
import { type Meaning, type Shape, shapes } from "./shapes.ts"

const Tools = Toolkit.make(
  Tool.make("get_weather", { parameters: Schema.Struct({ city: Schema.String }), success: Schema.String }),
  Tool.make("now", { success: Schema.String })
)

let server: ReplayServer
beforeAll(async () => {
  server = await replayServer()
})
afterAll(() => server.stop())

const options = { toolkit: Tools, disableToolCallResolution: true, toolCallValidation: "deferred" } as const

/** The meaning of the parts that arrived, and of the error behind them. */
const meaningOf = (parts: ReadonlyArray<Response.AnyPart>, error: AiError.AiError | undefined): Meaning => {
  const text = parts.map((part) => part.type === "text-delta" ? part.delta : part.type === "text" ? part.text : "")
    .join("")
  const reasoning = parts.map((part) =>
    part.type === "reasoning-delta" ? part.delta : part.type === "reasoning" ? part.text : ""
  ).join("")
  const calls = parts.flatMap((part): ReadonlyArray<readonly [string, unknown]> =>
    part.type === "tool-call" ? [[part.name, part.params]] : []
  )
  const finish = parts.find((part) => part.type === "finish")
  const [input, output] = [finish?.usage.inputTokens.total, finish?.usage.outputTokens.total]
  return {
    ...(text === "" ? {} : { text }),
    ...(reasoning === "" ? {} : { reasoning }),
    ...(calls.length === 0 ? {} : { calls }),
    ...(finish === undefined ? {} : { finish: finish.reason }),
    ...(finish === undefined
      ? {}
      : { usage: input === undefined || output === undefined ? "none" : [input, output] as const }),
    ...(error === undefined ? {} : { error: { tag: error.reason._tag } })
  }
}

const wordsOf = (error: AiError.AiError) => JSON.stringify(error) + error.message

const ask = (shape: Shape) =>
  Effect.gen(function*() {
    const parts: Array<Response.AnyPart> = []
    const asked = shape.whole === true
      ? Effect.map(LanguageModel.generateText({ prompt: "Hello", ...options }), ({ content }) => {
        parts.push(...content)
      })
      : Stream.runForEach(LanguageModel.streamText({ prompt: "Hello", ...options }), (part) =>
        Effect.sync(() => {
          parts.push(part)
        }))
    const error = yield* Effect.match(asked, { onFailure: (error) => error, onSuccess: () => undefined })
    return { parts, error }
  }).pipe(Effect.provide(Models.layer("m", { baseUrl: server.url, apiKey: Redacted.make("sk-secret-1") })))

describe("an answer of a chat completions server, over the bridge", () => {
  for (const shape of shapes) {
    it.live(`${shape.name} is understood`, () =>
      Effect.gen(function*() {
        server.prepare([shape.answer])
        const { error, parts } = yield* ask(shape)
        const { error: expected, ...means } = shape.means
        const meaning = meaningOf(parts, error)
        assert.deepStrictEqual(meaning, {
          ...means,
          ...(expected === undefined ? {} : { error: { tag: expected.tag } })
        })
        if (error !== undefined) assert.include(wordsOf(error), expected?.words ?? "")
        const wait = error?.retryAfter
        if (expected?.retryAfter !== undefined) {
          const seconds = wait === undefined ? -2 : Duration.toSeconds(wait)
          // The date is an hour after the shapes were loaded.
          if (expected.retryAfter === -1) assert.approximately(seconds, 3300, 310)
          else assert.strictEqual(seconds, expected.retryAfter)
        }
        const ids = parts.flatMap((part) => part.type === "tool-call" ? [part.id] : [])
        assert.strictEqual(new Set(ids).size, ids.length, "each call has an id of its own")
      }))
  }
})
