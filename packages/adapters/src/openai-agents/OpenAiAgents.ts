/**
 * Implements an agent with an agent of the OpenAI Agents SDK.
 *
 * The agent, and those that it hands over to, run with models and tools whose calls are steps of the run: a resumed run gets
 * their stored results, hooks and budgets stand around each, and a tool that needs an approval waits for a human over any
 * restart.
 *
 * @since 0.1.0
 */
import type { Agent } from "@fastagentic/core"
import type { AgentInputItem, ModelProvider } from "@openai/agents"
import { Effect, type Layer } from "effect"
import type { Adapter, AdapterCapabilities } from "../adapter/AdapterCapabilities.ts"
import type { AdapterLoadError } from "../adapter/AdapterError.ts"
import { type Declared, layerOf } from "../adapter/internal/declared.ts"
import * as TurnLoop from "../adapter/internal/turnLoop.ts"
import { Agents, type AnyAgent } from "./internal/agents.ts"
import { type Library, library } from "./internal/library.ts"
import { Models } from "./internal/models.ts"

/** The abilities of the adapter. @category capabilities @since 0.1.0 */
export const capabilities: AdapterCapabilities = TurnLoop.capabilities

const adapter: Adapter = { name: "openai-agents", capabilities }

/** An agent of the SDK, of any context and output. @category models @since 0.1.0 */
export interface SdkAgent {
  readonly name: string
  readonly handoffDescription: string
  readonly handoffs: ReadonlyArray<unknown>
}

/** The run that an agent is made for. @category models @since 0.1.0 */
export interface Runtime extends TurnLoop.Runtime {}

/** An agent, or a function that makes one for each run. @category models @since 0.1.0 */
export type Source = SdkAgent | ((runtime: Runtime) => SdkAgent | PromiseLike<SdkAgent>)

/**
 * The input of a payload, and the answer of the agent's final output; by default the output itself. `modelProvider` gives the
 * models that agents name, `context` is the SDK's own, `maxTurns` its limit.
 *
 * @category options
 * @since 0.1.0
 */
export type Options<Payload, Success> =
  & {
    readonly input: (payload: Payload) => string | Array<AgentInputItem>
    readonly modelProvider?: ModelProvider
    readonly context?: (payload: Payload) => unknown
    readonly maxTurns?: number
  }
  & ([string] extends [Success] ? { readonly output?: (output: unknown) => Success }
    : { readonly output: (output: unknown) => Success })

/**
 * Implements an agent with an agent of the SDK.
 *
 * **Gotchas**
 *
 * Code of the agent outside of its models and tools, such as guardrails, runs again when a run resumes, and has to decide
 * the same. The SDK's own tracing is off, because its default exporter sends prompts away.
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
  source: Source,
  options: Options<Payload["Type"], Success["Type"]>
): Layer.Layer<Agent.Handler<Identifier>, AdapterLoadError> => {
  // cast: the option may be omitted only where the answer is a text.
  const output = options.output ?? ((value: unknown) => String(value) as Success["Type"])
  return layerOf(agent, adapter, library, (loaded, payload) =>
    Effect.map(
      drive(loaded, agent.errorSchema, source, {
        ...options,
        input: options.input(payload),
        context: options.context?.(payload)
      }),
      output
    ))
}

const drive = <E extends Agent.AnySchema>(
  loaded: Library,
  errorSchema: E,
  source: Source,
  { context, input, maxTurns, modelProvider }: {
    readonly input: string | Array<AgentInputItem>
    readonly modelProvider?: ModelProvider
    readonly context: unknown
    readonly maxTurns?: number
  }
) =>
  TurnLoop.within(errorSchema, async (loop): Promise<unknown> => {
    const made = typeof source === "function" ? await source(loop.runtime) : source
    const models = new Models(loaded, loop)
    const runner = new loaded.Runner({ modelProvider: models.provider(modelProvider), tracingDisabled: true })
    // cast: the type says of any agent what the adapter shows of it.
    const wrapped = new Agents(loop.framework, models).wrap(made as unknown as AnyAgent)
    const { signal } = loop.runtime
    const streamed = await runner.run(wrapped, input, {
      stream: true,
      signal,
      context,
      ...(maxTurns === undefined ? {} : { maxTurns })
    })
    for await (const _event of streamed) { /* the models and the tools report */ }
    await streamed.completed
    signal.throwIfAborted()
    return streamed.finalOutput
  })
