import { Effect, Schema } from "effect"
import { Toolkit } from "effect/ai"
import { Agent, Event, Run } from "fastagentic"
import { ModelLoop } from "fastagentic/effect-ai"

export class Researcher extends Agent.make("researcher", {
  description: "Collects facts about a topic",
  payload: { topic: Schema.NonEmptyString },
  examples: ["tea"]
}) {}

export class Critic extends Agent.make("critic", {
  description: "Names what is often wrong about a topic",
  payload: { topic: Schema.NonEmptyString },
  examples: ["tea"]
}) {}

export class Editor extends Agent.make("editor", {
  description: "Asks the researcher and the critic at the same time, and joins their answers",
  payload: { topic: Schema.NonEmptyString },
  success: Schema.Struct({ facts: Schema.String, doubts: Schema.String }),
  examples: ["tea"]
}) {}

const ask = (prompt: string) => Effect.map(ModelLoop.run({ prompt, toolkit: Toolkit.empty }), ({ text }) => text)

export const ResearcherLayer = Researcher.toLayer(({ topic }) => ask(`Facts about ${topic}, in two sentences.`))

export const CriticLayer = Critic.toLayer(({ topic }) => ask(`Errors about ${topic}, in two sentences.`))

// Each delegation is a run of its own. A restart resumes all three and repeats no finished part.
export const EditorLayer = Editor.toLayer(Effect.fn(function*({ topic }) {
  const { doubts, facts } = yield* Effect.orDie(Run.all({
    facts: Run.delegate(Researcher, { topic }),
    doubts: Run.delegate(Critic, { topic })
  }))
  yield* Run.emit(Event.token(`${facts}\n${doubts}\n`))
  return { facts, doubts }
}))
