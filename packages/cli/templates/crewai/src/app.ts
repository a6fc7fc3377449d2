import { Schema } from "effect"
import { Agent, App } from "fastagentic"
import { Python } from "fastagentic/python"

class Support extends Agent.make("support", {
  description: "Answers questions about orders",
  payload: { question: Schema.NonEmptyString },
  examples: ["Where is order 1042?"]
}) {}

class Main extends App.make("__name__", { version: "0.1.0", agents: [Support] }) {}

export default Main.provide(Python.layer(Support, { entrypoint: "support.py:crew", cwd: import.meta.dirname }))
