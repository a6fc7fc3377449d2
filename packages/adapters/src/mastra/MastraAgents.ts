/**
 * Implements an agent with an agent of Mastra.
 *
 * The agent, and those that it delegates to, run with models and tools whose calls are steps of the run: a resumed run gets
 * their stored results, hooks and budgets stand around each, and a tool that needs an approval or suspends waits for a human
 * over any restart.
 *
 * @since 0.1.0
 */
import type { Agent } from "@fastagentic/core"
import type { Agent as AnyAgent, AgentConfig, ToolsInput } from "@mastra/core/agent"
import type { MessageListInput } from "@mastra/core/agent/message-list"
import { Effect, type Layer } from "effect"
import type * as Tool from "effect/ai/Tool"
import type { AdapterCapabilities } from "../adapter/AdapterCapabilities.ts"
import type { AdapterLoadError } from "../adapter/AdapterError.ts"
import { adapterOf, type Declared, layerOf } from "../adapter/internal/declared.ts"
import * as ThreadTurn from "../adapter/internal/threadTurn.ts"
import * as TurnLoop from "../adapter/internal/turnLoop.ts"
import * as RuntimeTool from "../adapter/RuntimeTool.ts"
import { type Library, library } from "../ai-sdk/internal/library.ts"
import { Models } from "../ai-sdk/internal/models.ts"
import { Agents } from "./internal/agents.ts"
import { toolsOf } from "./internal/runtimeTools.ts"

/** The abilities of the adapter. @category capabilities @since 0.1.0 */
export const capabilities: AdapterCapabilities = TurnLoop.capabilities

/** An agent of Mastra, with any tools and output. @category models @since 0.1.0 */
export interface MastraAgent {
  readonly id: string
  readonly name: string
  readonly getDescription: () => string
  readonly hasOwnMemory: () => boolean
}

/**
 * The run that an agent is made for, with what the app has for it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Runtime extends TurnLoop.Runtime {
  /** The tools of the option `toolkit`: their calls pass the door, hooks, approvals and journal of the app. */
  readonly tools: ToolsInput
  /** A model of the app by its name; by default the one that the agent declares, and then that of the layer. */
  readonly model: (name?: string) => AgentModel
}

type AgentModel = AgentConfig["model"]

/** An agent, or a function that makes one for each run. @category models @since 0.1.0 */
export type Source = MastraAgent | ((runtime: Runtime) => MastraAgent | PromiseLike<MastraAgent>)

/** The result of an agent: `object` is there when the agent has a structured output. @category models @since 0.1.0 */
export interface Result {
  readonly text: string
  readonly object: unknown
}

/** The prompt of a payload: with `thread`, a text that is sent after what the thread has said before. @category options @since 0.1.0 */
export type Prompting<Payload> =
  | { readonly prompt: (payload: Payload) => MessageListInput; readonly thread?: false }
  | { readonly prompt: (payload: Payload) => string; readonly thread: true }

/** The prompt of a payload, and the answer of a result; by default the text. @category options @since 0.1.0 */
export type Options<Payload, Success> =
  & Prompting<Payload>
  & ([string] extends [Success] ? { readonly output?: (result: Result) => Success }
    : { readonly output: (result: Result) => Success })

/**
 * Implements an agent with an agent of Mastra.
 *
 * **Gotchas**
 *
 * Code of the agent outside of its models and tools, such as processors, runs again when a run resumes, and has to decide
 * the same.
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
    adapterOf("mastra", capabilities, typeof source === "function", options),
    library("mastra"),
    (loaded, payload) =>
      Effect.map(
        converse(loaded, agent.errorSchema, source, RuntimeTool.from(options), options, payload),
        output
      )
  )
}

type RuntimeTools<R> = Effect.Effect<ReadonlyArray<RuntimeTool.RuntimeTool>, never, R>

const converse = Effect.fnUntraced(function*<E extends Agent.AnySchema, Payload, R>(
  loaded: Library,
  errorSchema: E,
  source: Source,
  tools: RuntimeTools<R>,
  options: Prompting<Payload>,
  payload: Payload
) {
  if (options.thread !== true) return yield* drive(loaded, errorSchema, source, tools, options.prompt(payload))
  const prompt = options.prompt(payload)
  const messages = [...yield* ThreadTurn.before, { role: "user" as const, content: prompt }]
  const result = yield* drive(loaded, errorSchema, source, tools, messages)
  yield* ThreadTurn.keep(prompt, result.text)
  return result
})

const drive = <E extends Agent.AnySchema, R>(
  loaded: Library,
  errorSchema: E,
  source: Source,
  tools: RuntimeTools<R>,
  prompt: MessageListInput
) =>
  TurnLoop.within(errorSchema, tools, async (loop): Promise<Result> => {
    const models = new Models(loaded, loop)
    // cast: Mastra takes models of the AI SDK, and declares another result of `doGenerate` for them.
    const model = (name?: string) => models.ofApp(name) as unknown as AgentModel
    const made = typeof source === "function"
      ? await source({ ...loop.runtime, tools: toolsOf(loaded, loop), model })
      : source
    // cast: an agent of any tools and output; `wrap` refuses what is none.
    const agent = new Agents(loop, models).wrap(made as unknown as AnyAgent, loop.beginTurn)
    const streamed = await agent.stream(prompt, { abortSignal: loop.runtime.signal })
    let failed: { readonly error: unknown } | undefined
    for await (const chunk of streamed.fullStream) {
      if (chunk.type === "error") failed ??= { error: chunk.payload.error }
      if (chunk.type === "tripwire") failed ??= { error: new Error(`a processor stopped it: ${chunk.payload.reason}`) }
    }
    if (failed !== undefined) throw failed.error
    return { text: await streamed.text, object: await streamed.object }
  })
