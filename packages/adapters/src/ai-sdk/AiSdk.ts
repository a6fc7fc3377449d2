/**
 * Implements an agent with a `ToolLoopAgent` of the Vercel AI SDK.
 *
 * The agent runs with models and tools whose calls are steps of the run: a resumed run gets their stored results, hooks and
 * budgets stand around each, and a tool that needs an approval waits for a human over any restart.
 *
 * @since 0.1.0
 */
import type { Agent } from "@fastagentic/core"
import type { ModelMessage, StepResult, ToolSet } from "ai"
import { Effect, type Layer } from "effect"
import type { Adapter, AdapterCapabilities } from "../adapter/AdapterCapabilities.ts"
import type { AdapterLoadError } from "../adapter/AdapterError.ts"
import { type Declared, layerOf } from "../adapter/internal/declared.ts"
import * as TurnLoop from "../adapter/internal/turnLoop.ts"
import { type Library, library } from "./internal/library.ts"
import { Models } from "./internal/models.ts"
import { settingsOf, wrapSettings } from "./internal/settings.ts"

/** The abilities of the adapter. @category capabilities @since 0.1.0 */
export const capabilities: AdapterCapabilities = TurnLoop.capabilities

const adapter: Adapter = { name: "ai-sdk", capabilities }

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

/** The run that an agent is made for. @category models @since 0.1.0 */
export interface Runtime extends TurnLoop.Runtime {}

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
  Success extends Agent.AnySchema
>(
  agent: Declared<Identifier, Payload, Success>,
  source: Source,
  options: Options<Payload["Type"], Success["Type"]>
): Layer.Layer<Agent.Handler<Identifier>, AdapterLoadError> => {
  // cast: the option may be omitted only where the answer is a text.
  const output = options.output ?? (({ text }: Result) => text as Success["Type"])
  return layerOf(
    agent,
    adapter,
    library("ai-sdk"),
    (loaded, payload) => Effect.map(drive(loaded, agent.errorSchema, source, options.prompt(payload)), output)
  )
}

const drive = <E extends Agent.AnySchema>(
  loaded: Library,
  errorSchema: E,
  source: Source,
  prompt: string | Array<ModelMessage>
) =>
  TurnLoop.within(errorSchema, async (loop): Promise<Result> => {
    const made = typeof source === "function" ? await source(loop.runtime) : source
    const settings = wrapSettings(settingsOf(made), loop, new Models(loaded, loop))
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
