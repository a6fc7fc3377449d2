// The agent that a framework implements, and its layer once the framework is loaded; every adapter takes its agent as this type,
// and AiSdk.ts, LangGraph.ts, MastraAgents.ts and OpenAiAgents.ts make their layers here.
import type { Agent, Hook } from "@fastagentic/core"
import { Effect, Layer } from "effect"
import type { Adapter } from "../AdapterCapabilities.ts"

/** A declared agent, of any errors and hooks. */
export type Declared<
  Identifier extends string,
  Payload extends Agent.PayloadSchema,
  Success extends Agent.AnySchema
> = Agent.Agent<Identifier, Payload, Success, Agent.AnySchema, Hook.Any>

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
