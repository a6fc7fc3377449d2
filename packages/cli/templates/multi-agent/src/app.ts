import { Layer } from "effect"
import { App } from "fastagentic"
import { DefaultModel } from "fastagentic/effect-ai"
import { Critic, CriticLayer, Editor, EditorLayer, Researcher, ResearcherLayer } from "./agents.ts"

class Main extends App.make("__name__", { version: "0.1.0", agents: [Editor, Researcher, Critic] }) {}

export default Main.provide(
  Layer.mergeAll(EditorLayer, ResearcherLayer, CriticLayer).pipe(Layer.provide(DefaultModel.layer))
)
