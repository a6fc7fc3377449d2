import { assert, describe, it } from "@effect/vitest"
import { ModelLoop, ScriptedModel } from "@fastagentic/adapters/effect-ai"
import {
  Agent,
  App,
  Audit,
  Auth,
  Budget,
  Caller,
  Content,
  Files,
  Message,
  RateLimit,
  RunStore,
  Runtime
} from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"

const Look = Tool.make("look", {
  parameters: Schema.Struct({ at: Schema.String }),
  success: Schema.Struct({ seen: Schema.String })
})
const Draw = Tool.make("draw", {
  parameters: Schema.Struct({}),
  success: Schema.Struct({ dots: Schema.Int }),
  toModelOutput: ({ dots }) => [Prompt.textPart({ text: `a picture of ${dots} dots` })]
})
const Tools = Toolkit.make(Look, Draw)

const payload = { text: Schema.String, picture: Schema.optionalKey(Schema.String) }
const Chat = Agent.make("chat", { description: "Talks", payload, threads: "enqueue" })
const Brief = Agent.make("brief", { description: "Talks", payload, threads: "enqueue" })
const Loose = Agent.make("loose", { description: "Talks", payload })
const Acme = App.make("acme", { version: "1", agents: [Chat, Brief, Loose] })

const ToolsLayer = Tools.toLayer({
  look: ({ at }) => Effect.succeed({ seen: `${at}!` }),
  draw: () => Effect.succeed({ dots: 7 })
})

interface Said {
  readonly text: string
  readonly picture?: string
}

const promptOf = ({ picture, text }: Said): Prompt.RawInput =>
  picture === undefined ? text : [{
    role: "user",
    content: [
      Prompt.textPart({ text }),
      Prompt.filePart({ mediaType: "image/png", data: new TextEncoder().encode(picture), fileName: "a.png" })
    ]
  }]

const answering = Effect.fnUntraced(function*(said: Said) {
  const { text } = yield* ModelLoop.run({ system: "Be kind.", prompt: promptOf(said), toolkit: Tools, thread: true })
  return text
})

const Handlers = Layer.mergeAll(
  Chat.toLayer(answering),
  Loose.toLayer(answering),
  Brief.toLayer(Effect.fnUntraced(function*({ text }) {
    const summarize = () => Effect.map(ModelLoop.run({ prompt: "Sum up", toolkit: Toolkit.empty }), ({ text }) => text)
    const answer = yield* ModelLoop.run({ prompt: text, toolkit: Toolkit.empty, thread: { last: 4, summarize } })
    return answer.text
  }))
)

const caller = Caller.make("local")

const serving = (...turns: ReadonlyArray<ScriptedModel.Turn>) =>
  Runtime.layer(Acme).pipe(
    Layer.provide(Handlers.pipe(Layer.provide(ToolsLayer))),
    Layer.provideMerge(ScriptedModel.layer(turns)),
    Layer.provideMerge(Layer.mergeAll(
      RunStore.RunStore.layerMemory,
      Files.layerMemory,
      Auth.layerNone,
      RateLimit.layerUnlimited,
      Budget.layerUnlimited,
      Audit.layerMemory
    ))
  )

const say = Effect.fnUntraced(function*(said: Said, identifier = "chat", threadId: string | null = "t") {
  const runtime = yield* Runtime.Runtime
  const { run } = yield* runtime.start(caller, {
    kind: "agent",
    identifier,
    payload: said,
    threadId: threadId ?? undefined
  })
  while (true) {
    const now = yield* runtime.await(caller, run.runId)
    if (now.state !== "running" && now.state !== "queued") return now
    yield* Effect.sleep("5 millis")
  }
})

