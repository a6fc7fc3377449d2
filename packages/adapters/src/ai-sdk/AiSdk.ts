/**
 * Implements an agent with a `ToolLoopAgent` of the Vercel AI SDK.
 *
 * The agent runs with models and tools whose calls are steps of the run: a resumed run gets their stored results, hooks and
 * budgets stand around each, and a tool that needs an approval waits for a human over any restart.
 *
 * @since 0.1.0
 */
import type { Agent, Hook } from "@fastagentic/core"
import { CurrentRun, type InterruptDenied } from "@fastagentic/core/run/Run"
import type { ModelMessage, StepResult, ToolSet } from "ai"
import { Effect, Layer, Scope } from "effect"
import type { Adapter, AdapterCapabilities } from "../adapter/AdapterCapabilities.ts"
import type { AdapterLoadError } from "../adapter/AdapterError.ts"
import { failureOf } from "../adapter/Failure.ts"
import * as FrameworkRun from "../adapter/FrameworkRun.ts"
import * as Turns from "../adapter/Turns.ts"
import { type Library, library } from "./internal/library.ts"
import { Models } from "./internal/models.ts"
import { settingsOf, wrapSettings } from "./internal/settings.ts"

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
export interface Runtime {
  readonly runId: string
  readonly threadId: string
  /** Aborts when the run ends for any reason. */
  readonly signal: AbortSignal
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
  Error extends Agent.AnySchema,
  Hooks extends Hook.Any
>(
  agent: Agent.Agent<Identifier, Payload, Success, Error, Hooks>,
  source: Source,
  options: Options<Payload["Type"], Success["Type"]>
): Layer.Layer<Agent.Handler<Identifier>, AdapterLoadError> => {
  // cast: the option may be omitted only where the answer is a text.
  const output = options.output ?? (({ text }: Result) => text as Success["Type"])
  const layerOf = (loaded: Library) =>
    agent.toLayer(
      (payload) => Effect.map(drive(loaded, agent.errorSchema, source, options.prompt(payload)), output),
      adapter
    )
  return Layer.unwrap(Effect.map(library, layerOf))
}

const drive = <E extends Agent.AnySchema>(
  loaded: Library,
  errorSchema: E,
  source: Source,
  prompt: string | Array<ModelMessage>
): Effect.Effect<Result, E["Type"] | InterruptDenied, CurrentRun | Scope.Scope> =>
  Effect.gen(function*() {
    const { record } = yield* CurrentRun
    const scope = yield* Effect.scope
    const turns = Turns.make()
    let models: Models | undefined
    const result = yield* FrameworkRun.within(async (framework): Promise<Result> => {
      const { signal } = framework
      const threadId = record.threadId ?? record.runId
      const made = typeof source === "function" ? await source({ runId: record.runId, threadId, signal }) : source
      models = new Models(loaded, framework)
      const begin = Effect.orDie(Effect.provideService(turns.begin, Scope.Scope, scope))
      const settings = wrapSettings(settingsOf(made), framework, models, () => framework.promise(begin))
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
    }).pipe(
      Effect.tapError(() => Effect.orDie(turns.end("error"))),
      Effect.catchTag("Thrown", (thrown) => failureOf(errorSchema, models?.failures ?? new WeakMap(), thrown))
    )
    yield* Effect.orDie(turns.end("ok"))
    return result
  })
