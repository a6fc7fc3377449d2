/**
 * Implements an agent with an agent of the OpenAI Agents SDK.
 *
 * The agent, and those that it hands over to, run with models and tools whose calls are steps of the run: a resumed run gets
 * their stored results, hooks and budgets stand around each, and a tool that needs an approval waits for a human over any
 * restart.
 *
 * @since 0.1.0
 */
import type { Agent, Hook } from "@fastagentic/core"
import { CurrentRun } from "@fastagentic/core/run/Run"
import type { AgentInputItem, ModelProvider } from "@openai/agents"
import { Effect, Layer, Scope } from "effect"
import type { Adapter, AdapterCapabilities } from "../adapter/AdapterCapabilities.ts"
import type { AdapterLoadError } from "../adapter/AdapterError.ts"
import { failureOf } from "../adapter/Failure.ts"
import * as FrameworkRun from "../adapter/FrameworkRun.ts"
import * as Turns from "../adapter/Turns.ts"
import { Agents, type AnyAgent } from "./internal/agents.ts"
import { type Library, library } from "./internal/library.ts"
import { Models } from "./internal/models.ts"

/** The abilities of the adapter. @category capabilities @since 0.1.0 */
export const capabilities: AdapterCapabilities = {
  tokens: true,
  boundary: "turn",
  commit: "barrier",
  interrupts: true,
  cancel: "abort",
  hooks: { llm: "modify", tool: "modify", node: "block" },
  toolInjection: "none",
  usage: true,
  budget: true,
  backpressure: "waits"
}

const adapter: Adapter = { name: "openai-agents", capabilities }

/** An agent of the SDK, of any context and output. @category models @since 0.1.0 */
export interface SdkAgent {
  readonly name: string
  readonly handoffDescription: string
  readonly handoffs: ReadonlyArray<unknown>
}

/** The run that an agent is made for. @category models @since 0.1.0 */
export interface Runtime {
  readonly runId: string
  readonly threadId: string
  /** Aborts when the run ends for any reason. */
  readonly signal: AbortSignal
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
  Error extends Agent.AnySchema,
  Hooks extends Hook.Any
>(
  agent: Agent.Agent<Identifier, Payload, Success, Error, Hooks>,
  source: Source,
  options: Options<Payload["Type"], Success["Type"]>
): Layer.Layer<Agent.Handler<Identifier>, AdapterLoadError> => {
  // cast: the option may be omitted only where the answer is a text.
  const output = options.output ?? ((value: unknown) => String(value) as Success["Type"])
  const layerOf = (loaded: Library) =>
    agent.toLayer((payload) =>
      Effect.map(
        drive(loaded, agent.errorSchema, source, {
          ...options,
          input: options.input(payload),
          context: options.context?.(payload)
        }),
        output
      ), adapter)
  return Layer.unwrap(Effect.map(library, layerOf))
}

const drive = <E extends Agent.AnySchema>(
  { Runner, ...loaded }: Library,
  errorSchema: E,
  source: Source,
  { context, input, maxTurns, modelProvider }: {
    readonly input: string | Array<AgentInputItem>
    readonly modelProvider?: ModelProvider
    readonly context: unknown
    readonly maxTurns?: number
  }
): Effect.Effect<unknown, Effect.Error<ReturnType<typeof failureOf<E>>>, CurrentRun | Scope.Scope> =>
  Effect.gen(function*() {
    const { record: { runId, threadId = runId } } = yield* CurrentRun
    const scope = yield* Effect.scope
    const turns = Turns.make()
    const begin = Effect.orDie(Effect.provideService(turns.begin, Scope.Scope, scope))
    let models: Models | undefined
    const result = yield* FrameworkRun.within(async (framework) => {
      const { signal } = framework
      const made = typeof source === "function" ? await source({ runId, threadId, signal }) : source
      models = new Models({ Runner, ...loaded }, framework, () => framework.promise(begin))
      const runner = new Runner({ modelProvider: models.provider(modelProvider), tracingDisabled: true })
      // cast: the type says of any agent what the adapter shows of it.
      const wrapped = new Agents(framework, models).wrap(made as unknown as AnyAgent)
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
    }).pipe(
      Effect.tapError(() => Effect.orDie(turns.end("error"))),
      Effect.catchTag("Thrown", (thrown) => failureOf(errorSchema, models?.failures ?? new WeakMap(), thrown))
    )
    yield* Effect.orDie(turns.end("ok"))
    return result
  })
