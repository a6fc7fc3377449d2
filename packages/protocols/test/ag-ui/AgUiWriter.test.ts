import { HttpAgent, type Message } from "@ag-ui/client"
import { assert, describe, it } from "@effect/vitest"
import * as Event from "@fastagentic/core/run/Event"
import { Effect } from "effect"
import { AgUiWriter } from "../../src/ag-ui/AgUiWriter.ts"
import { ChatView } from "../../src/chat/ChatView.ts"
import { linksOf } from "../../src/internal/fileLinks.ts"

const token = (delta: string, place?: string): Event.Event => ({
  type: "token",
  data: { delta },
  ...(place === undefined ? {} : { place })
})

/** The messages that the official client makes of a journal, each event of which arrives alone. */
const messagesOf = (events: ReadonlyArray<Event.Event>) =>
  Effect.promise(async () => {
    const view = new ChatView(false, false)
    const user: Message = { id: "m-1", role: "user", content: "hi" }
    const writer = new AgUiWriter({
      input: { threadId: "t", runId: "r", messages: [{ ...user }] },
      run: { runId: "ours", agent: "talk" },
      links: linksOf(""),
      traceId: "trace"
    })
    const written = [
      ...writer.start(),
      ...events.flatMap((event, at) =>
        writer.write(view.apply([{ ...event, runId: "ours", seq: at + 1, ts: 0, attempt: 1 }]), new Set())
      ),
      ...writer.end()
    ]
    const body = written.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("")
    const agent = new HttpAgent({
      url: "http://agent.test/",
      threadId: "t",
      initialMessages: [user],
      fetch: () => Promise.resolve(new Response(body, { headers: { "content-type": "text/event-stream" } }))
    })
    let outcome: unknown
    await agent.runAgent({ runId: "r" }, {
      onRunFinishedEvent: ({ event }) => {
        outcome = event.outcome
      }
    })
    return { messages: agent.messages.map(({ content, role }) => [role, content]), outcome }
  })

describe("The AG-UI events of a journal", () => {
  it.live("take back the words that a later attempt has superseded, also in the middle of a message", () =>
    Effect.gen(function*() {
      const { messages, outcome } = yield* messagesOf([
        token("kept "),
        token("wrong ", "step"),
        Event.make("tool_call_start", { toolCallId: "t-1", name: "find" }),
        Event.make("superseded", { place: "step", from: 2, to: 2 }),
        token("right", "step"),
        Event.make("done", { output: null })
      ])
      assert.deepStrictEqual(outcome, { type: "success" })
      assert.deepStrictEqual(messages.filter(([, content]) => content !== undefined), [
        ["user", "hi"],
        ["assistant", "kept "],
        ["assistant", "right"]
      ])
    }))

  it.live("say of a run that waits for no question what it waits for, and end a cancelled one as such", () =>
    Effect.gen(function*() {
      const waiting = yield* messagesOf([
        token("well"),
        Event.make("run_suspended", { reason: "signal", interrupts: [] })
      ])
      assert.deepStrictEqual(waiting.outcome, {
        type: "interrupt",
        interrupts: [{ id: "ours.wait-2", reason: "signal" }]
      })
      const cancelled = yield* messagesOf([token("well"), Event.make("run_cancelled", { reason: "enough" })])
      assert.deepStrictEqual(cancelled.outcome, { type: "cancelled" })
    }))

  it.live("pass on state, and no patch that a client would fail over", () =>
    Effect.gen(function*() {
      const { outcome } = yield* messagesOf([
        Event.make("state_snapshot", { state: { count: 1 } }),
        Event.make("state_delta", { patch: [{ op: "replace", path: "/count", value: 2 }] }),
        Event.make("state_delta", { patch: [{ op: "odd" }] }),
        Event.custom("note", { text: "hm" }),
        Event.make("done", { output: { count: 2 } })
      ])
      assert.deepStrictEqual(outcome, { type: "success" })
    }))
})
