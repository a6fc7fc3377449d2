import { assert, describe, it } from "@effect/vitest"
import { LangGraph } from "@fastagentic/adapters/langgraph"
import { MessagesAnnotation, START, StateGraph } from "@langchain/langgraph"
import { Effect } from "effect"
import { FakeModel } from "./fakeModel.ts"
import { Ask, ask, input, lookup, NotFound, ofType, row, serve } from "./support.ts"

const secret = "password=hunter2"

const silent = {
  tag: "InternalError",
  message: "The server failed unexpectedly. Its log has the cause under the trace id.",
  status: 500,
  declared: false
}

const fails = (error: unknown) => LangGraph.layer(Ask, row({ only: () => Promise.reject(error) }), input)

describe("a failing node", () => {
  it.live("the run ends with the agent's declared error", () =>
    Effect.gen(function*() {
      const { events, run } = yield* ask("?")
      assert.deepInclude(run.error, {
        tag: "NotFound",
        status: 404,
        declared: true,
        value: { _tag: "NotFound", id: 3 }
      })
      assert.deepStrictEqual(ofType(events, "node_exit").map(({ data }) => data.status), ["error"])
      assert.strictEqual(events.at(-1)?.type, "error")
    }).pipe(Effect.provide(serve(fails(new NotFound({ id: 3 }))))))

  it.live("a declared error may be plain or wrapped", () =>
    Effect.gen(function*() {
      const { run } = yield* ask("?")
      assert.deepInclude(run.error, { declared: true, value: { _tag: "NotFound", id: 4 } })
    }).pipe(Effect.provide(serve(fails(new Error(secret, { cause: { _tag: "NotFound", id: 4 } }))))))

  it.live("the text of another error is not shown", () =>
    Effect.gen(function*() {
      const { events, run } = yield* ask("?")
      assert.deepStrictEqual(run.error, silent)
      assert.notInclude(JSON.stringify(events), "hunter2")
    }).pipe(Effect.provide(serve(fails(new Error(secret))))))

  it.live("an undeclared tagged error is not shown", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* ask("?")).run.error, silent)
    }).pipe(Effect.provide(serve(fails(Object.assign(new Error(secret), { _tag: "NotFound", id: "x" }))))))
})

describe("a failing model", () => {
  const model = new FakeModel(() => ({ texts: ["half "], fails: Object.assign(new Error(secret), { status: 429 }) }))
  const graph = new StateGraph(MessagesAnnotation)
    .addNode("model", async ({ messages }) => ({ messages: [await model.invoke(messages)] }))
    .addEdge(START, "model")
    .compile()

  it.live("its call is closed and nothing else is emitted", () =>
    Effect.gen(function*() {
      const { events, run } = yield* ask("?")
      assert.deepStrictEqual(run.error, silent)
      assert.deepStrictEqual(ofType(events, "token").map(({ data }) => data.delta), ["half "])
      assert.deepStrictEqual(ofType(events, "message_end").map(({ data }) => data.finishReason), ["error"])
      assert.deepStrictEqual(ofType(events, "llm_end").map(({ data }) => data.finishReason), ["error"])
      assert.notInclude(JSON.stringify(events), "hunter2")
    }).pipe(Effect.provide(serve(LangGraph.layer(Ask, graph, input)))))
})

describe("a failing tool", () => {
  const { graph } = lookup(() => {
    throw new Error(secret)
  })

  it.live("the model gets the error, and callers only the fact", () =>
    Effect.gen(function*() {
      const { events, run } = yield* ask("?")
      assert.strictEqual(run.state, "completed")
      const [result] = ofType(events, "tool_result")
      assert.deepInclude(result?.data, { toolCallId: "call_1", result: "the tool failed", isError: true })
    }).pipe(Effect.provide(serve(LangGraph.layer(Ask, graph, input)))))
})

describe("a tool that is not there", () => {
  const { graph } = lookup()
  const model = new FakeModel((messages) =>
    messages.at(-1)?.type === "tool" ? { texts: ["sorry"] } : { call: { id: "call_9", name: "nothing", args: "{}" } }
  )
  const asking = new StateGraph(MessagesAnnotation)
    .addNode("model", async ({ messages }) => ({ messages: [await model.invoke(messages)] }))
    .addNode("tools", graph.nodes.tools.bound)
    .addEdge(START, "model")
    .addEdge("model", "tools")
    .compile()

  it.live("the call still has a result", () =>
    Effect.gen(function*() {
      const { events } = yield* ask("?")
      const [result] = ofType(events, "tool_result")
      assert.deepInclude(result?.data, { toolCallId: "call_9", name: "nothing", isError: true })
    }).pipe(Effect.provide(serve(LangGraph.layer(Ask, asking, input)))))
})
