// The agent that a framework implements, and its layer once the framework is loaded; every adapter takes its agent as this type,
// and AiSdk.ts, LangGraph.ts, MastraAgents.ts and OpenAiAgents.ts make their layers here.
import type { Agent, Hook } from "@fastagentic/core"
import { Effect, Layer } from "effect"
import type { Adapter, AdapterCapabilities } from "../AdapterCapabilities.ts"

/** A declared agent, of any errors and hooks. */
export type Declared<
  Identifier extends string,
  Payload extends Agent.PayloadSchema,
  Success extends Agent.AnySchema
> = Agent.Agent<Identifier, Payload, Success, Agent.AnySchema, Hook.Any>

/**
 * The adapter of a source: only an agent that a function of the run makes gets the tools and the models of the app, so tools
 * for another one stop the start.
 */
export const adapterOf = (
  name: string,
  capabilities: AdapterCapabilities,
  isMade: boolean,
  { toolkit }: { readonly toolkit?: unknown }
): Adapter => {
  if (!isMade && toolkit !== undefined) {
    throw new Error(
      `the adapter "${name}" got a toolkit and an agent that is made already: give it a function (run) => agent, which takes the tools from run.tools`
    )
  }
  return isMade ? { name, capabilities: { ...capabilities, toolInjection: "factory" } } : { name, capabilities }
}

/** Loads the library, and answers each payload with it. */
export const layerOf = <
  Identifier extends string,
  Payload extends Agent.PayloadSchema,
  Success extends Agent.AnySchema,
  Library,
  LoadError,
  R
>(
  agent: Declared<Identifier, Payload, Success>,
  adapter: Adapter,
  library: Effect.Effect<Library, LoadError>,
  answer: (loaded: Library, payload: Payload["Type"]) => Effect.Effect<Success["Type"], unknown, R>
) => Layer.unwrap(Effect.map(library, (loaded) => agent.toLayer((payload) => answer(loaded, payload), adapter)))
