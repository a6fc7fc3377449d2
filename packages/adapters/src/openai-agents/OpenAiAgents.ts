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
import type { AgentInputItem, Model, ModelProvider, Tool as SdkTool } from "@openai/agents"
import { Effect, type Layer } from "effect"
import type * as Tool from "effect/ai/Tool"
import type { AdapterCapabilities } from "../adapter/AdapterCapabilities.ts"
import type { AdapterLoadError } from "../adapter/AdapterError.ts"
import { adapterOf, type Declared, layerOf } from "../adapter/internal/declared.ts"
import * as TurnLoop from "../adapter/internal/turnLoop.ts"
import * as RuntimeTool from "../adapter/RuntimeTool.ts"
import { Agents, type AnyAgent } from "./internal/agents.ts"
import { type Library, library } from "./internal/library.ts"
import { Models } from "./internal/models.ts"
import { toolsOf } from "./internal/runtimeTools.ts"

/** The abilities of the adapter. @category capabilities @since 0.1.0 */
export const capabilities: AdapterCapabilities = TurnLoop.capabilities

/** An agent of the SDK, of any context and output. @category models @since 0.1.0 */
export interface SdkAgent {
  readonly name: string
  readonly handoffDescription: string
  readonly handoffs: ReadonlyArray<unknown>
}

/**
 * The run that an agent is made for, with what the app has for it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Runtime extends TurnLoop.Runtime {
  /** The tools of the option `toolkit`: their calls pass the door, hooks, approvals and journal of the app. */
  readonly tools: Array<SdkTool>
  /** A model of the app by its name; by default the one that the agent declares, and then that of the layer. */
  readonly model: (name?: string) => Model
}

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
  Success extends Agent.AnySchema,
  Tools extends Record<string, Tool.Any> = {},
  R = never
>(
  agent: Declared<Identifier, Payload, Success>,
  source: Source,
  options: Options<Payload["Type"], Success["Type"]> & RuntimeTool.Options<Tools, R>
): Layer.Layer<Agent.Handler<Identifier>, AdapterLoadError, RuntimeTool.Services<Tools, R>> => {
  const adapter = adapterOf("openai-agents", capabilities, typeof source === "function", options)
  // cast: the option may be omitted only where the answer is a text.
  const output = options.output ?? ((value: unknown) => String(value) as Success["Type"])
  return layerOf(agent, adapter, library, (loaded, payload) =>
    Effect.map(
      drive(loaded, agent.errorSchema, source, RuntimeTool.from(options), {
        ...options,
        input: options.input(payload),
        context: options.context?.(payload)
      }),
      output
    ))
}

const drive = <E extends Agent.AnySchema, R>(
  loaded: Library,
  errorSchema: E,
  source: Source,
  tools: Effect.Effect<ReadonlyArray<RuntimeTool.RuntimeTool>, never, R>,
  { context, input, maxTurns, modelProvider }: {
    readonly input: string | Array<AgentInputItem>
    readonly modelProvider?: ModelProvider
    readonly context: unknown
    readonly maxTurns?: number
  }
) =>
  TurnLoop.within(errorSchema, tools, async (loop): Promise<unknown> => {
    const models = new Models(loaded, loop)
    const made = typeof source === "function"
      ? await source({ ...loop.runtime, tools: toolsOf(loaded, loop), model: models.ofApp })
      : source
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
