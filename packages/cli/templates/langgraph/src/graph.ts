import { tool } from "@langchain/core/tools"
import { END, interrupt, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph"
import { ToolNode } from "@langchain/langgraph/prebuilt"
import { offline } from "./offline.ts"

const schema = {
  type: "object" as const,
  properties: { orderId: { type: "integer" as const } },
  required: ["orderId"]
}

const findOrder = tool(({ orderId }: { orderId: number }) => ({ id: orderId, state: "shipped", trackingCode: "AC-2210" }), {
  name: "find_order",
  description: "Find one order by its id",
  schema
})

const cancelOrder = tool(({ orderId }: { orderId: number }) => {
  // The run waits here for a human, over any restart. A denial ends it.
  interrupt({ question: `Cancel order ${orderId}?` })
  return { id: orderId, state: "cancelled" }
}, { name: "cancel_order", description: "Cancel an order", schema })

type State = typeof MessagesAnnotation.State

const answer = async ({ messages }: State) => ({ messages: [await offline.invoke(messages)] })

const next = ({ messages }: State) => {
  const last = messages.at(-1)
  return last !== undefined && "tool_calls" in last && Array.isArray(last.tool_calls) && last.tool_calls.length > 0
    ? "tools"
    : END
}

export const graph = new StateGraph(MessagesAnnotation)
  .addNode("answer", answer)
  .addNode("tools", new ToolNode([findOrder, cancelOrder]))
  .addEdge(START, "answer")
  .addConditionalEdges("answer", next, ["tools", END])
  .addEdge("tools", "answer")
  .compile()
