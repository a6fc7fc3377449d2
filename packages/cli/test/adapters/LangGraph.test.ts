import { LangGraph } from "@fastagentic/adapters/langgraph"
import { tool } from "@langchain/core/tools"
import { END, interrupt, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph"
import { ToolNode } from "@langchain/langgraph/prebuilt"
import { type Play, suite, type ToolName } from "../../src/adapter-contract.ts"
import { PlayModel } from "./playModel.ts"

const graphOf = (play: Play) => {
  const model = new PlayModel(play)
  const act = (name: ToolName) =>
    tool(({ order }: { order: number }, config) => {
      if (name === "pay") interrupt({ pay: order })
      return play.work(name, { order }, config?.signal)
    }, {
      name,
      description: name,
      schema: { type: "object", properties: { order: { type: "integer" } }, required: ["order"] }
    })
  return new StateGraph(MessagesAnnotation)
    .addNode("model", async ({ messages }, config) => ({ messages: [await model.invoke(messages, config)] }))
    .addNode("tools", new ToolNode([act("look"), act("refund"), act("pay")], { handleToolErrors: false }))
    .addEdge(START, "model")
    .addConditionalEdges("model", ({ messages }) => {
      const last = messages.at(-1)
      return last !== undefined && "tool_calls" in last && Array.isArray(last.tool_calls) && last.tool_calls.length > 0
        ? "tools"
        : END
    })
    .addEdge("tools", "model")
    .compile()
}

suite("LangGraph", {
  capabilities: LangGraph.capabilities,
  denial: "run",
  perform: (agent, play) =>
    LangGraph.layer(agent, graphOf(play), {
      input: ({ question }) => ({ messages: [{ role: "user", content: question }] })
    })
})
