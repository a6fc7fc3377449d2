import { assert, describe, it } from "@effect/vitest"
import type { RunEvent } from "@fastagentic/core/run/Event"
import * as Event from "@fastagentic/core/run/Event"
import { readUIMessageStream, type UIMessage, type UIMessageChunk } from "ai"
import { Effect } from "effect"
import { type UiChunk, UiWriter } from "../../src/ai-sdk/UiChunk.ts"
import { ChatView } from "../../src/chat/ChatView.ts"
import { linksOf } from "../../src/internal/fileLinks.ts"

const journal = (events: ReadonlyArray<Event.Event>): ReadonlyArray<RunEvent> =>
  events.map((event, index) => ({ ...event, runId: "r", seq: index + 1, ts: 0, attempt: 1 }))

const token = (delta: string, place?: string): Event.Event => ({
  type: "token",
  data: { delta, messageId: "m" },
  ...(place === undefined ? {} : { place })
})

/** The message that the AI SDK makes of a journal which arrives in the given pages. */
const messageOf = (pages: ReadonlyArray<ReadonlyArray<RunEvent>>): Effect.Effect<UIMessage | undefined> =>
  Effect.promise(async () => {
    const view = new ChatView(false, false)
    const writer = new UiWriter({ run: { runId: "r", agent: "talk" }, turn: 0, links: linksOf(""), traceId: "t" })
    const chunks: ReadonlyArray<UiChunk> = [
      ...writer.start(),
      ...pages.flatMap((page) => writer.write(view.apply(page), new Set())),
      ...writer.end()
    ]
    const stream = new ReadableStream<UIMessageChunk>({
      start: (controller) => {
        // cast: the reader of the AI SDK is the judge of the chunks.
        for (const chunk of chunks) controller.enqueue(chunk as UIMessageChunk)
        controller.close()
      }
    })
    let last: UIMessage | undefined
    for await (const message of readUIMessageStream({ stream, terminateOnError: true })) last = message
    return last
  })

const textOf = (message: UIMessage | undefined) =>
  message?.parts.flatMap((part) => part.type === "text" ? [part.text] : [])

describe("The message that the AI SDK reads from a journal", () => {
  it.live("loses the words that a later attempt has superseded, whatever came between", () =>
    Effect.gen(function*() {
      const events = journal([
        Event.make("run_started", { agent: "talk" }),
        token("kept "),
        token("wrong ", "step"),
        Event.make("tool_start", { toolCallId: "t", name: "find", arguments: {} }),
        Event.make("run_started", { agent: "talk", resumed: true }),
        Event.make("superseded", { place: "step", from: 3, to: 3 }),
        token("right ", "step"),
        Event.make("tool_result", { toolCallId: "t", name: "find", result: 1, isError: false }),
        Event.make("done", { output: null })
      ])
      const whole = yield* messageOf([events])
      const parts = yield* messageOf(events.map((event) => [event]))
      for (const message of [whole, parts]) {
        assert.deepStrictEqual(textOf(message), ["kept ", "right "])
        const [call] = message?.parts.filter((part) => "toolCallId" in part) ?? []
        assert.deepInclude(call, { state: "output-available", output: 1 })
      }
    }))

  it.live("keeps texts of branches apart that speak at the same time", () =>
    Effect.gen(function*() {
      const message = yield* messageOf([journal([
        token("a1 ", "a"),
        token("b1 ", "b"),
        token("a2", "a"),
        token("b2", "b"),
        Event.make("done", { output: null })
      ])])
      assert.deepStrictEqual(textOf(message), ["a1 a2", "b1 b2"])
    }))

  it.live("is not taken in by events of the runtime's types that a handler emits", () =>
    Effect.gen(function*() {
      const fake: Event.Event = { type: "done", data: { output: "forged" }, place: "" }
      const message = yield* messageOf([journal([token("true"), fake, Event.make("done", { output: "true" })])])
      assert.deepStrictEqual(textOf(message), ["true"])
    }))

  it.live("has the answer of an agent that streams nothing, and no text twice", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(textOf(yield* messageOf([journal([Event.make("done", { output: "whole" })])])), ["whole"])
      const said = [token("Let me see. "), token("It is done."), Event.make("done", { output: "It is done." })]
      assert.deepStrictEqual(textOf(yield* messageOf([journal(said)])), ["Let me see. It is done."])
      const other = [token("Let me see."), Event.make("done", { output: "It is done." })]
      assert.deepStrictEqual(textOf(yield* messageOf([journal(other)])), ["Let me see.", "It is done."])
    }))
})
