import { END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph"
import { ToolNode } from "@langchain/langgraph/prebuilt"
import { LangGraph } from "fastagentic/langgraph"
import { input, lookTool, ScriptModel, texts } from "./chatModel.ts"
import { Desk, type Subject } from "./subject.ts"

const model = new ScriptModel({})

const graph = new StateGraph(MessagesAnnotation)
  .addNode("model", async ({ messages }, config) => ({ messages: [await model.invoke(messages, config)] }))
  .addNode("tools", new ToolNode([lookTool]))
  .addEdge(START, "model")
  .addConditionalEdges("model", ({ messages }) => {
    const last = messages.at(-1)
    return last !== undefined && "tool_calls" in last && Array.isArray(last.tool_calls) && last.tool_calls.length > 0
      ? "tools"
      : END
  })
  .addEdge("tools", "model")
  .compile()

export const subject: Subject = {
  alone: async function*() {
    yield* texts(await graph.stream(input("Where is it?"), { streamMode: "messages" }))
  },
  hosted: LangGraph.layer(Desk, graph, { input: ({ question }) => input(question) })
}
