import { assert, describe, it } from "@effect/vitest"
import { LangGraph } from "@fastagentic/adapters/langgraph"
import { AIMessage } from "@langchain/core/messages"
import { DynamicTool, tool } from "@langchain/core/tools"
import { MessagesAnnotation, START, StateGraph } from "@langchain/langgraph"
import { ToolNode } from "@langchain/langgraph/prebuilt"
import { Effect } from "effect"
import { FakeModel } from "./fakeModel.ts"
import { Ask, ask, input, lookup, ofType, serve, types } from "./support.ts"

describe("LangGraph", () => {
  it.live("events of nodes, tokens, tools and usage are in order", () =>
    Effect.gen(function*() {
      const { events, run } = yield* ask("Where is order 7?")
      assert.strictEqual(run.state, "completed")
      assert.strictEqual(run.output, "It is order 7.")
      assert.deepStrictEqual(types(events), [
        "run_started",
        "node_enter",
        "llm_start",
        "message_start",
        "token",
        "token",
        "tool_call_start",
        "tool_call_delta",
        "tool_call_delta",
        "tool_call",
        "message_end",
        "llm_end",
        "usage",
        "node_exit",
        "node_enter",
        "tool_start",
        "tool_result",
        "node_exit",
        "node_enter",
        "llm_start",
        "message_start",
        "token",
        "token",
        "token",
        "message_end",
        "llm_end",
        "usage",
        "node_exit",
        "done"
      ])
      assert.deepStrictEqual(run.usage, { inputTokens: 4, outputTokens: 5 })
    }).pipe(Effect.provide(serve(LangGraph.layer(Ask, lookup().graph, input)))))

  it.live("calls of one message under the same id have an identity each", () => {
    const call = (order: number) => ({ id: "call_1", name: "find", args: `{"id":${order}}` })
    const model = new FakeModel((messages) =>
      messages.at(-1)?.type === "tool" ? { texts: ["Done."] } : { calls: [call(1), call(2)] }
    )
    const found: Array<number> = []
    const { graph } = lookup((id) => String(found.push(id)), model)
    return Effect.gen(function*() {
      const { events } = yield* ask("Where are orders 1 and 2?")
      assert.deepStrictEqual(found, [1, 2])
      for (const type of ["tool_call_start", "tool_call", "tool_start", "tool_result"] as const) {
        assert.deepStrictEqual(ofType(events, type).map(({ data }) => data.toolCallId), ["call_1", "call_1#2"], type)
      }
    }).pipe(Effect.provide(serve(LangGraph.layer(Ask, graph, input))))
  })

  it.live("every start has an end", () =>
    Effect.gen(function*() {
      const { events, run } = yield* ask("Where is order 7?")
      const entered = ofType(events, "node_enter").map(({ data }) => [data.nodeId, data.name])
      const left = ofType(events, "node_exit").map(({ data }) => [data.nodeId, data.name, data.status])
      assert.deepStrictEqual(left, entered.map((node) => [...node, "ok"]))
      assert.deepStrictEqual(entered.map(([, name]) => name), ["model", "tools", "model"])

      const [call] = ofType(events, "tool_call")
      const [started] = ofType(events, "tool_start")
      const [result] = ofType(events, "tool_result")
      assert.deepStrictEqual(call?.data, { toolCallId: "call_1", name: "find", arguments: { id: 7 } })
      assert.deepInclude(started?.data, { toolCallId: "call_1", arguments: { id: 7 }, origin: "framework" })
      assert.deepInclude(result?.data, { toolCallId: "call_1", name: "find", result: "order 7", isError: false })
      assert.isTrue((call?.seq ?? 0) < (started?.seq ?? 0) && (started?.seq ?? 0) < (result?.seq ?? 0))

      const message = ofType(events, "message_end").at(-1)?.data.messageId
      const tokens = ofType(events, "token").filter(({ data }) => data.messageId === message)
      assert.strictEqual(tokens.map(({ data }) => data.delta).join(""), run.output)
      assert.deepStrictEqual(tokens[0]?.path, ["model"])

      const starts = ofType(events, "llm_start").map(({ data }) => data)
      const ends = ofType(events, "llm_end").map(({ data }) => data)
      assert.deepStrictEqual(starts.map(({ callId }) => callId), ends.map(({ callId }) => callId))
      assert.deepInclude(starts[0], { model: "fake-1", provider: "fake" })
      assert.deepStrictEqual(ends.map(({ finishReason, usage }) => [finishReason, usage]), [
        ["tool-calls", { inputTokens: 1, outputTokens: 2 }],
        ["stop", { inputTokens: 3, outputTokens: 3 }]
      ])
    }).pipe(Effect.provide(serve(LangGraph.layer(Ask, lookup().graph, input)))))

  const outer = new StateGraph(MessagesAnnotation)
    .addNode("research", lookup().graph)
    .addEdge(START, "research")
    .compile()

  it.live("an event names the graphs around it", () =>
    Effect.gen(function*() {
      const { events, run } = yield* ask("Where is order 7?")
      assert.strictEqual(run.output, "It is order 7.")
      assert.deepStrictEqual(ofType(events, "node_enter").map(({ data, path }) => [data.name, path]), [
        ["research", undefined],
        ["model", ["research"]],
        ["tools", ["research"]],
        ["model", ["research"]]
      ])
      assert.deepStrictEqual(ofType(events, "tool_start").map(({ path }) => path), [["research", "tools"]])
      assert.strictEqual(ofType(events, "token").length, 5)
    }).pipe(Effect.provide(serve(LangGraph.layer(Ask, outer, input)))))

  const mixed = new StateGraph(MessagesAnnotation)
    .addNode("model", async ({ messages }) => {
      let text = ""
      for await (const chunk of await new FakeModel(() => ({ texts: ["a", "b"] })).stream(messages)) text += chunk.text
      return { messages: [{ role: "assistant", content: text }] }
    })
    .addNode("plain", (_state, config) => {
      config.writer?.({ half: true })
      return { messages: [new AIMessage("without a model")] }
    })
    .addEdge(START, "model")
    .addEdge("model", "plain")
    .compile()

  it.live("models streamed by nodes, answers without a model and custom writes become events", () =>
    Effect.gen(function*() {
      const { events, run } = yield* ask("?")
      assert.strictEqual(run.output, "without a model")
      assert.deepStrictEqual(ofType(events, "token").map(({ data }) => data.delta), ["a", "b", "without a model"])
      assert.deepStrictEqual(ofType(events, "custom").map(({ data }) => data.value), [{ half: true }])
    }).pipe(Effect.provide(serve(LangGraph.layer(Ask, mixed, input)))))

  const count = tool(
    async function*({ to }: { to: number }) {
      for (let one = 1; one < to; one++) yield one
      return { counted: to }
    },
    { name: "count", description: "Counts", schema: { type: "object", properties: { to: { type: "integer" } } } }
  )
  const one = new DynamicTool({ name: "one", description: "Says one", func: () => Promise.resolve("one") })
  const calls = [{ id: "a", name: "count", args: { to: 2 } }, { id: "b", name: "count", args: { to: 3 } }]
  const counting = new StateGraph(MessagesAnnotation)
    .addNode("direct", async () => {
      await one.invoke("?")
      return { messages: [new AIMessage({ content: "", tool_calls: calls })] }
    })
    .addNode("tools", new ToolNode([count]))
    .addEdge(START, "direct")
    .addEdge("direct", "tools")
    .compile()

  it.live("every tool call is announced before its result", () =>
    Effect.gen(function*() {
      const { events } = yield* ask("?")
      const results = ofType(events, "tool_result")
      assert.deepStrictEqual(results.map(({ data }) => data.result), ["one", { counted: 2 }, { counted: 3 }])
      for (const { data, seq } of results) {
        const of = events.filter((event) => "toolCallId" in event.data && event.data.toolCallId === data.toolCallId)
        assert.deepStrictEqual(types(of).slice(0, 2), ["tool_call", "tool_start"])
        assert.strictEqual(of.at(-1)?.seq, seq)
      }
      assert.deepStrictEqual(ofType(events, "tool_progress").map(({ data }) => data.data), [1, 1, 2])
    }).pipe(Effect.provide(serve(LangGraph.layer(Ask, counting, input)))))

  let attempts = 0
  const stubborn = new StateGraph(MessagesAnnotation)
    .addNode("only", () => {
      if (++attempts < 3) throw new Error("not yet")
      return { messages: [new AIMessage("at last")] }
    }, { retryPolicy: { maxAttempts: 3, initialInterval: 1, jitter: false, logWarning: false } })
    .addEdge(START, "only")
    .compile()

  it.live("every attempt of a retried node has events", () =>
    Effect.gen(function*() {
      const { events, run } = yield* ask("?")
      assert.strictEqual(run.output, "at last")
      assert.deepStrictEqual(ofType(events, "node_exit").map(({ data }) => data.status), ["error", "error", "ok"])
      assert.strictEqual(new Set(ofType(events, "node_enter").map(({ data }) => data.nodeId)).size, 1)
    }).pipe(Effect.provide(serve(LangGraph.layer(Ask, stubborn, input)))))

  it.live("a graph is made for each run and receives it", () =>
    Effect.gen(function*() {
      const first = yield* ask("?")
      const second = yield* ask("?")
      assert.deepStrictEqual([first.run.output, second.run.output], [first.runId, second.runId])
    }).pipe(Effect.provide(serve(LangGraph.layer(Ask, ({ runId, signal, threadId }) => {
      assert.isFalse(signal.aborted)
      assert.strictEqual(threadId, runId)
      const model = new FakeModel(() => ({ texts: [runId] }))
      return new StateGraph(MessagesAnnotation)
        .addNode("model", async ({ messages }) => ({ messages: [await model.invoke(messages)] }))
        .addEdge(START, "model")
        .compile()
    }, input)))))

  const shared = lookup().graph

  it.live("concurrent runs of one graph do not mix", () =>
    Effect.gen(function*() {
      const alone = yield* ask("one")
      const both = yield* Effect.all([ask("one"), ask("two"), ask("three")], { concurrency: "unbounded" })
      for (const { events, run } of both) {
        assert.strictEqual(run.output, "It is order 7.")
        assert.deepStrictEqual(types(events), types(alone.events))
      }
      const nodes = both.flatMap(({ events }) => ofType(events, "llm_start").map(({ data }) => data.callId))
      assert.strictEqual(new Set(nodes).size, 6)
    }).pipe(Effect.provide(serve(LangGraph.layer(Ask, shared, input)))))
})
