/**
 * Implements an agent with a `ToolLoopAgent` of the Vercel AI SDK.
 *
 * The agent runs with models and tools whose calls are steps of the run: a resumed run gets their stored results, hooks and
 * budgets stand around each, and a tool that needs an approval waits for a human over any restart.
 *
 * @since 0.1.0
 */
import type { LanguageModelV4 } from "@ai-sdk/provider"
import type { Agent } from "@fastagentic/core"
import type { ModelMessage, StepResult, ToolSet } from "ai"
import { Effect, type Layer } from "effect"
import type * as Tool from "effect/ai/Tool"
import type { AdapterCapabilities } from "../adapter/AdapterCapabilities.ts"
import type { AdapterLoadError } from "../adapter/AdapterError.ts"
import { adapterOf, type Declared, layerOf } from "../adapter/internal/declared.ts"
import * as TurnLoop from "../adapter/internal/turnLoop.ts"
import * as RuntimeTool from "../adapter/RuntimeTool.ts"
import { type Library, library } from "./internal/library.ts"
import { Models } from "./internal/models.ts"
import { toolSetOf } from "./internal/runtimeTools.ts"
import { settingsOf, wrapSettings } from "./internal/settings.ts"

/** The abilities of the adapter. @category capabilities @since 0.1.0 */
export const capabilities: AdapterCapabilities = TurnLoop.capabilities

/**
 * An agent of the AI SDK: an instance of `ToolLoopAgent` with any tools and output.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoopAgent {
  readonly version: "agent-v1"
  readonly id: string | undefined
  readonly tools: object
}

/**
 * The run that an agent is made for, with what the app has for it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Runtime extends TurnLoop.Runtime {
  /** The tools of the option `toolkit`: their calls pass the door, hooks, approvals and journal of the app. */
  readonly tools: ToolSet
  /** A model of the app by its name; by default the one that the agent declares, and then that of the layer. */
  readonly model: (name?: string) => LanguageModelV4
}

/** An agent, or a function that makes one for each run. @category models @since 0.1.0 */
export type Source = LoopAgent | ((runtime: Runtime) => LoopAgent | PromiseLike<LoopAgent>)

/** The result of an agent: `output` is there when the agent declares one. @category models @since 0.1.0 */
export interface Result {
  /** The text of the last step. */
  readonly text: string
  readonly output: unknown
  readonly steps: ReadonlyArray<StepResult<ToolSet>>
}

/** The prompt of a payload, and the answer of a result; by default the text. @category options @since 0.1.0 */
export type Options<Payload, Success> =
  & { readonly prompt: (payload: Payload) => string | Array<ModelMessage> }
  & ([string] extends [Success] ? { readonly output?: (result: Result) => Success }
    : { readonly output: (result: Result) => Success })

/**
 * Implements an agent with an agent of the AI SDK.
 *
 * **Gotchas**
 *
 * Code of the agent outside of its models and tools, such as `prepareStep` and `stopWhen`, runs again when a run resumes,
 * and has to decide the same. Callbacks get each answer once it is stored, not token by token.
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
  // cast: the option may be omitted only where the answer is a text.
  const output = options.output ?? (({ text }: Result) => text as Success["Type"])
  return layerOf(
    agent,
    adapterOf("ai-sdk", capabilities, typeof source === "function", options),
    library("ai-sdk"),
    (loaded, payload) =>
      Effect.map(
        drive(loaded, agent.errorSchema, source, RuntimeTool.from(options), options.prompt(payload)),
        output
      )
  )
}

const drive = <E extends Agent.AnySchema, R>(
  loaded: Library,
  errorSchema: E,
  source: Source,
  tools: Effect.Effect<ReadonlyArray<RuntimeTool.RuntimeTool>, never, R>,
  prompt: string | Array<ModelMessage>
) =>
  TurnLoop.within(errorSchema, tools, async (loop): Promise<Result> => {
    const models = new Models(loaded, loop)
    const given = toolSetOf(loaded, loop)
    const made = typeof source === "function"
      ? await source({ ...loop.runtime, tools: given, model: models.ofApp })
      : source
    const settings = wrapSettings(settingsOf(made), loop, models)
    const { signal } = loop.runtime
    const streamed = await new loaded.ToolLoopAgent(settings).stream({ prompt, abortSignal: signal })
    let failed: { readonly error: unknown } | undefined
    for await (const part of streamed.fullStream) {
      if (part.type === "error") failed ??= { error: part.error }
    }
    if (failed !== undefined) throw failed.error
    return {
      text: await streamed.text,
      output: settings.output === undefined ? undefined : await streamed.output,
      steps: await streamed.steps
    }
  })