/** The prompt of a model, a line for each message. */
const linesOf = ({ content }: Prompt.Prompt) =>
  content.map((message) => {
    if (message.role === "system") return `system: ${message.content.split("\n")[0]}`
    const parts: ReadonlyArray<Prompt.Part> = message.content
    const texts = parts.map((part) => {
      switch (part.type) {
        case "text":
          return part.text
        case "tool-call":
          return `call ${part.name} ${JSON.stringify(part.params)}`
        case "tool-result":
          return `result ${
            JSON.stringify(part.modelOutput?.map((one) => one.type === "text" ? one.text : one.type) ?? part.result)
          }`
        case "file":
          return `${part.fileName} ${part.data instanceof Uint8Array ? new TextDecoder().decode(part.data) : "?"}`
        default:
          return part.type
      }
    })
    return `${message.role}: ${texts.join(", ")}`
  })

const lastPrompt = Effect.flatMap(
  ScriptedModel.Requests,
  ({ prompts }) => Effect.map(prompts, (all) => linesOf(all.at(-1) ?? Prompt.empty))
)

describe("A model loop in a thread", () => {
  it.live("reads the history with its tool calls, and adds its turn", () =>
    Effect.gen(function*() {
      const first = yield* say({ text: "hello" })
      assert.strictEqual(first.output, "I looked.")
      yield* say({ text: "and then?" })
      assert.deepStrictEqual(yield* lastPrompt, [
        "system: Be kind.",
        "user: hello",
        "assistant: call look {\"at\":\"it\"}, call draw {}",
        "tool: result {\"seen\":\"it!\"}, result [\"a picture of 7 dots\"]",
        "assistant: I looked.",
        "user: and then?"
      ])
      yield* say({ text: "alone" }, "chat", null)
      assert.deepStrictEqual(yield* lastPrompt, ["system: Be kind.", "user: alone"])
      const runtime = yield* Runtime.Runtime
      const { items } = yield* runtime.messages(caller, "t", { limit: 50 })
      assert.deepStrictEqual(items.map(({ role }) => role), [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
        "user",
        "assistant"
      ])
      assert.deepInclude(items[2], { role: "tool", name: "look", content: [Content.data({ seen: "it!" })] })
      assert.strictEqual(items.map((one) => Message.textOf(one)).at(-1), "Nothing.")
    }).pipe(Effect.provide(serving(
      ScriptedModel.calls([{ name: "look", params: { at: "it" } }, { name: "draw", params: {} }]),
      ScriptedModel.text("I looked."),
      ScriptedModel.text("Nothing."),
      ScriptedModel.text("Alone.")
    ))))

  it.live("keeps a file of the conversation as a stored file, and shows it to the model again", () =>
    Effect.gen(function*() {
      yield* say({ text: "see", picture: "PIXELS" })
      const runtime = yield* Runtime.Runtime
      const { items } = yield* runtime.messages(caller, "t", { limit: 50 })
      const [, picture] = items[0]?.content ?? []
      assert.deepInclude(picture, { type: "image", mediaType: "image/png", name: "a.png", size: 6 })
      assert.notProperty(picture, "bytes")
      yield* say({ text: "again?" })
      assert.deepStrictEqual((yield* lastPrompt)[1], "user: see, a.png PIXELS")
    }).pipe(Effect.provide(serving(ScriptedModel.text("A dot."), ScriptedModel.text("Still a dot.")))))

  it.live("lets the model sum up what is too long", () =>
    Effect.gen(function*() {
      for (const text of ["one", "two", "three"]) yield* say({ text }, "brief")
      yield* say({ text: "four" }, "brief")
      assert.deepStrictEqual(yield* lastPrompt, [
        "user: Summary of the conversation before this:\nThey counted.",
        "user: three",
        "assistant: 3",
        "user: four"
      ])
    }).pipe(Effect.provide(serving(
      ...["1", "2", "3", "They counted.", "4"].map((text) => ScriptedModel.text(text))
    ))))

  it.live("is refused before it asks a model when the turns of its agent run side by side", () =>
    Effect.gen(function*() {
      const { error } = yield* say({ text: "hello" }, "loose")
      assert.strictEqual(error?.tag, "ThreadUnusable")
      const { all } = yield* ScriptedModel.Requests
      assert.deepStrictEqual(yield* all, [])
    }).pipe(Effect.provide(serving(ScriptedModel.text("never")))))
})
