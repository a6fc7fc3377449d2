import { Agent, App, Audit, Auth, Budget, Caller, Event, Hook, RateLimit, RunStore, Runtime } from "@fastagentic/core"
import { tool } from "@langchain/core/tools"
import { END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph"
import { ToolNode } from "@langchain/langgraph/prebuilt"
import { Effect, Layer, Schema, Stream } from "effect"
import { FakeModel } from "./fakeModel.ts"

export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { id: Schema.Int }, { httpApiStatus: 404 }) {}

export class Watched extends Hook.make("watched") {}

export class Ask extends Agent.make("ask", {
  description: "Answers with a graph",
  payload: { question: Schema.String },
  error: NotFound,
  durable: false
}).hook(Watched) {}

class Acme extends App.make("acme", { version: "1", agents: [Ask] }) {}

export const question = ({ question }: { readonly question: string }) => ({
  messages: [{ role: "user", content: question }]
})

export const input = { input: question }

export const serve = <E>(
  ask: Layer.Layer<Agent.Handler<"ask">, E>,
  points: Hook.Points = {},
  budget: Layer.Layer<Budget.Budget> = Budget.layerUnlimited
) =>
  Runtime.layer(Acme, { grace: "100 millis" }).pipe(
    Layer.provide([ask, Watched.toLayer(points)]),
    Layer.provideMerge(Layer.mergeAll(
      RunStore.RunStore.layerMemory,
      Auth.layerNone,
      RateLimit.layerUnlimited,
      budget,
      Audit.layerMemory
    ))
  )

export const caller = Caller.make("local")

export const start = (question: string) =>
  Effect.map(
    Runtime.Runtime.use((runtime) =>
      runtime.start(caller, { kind: "agent", identifier: "ask", payload: { question } })
    ),
    ({ run }) => run.runId
  )

export const journal = Effect.fnUntraced(function*(runId: string) {
  const runtime = yield* Runtime.Runtime
  const pages = yield* runtime.follow(caller, runId, { after: 0, until: "final" })
  return (yield* Stream.runCollect(pages)).flatMap((page) => page.events)
})

/** Runs one question to its end. */
export const ask = Effect.fnUntraced(function*(question: string) {
  const runtime = yield* Runtime.Runtime
  const runId = yield* start(question)
  const events = yield* journal(runId)
  return { runId, events, run: yield* runtime.await(caller, runId) }
})

export const ofType = <T extends Event.Type>(events: ReadonlyArray<Event.RunEvent>, type: T) =>
  events.filter((event): event is Extract<Event.RunEvent, { readonly type: T }> => event.type === type)

export const types = (events: ReadonlyArray<Event.RunEvent>) => events.map((event) => event.type)

/** A model that looks things up with one tool and then answers with what it found. */
export const lookup = (
  find: (id: number) => string = (id) => `order ${id}`,
  model = new FakeModel((messages) => {
    const last = messages.at(-1)
    return last?.type === "tool"
      ? { texts: ["It is ", last.text, "."] }
      : { texts: ["Let me ", "look. "], call: { id: "call_1", name: "find", args: `{"id":7}` } }
  })
) => {
  const find_ = tool(({ id }: { id: number }) => find(id), {
    name: "find",
    description: "Finds an order",
    schema: { type: "object", properties: { id: { type: "integer" } }, required: ["id"] }
  })
  const graph = new StateGraph(MessagesAnnotation)
    .addNode("model", async ({ messages }) => ({ messages: [await model.invoke(messages)] }))
    .addNode("tools", new ToolNode([find_]))
    .addEdge(START, "model")
    .addConditionalEdges("model", ({ messages }) => {
      const last = messages.at(-1)
      return last !== undefined && "tool_calls" in last && Array.isArray(last.tool_calls) && last.tool_calls.length > 0
        ? "tools"
        : END
    })
    .addEdge("tools", "model")
    .compile()
  return { graph, model }
}

/** A graph of the given nodes in a row. */
export const row = (nodes: Record<string, (signal: AbortSignal | undefined) => unknown>) => {
  const names = Object.keys(nodes)
  const graph = new StateGraph<
    typeof MessagesAnnotation.spec,
    typeof MessagesAnnotation.State,
    typeof MessagesAnnotation.Update,
    string
  >(MessagesAnnotation)
  for (const [name, run] of Object.entries(nodes)) {
    graph.addNode(name, async (_state, config) => {
      await run(config.signal)
      return {}
    })
  }
  names.forEach((name, index) => graph.addEdge(index === 0 ? START : names[index - 1] ?? START, name))
  graph.addEdge(names.at(-1) ?? START, END)
  return graph.compile()
}
