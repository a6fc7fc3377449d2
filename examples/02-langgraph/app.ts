import { Schema } from "effect"
import { Agent, App } from "fastagentic"
import { LangGraph } from "fastagentic/langgraph"
import { graph } from "./graph.ts"
import { NothingFound } from "./NothingFound.ts"

class Researcher extends Agent.make("researcher", {
  description: "Looks a topic up in the notes",
  payload: { topic: Schema.NonEmptyString },
  error: NothingFound,
  examples: ["tides"]
}) {}

const ResearcherLayer = LangGraph.layer(Researcher, graph, {
  input: ({ topic }) => ({ messages: [{ role: "user", content: topic }] })
})

class Research extends App.make("research", { version: "1.0.0", agents: [Researcher] }) {}

export default Research.provide(ResearcherLayer)
