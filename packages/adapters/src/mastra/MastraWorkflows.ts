/**
 * Implements an agent with a workflow of Mastra.
 *
 * Each step of the workflow is a step of the run: a resumed run gets its stored result, and a step that suspends waits for a
 * human over any restart.
 *
 * @since 0.1.0
 */
import type { Agent } from "@fastagentic/core"
import { CurrentRun } from "@fastagentic/core/run/Run"
import type { AnyWorkflow } from "@mastra/core/workflows"
import { Effect, type Layer } from "effect"
import type { Adapter, AdapterCapabilities } from "../adapter/AdapterCapabilities.ts"
import type { AdapterLoadError } from "../adapter/AdapterError.ts"
import { failureOf } from "../adapter/Failure.ts"
import * as FrameworkRun from "../adapter/FrameworkRun.ts"
import { type Declared, layerOf } from "../adapter/internal/declared.ts"
import * as Functions from "../functions/Functions.ts"
import { runWorkflow } from "./internal/engine.ts"
import { workflows } from "./internal/library.ts"

/**
 * The abilities of the adapter: the models and tools that a step calls are seen by nobody.
 *
 * @category capabilities
 * @since 0.1.0
 */
export const capabilities: AdapterCapabilities = { ...Functions.capabilities, boundary: "step" }

const adapter: Adapter = {
  name: "mastra-workflow",
  capabilities,
  remedy: "host the agents that its steps call with MastraAgents"
}

/** A workflow of Mastra that is committed. @category models @since 0.1.0 */
export interface MastraWorkflow {
  readonly id: string
  readonly committed: boolean
}

/** The input of a payload, by default the payload, and the answer of a result, by default the result. @category options @since 0.1.0 */
export interface Options<Payload, Success> {
  readonly input?: (payload: Payload) => unknown
  readonly output?: (result: unknown) => Success
}

/**
 * Implements an agent with a workflow of Mastra.
 *
 * **Gotchas**
 *
 * A resumed run goes through the workflow again: mappings and functions for sleeps have to give the same.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <
  Identifier extends string,
  Payload extends Agent.PayloadSchema,
  Success extends Agent.AnySchema
>(
  agent: Declared<Identifier, Payload, Success>,
  workflow: MastraWorkflow,
  options: Options<Payload["Type"], Success["Type"]> = {}
): Layer.Layer<Agent.Handler<Identifier>, AdapterLoadError> => {
  const { input = (payload: Payload["Type"]): unknown => payload, output } = options
  // cast: the result of the workflow is the answer where no option says otherwise.
  const answer = output ?? ((result: unknown) => result as Success["Type"])
  return layerOf(
    agent,
    adapter,
    workflows,
    (loaded, payload) =>
      CurrentRun.use(({ record: { runId } }) =>
        FrameworkRun.within((framework) =>
          // cast: a workflow of any steps and schemas.
          runWorkflow(loaded, framework, workflow as AnyWorkflow, runId, input(payload))
        )
      ).pipe(
        Effect.map(answer),
        Effect.catchTag("Thrown", (thrown) => failureOf(agent.errorSchema, new WeakMap(), thrown))
      )
  )
}
