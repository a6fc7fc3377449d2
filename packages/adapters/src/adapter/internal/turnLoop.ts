// Hosts a framework whose loop asks a model turn by turn and leaves its calls to us: AiSdk.ts and OpenAiAgents.ts run their
// agents in it. Every turn ends in the journal, and a failure of a model keeps the model's name.
import type { Agent } from "@fastagentic/core"
import type { ModelEnd } from "@fastagentic/core/run/ModelEnd"
import { CurrentRun, type InterruptDenied } from "@fastagentic/core/run/Run"
import { Effect, Scope } from "effect"
import type { AdapterCapabilities } from "../AdapterCapabilities.ts"
import { Thrown } from "../AdapterError.ts"
import { failureOf } from "../Failure.ts"
import * as FrameworkRun from "../FrameworkRun.ts"
import * as ModelStep from "../ModelStep.ts"
import * as RuntimeModel from "../RuntimeModel.ts"
import * as RuntimeTool from "../RuntimeTool.ts"
import type * as ToolStep from "../ToolStep.ts"
import * as Turns from "../Turns.ts"

/** The abilities of such an adapter. */
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

/** The run that an agent is made for. */
export interface Runtime {
  readonly runId: string
  readonly threadId: string
  /** Aborts when the run ends for any reason. */
  readonly signal: AbortSignal
}

export interface TurnLoop {
  readonly framework: FrameworkRun.FrameworkRun
  readonly runtime: Runtime
  readonly beginTurn: () => Promise<void>
  /** Calls a model as a step; rejects with the model's own error. */
  readonly callModel: (request: ModelStep.Request) => Promise<ModelStep.Reply>
  /** The tools of the app. */
  readonly tools: ReadonlyArray<RuntimeTool.RuntimeTool>
  /** Calls one of them as a step; a failure that the tool declares as an error ends the run. */
  readonly callTool: (tool: RuntimeTool.RuntimeTool, call: ToolStep.Call) => Promise<ToolStep.Outcome>
  readonly model: RuntimeModel.Find
  /** Calls a model of the app as a step, as `callModel` does. */
  readonly ask: (model: RuntimeModel.RuntimeModel, asked: RuntimeModel.Asked) => Promise<ModelStep.Reply>
}

/** Runs the loop to its end, with the failures of an agent. */
export const within = <E extends Agent.AnySchema, A, R = never>(
  errorSchema: E,
  given: Effect.Effect<ReadonlyArray<RuntimeTool.RuntimeTool>, never, R>,
  use: (loop: TurnLoop) => Promise<A>
): Effect.Effect<A, E["Type"] | InterruptDenied | ModelEnd, CurrentRun | Scope.Scope | R> =>
  Effect.gen(function*() {
    const { record: { runId, threadId = runId } } = yield* CurrentRun
    const scope = yield* Effect.scope
    const turns = Turns.make()
    const tools = yield* given
    const model = yield* RuntimeModel.make()
    const begin = Effect.orDie(Effect.provideService(turns.begin, Scope.Scope, scope))
    /** The errors that models threw, with the model's name: a caller may try again. */
    const failures = new WeakMap<object, string>()
    const result = yield* FrameworkRun.within((framework) => {
      const called = (name: string, call: Effect.Effect<ModelStep.Reply, Thrown, CurrentRun>) =>
        framework.promise(call).catch((error: unknown) => {
          if (!(error instanceof Thrown)) throw error
          if (typeof error.cause === "object" && error.cause !== null) failures.set(error.cause, name)
          throw error.cause
        })
      return use({
        framework,
        runtime: { runId, threadId, signal: framework.signal },
        beginTurn: () => framework.promise(begin),
        callModel: (request) => called(request.model, ModelStep.run(request)),
        tools,
        callTool: (tool, call) => framework.decisive(tool.call(call)),
        model,
        ask: (own, asked) => called(own.model, own.call(asked))
      })
    }).pipe(
      Effect.tapError(() => Effect.orDie(turns.end("error"))),
      Effect.catchTag("Thrown", (thrown) => failureOf(errorSchema, failures, thrown))
    )
    yield* Effect.orDie(turns.end("ok"))
    return result
  })
