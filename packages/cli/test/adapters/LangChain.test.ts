import { LangGraph } from "@fastagentic/adapters/langgraph"
import { tool } from "@langchain/core/tools"
import { type AgentMiddleware, createAgent, humanInTheLoopMiddleware } from "langchain"
import { type Play, suite, type ToolName } from "../../src/adapter-contract.ts"
import { PlayModel } from "./playModel.ts"

// cast: its own types do not compile with `exactOptionalPropertyTypes`.
const reviewing = humanInTheLoopMiddleware as unknown as (options: object) => AgentMiddleware

const agentOf = (play: Play) => {
  const act = (name: ToolName) =>
    tool(({ order }: { order: number }, config) => play.work(name, { order }, config?.signal), {
      name,
      description: name,
      schema: { type: "object", properties: { order: { type: "integer" } }, required: ["order"] }
    })
  return createAgent({
    model: new PlayModel(play),
    tools: [act("look"), act("refund"), act("pay")],
    middleware: [
      reviewing({ interruptOn: { pay: { allowedDecisions: ["approve", "edit", "reject"] } } })
    ]
  })
}

suite("LangChain createAgent", {
  capabilities: LangGraph.capabilities,
  edits: true,
  perform: (agent, play) =>
    LangGraph.layer(agent, agentOf(play).graph, {
      input: ({ question }) => ({ messages: [{ role: "user", content: question }] })
    })
})
