import { AIMessage, type BaseMessage } from "@langchain/core/messages"
import { tool } from "@langchain/core/tools"
import { END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph"
import { ToolNode } from "@langchain/langgraph/prebuilt"
import { OfflineModel } from "./model.ts"
import { NothingFound } from "./NothingFound.ts"

const notes: Record<string, string> = {
  tides: "Tides follow the moon, twice a day.",
  glass: "Glass is a liquid only in bad textbooks."
}

const search = tool(({ topic }: { topic: string }) => notes[topic] ?? "nothing", {
  name: "search",
  description: "Searches the notes",
  schema: { type: "object", properties: { topic: { type: "string" } }, required: ["topic"] }
})

const model = new OfflineModel()

const wantsTool = (message: BaseMessage | undefined) =>
  AIMessage.isInstance(message) && (message.tool_calls?.length ?? 0) > 0

export const graph = new StateGraph(MessagesAnnotation)
  .addNode("research", async ({ messages }) => {
    const last = messages.at(-1)
    if (last?.type === "tool" && last.text === "nothing") {
      throw new NothingFound({ topic: messages[0]?.text ?? "" })
    }
    return { messages: [await model.invoke(messages)] }
  })
  .addNode("tools", new ToolNode([search]))
  .addEdge(START, "research")
  .addConditionalEdges("research", ({ messages }) => wantsTool(messages.at(-1)) ? "tools" : END)
  .addEdge("tools", "research")
  .compile()
