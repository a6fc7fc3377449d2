import { LangGraph } from "fastagentic/langgraph"
import { createAgent } from "langchain"
import { input, lookTool, ScriptModel, texts } from "./chatModel.ts"
import { Desk, type Subject } from "./subject.ts"

const { graph } = createAgent({ model: new ScriptModel({}), tools: [lookTool] })

export const subject: Subject = {
  alone: async function*() {
    yield* texts(await graph.stream(input("Where is it?"), { streamMode: "messages" }))
  },
  hosted: LangGraph.layer(Desk, graph, { input: ({ question }) => input(question) })
}
