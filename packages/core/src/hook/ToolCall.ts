/**
 * A tool call inside a run: hooks, approval, then the handler once, journaled.
 *
 * @since 0.1.0
 */
import { Context, Effect, type Schema, Stream } from "effect"
import type * as Prompt from "effect/ai/Prompt"
import type * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import { handlerOf } from "../base/internal/handlerOf.ts"
import { CurrentRun } from "../run/Run.ts"
import { HookBlocked } from "../run/RunError.ts"
import { type ToolCall, ToolHooks, type ToolOutcome } from "./Hook.ts"
import { type CallEdits, CurrentEdits } from "./internal/callEdits.ts"
import { boundHook, type Dispatch, dispatch, transparent } from "./internal/dispatch.ts"
import {
  alone,
  decodeStored,
  perform,
  type Performed,
  recalled,
  reportOf,
  type Through
} from "./internal/toolAttempt.ts"
import { toolOf } from "./internal/toolWork.ts"

/**
 * The outcome of a call. A denied call never reached the tool; `arguments` are those it ran with, after hooks and edits.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outcome extends ToolOutcome {
  readonly arguments: Schema.Json
  readonly denied: boolean
}

/**
 * A result of a tool, encoded; a preliminary one says how far the tool has come.
 *
 * @category models
 * @since 0.1.0
 */
export type Result = Pick<Tool.HandlerResult<Tool.Any>, "encodedResult" | "isFailure" | "preliminary">

/**
 * Tools of any kind with their handlers. `handle` gives each result of a call to `take`, the final one last.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handlers {
  readonly tools: Record<string, Tool.Any>
  readonly handle: (
    name: string,
    params: unknown,
    toolCallId: string,
    take: (result: Result) => Effect.Effect<void>
  ) => Effect.Effect<void, unknown>
}

/**
 * The results of a call as a toolkit gives them.
 *
 * @category models
 * @since 0.1.0
 */
export type Results = Effect.Effect<Stream.Stream<Result, unknown>, unknown>

/**
 * The place of a call among the calls that run beside it: `asks` comes before somebody is asked about the call, and the
 * call begins to work once `acts` is through.
 *
 * @category models
 * @since 0.1.0
 */
export interface Turn {
  readonly asks: Effect.Effect<void>
  readonly acts: Effect.Effect<void>
}

/**
 * The handlers of a toolkit, which forget which tools it has. `around` may change the results of a call.
 *
 * @category conversions
 * @since 0.1.0
 */
export const handlersOf = <Tools extends Record<string, Tool.Any>>(
  toolkit: Toolkit.WithHandler<Tools>,
  around: (name: string, results: Results) => Results = (_name, results) => results
): Handlers => {
  // cast: names and parameters are checked by the toolkit itself, and its handlers carry their services.
  const { handle, tools } = toolkit as unknown as {
    readonly tools: Handlers["tools"]
    readonly handle: (name: string, params: unknown, toolCallId: string) => Results
  }
  return {
    tools,
    handle: (name, params, toolCallId, take) =>
      Effect.flatMap(
        around(name, Effect.suspend(() => handle(name, params, toolCallId))),
        (results) => Stream.runForEach(results, take)
      )
  }
}

/**
 * Calls a tool.
 *
 * Fails as the tool's handler fails, when its failure mode is `"error"`: no result is journaled then, that is for whoever
 * goes on. An approval suspends the run; a call that the approver edits is a new call, which hooks and policies see again.
 *
 * @category combinators
 * @since 0.1.0
 */
export const invoke = Effect.fnUntraced(function*(
  handlers: Handlers,
  call: ToolCall,
  messages: ReadonlyArray<Prompt.Message> = [],
  turn: Turn = alone
) {
  const run = yield* CurrentRun
  const wrapped = yield* hooksAround(handlers, call.name)
  // A result that no hook can change is reported in the commit that stores it.
  const final = transparent.has(wrapped)
  // Hooks decide about work that is still to do: what they made of a call that is over is stored.
  if (!final && run.isRecorded(reportOf(call))) return yield* recalled(call)
  const through: Through = (call, edited, known) =>
    Effect.suspend(() => {
      const edits: CallEdits = new Map(known)
      let ran: Performed | undefined
      const next = (admitted: ToolCall) => {
        const modified = admitted !== call || edited !== undefined || edits.size > 0
        const isNew = [...edits].some(([hook, value]) => known.get(hook) !== value)
        const attempt = { call: admitted, modified, edited, edits, isNew, messages, turn, tell: final }
        const performed = perform(handlers, attempt, through)
        return Effect.map(performed, (performed) => {
          ran = performed
          return performed.outcome
        })
      }
      return Effect.map(
        Effect.provideService(wrapped(call, next), CurrentEdits, edits),
        ({ isError, result }): Performed => {
          const { arguments: args, denied } = ran?.outcome ?? { arguments: call.arguments, denied: false }
          return { outcome: { result, isError, denied, arguments: args }, durationMs: ran?.durationMs }
        }
      )
    })
  const { durationMs, outcome } = yield* Effect.tapError(
    through(call, undefined, new Map()),
    (error) =>
      error instanceof HookBlocked && error.point === "tool" ? run.tools.refused(call.name, error) : Effect.void
  )
  if (final) return outcome
  const { arguments: args, denied, isError, result } = outcome
  const { name, toolCallId } = call
  // The result is reported once, as the hooks have changed it.
  const reported = yield* run.step(
    reportOf(call),
    Effect.succeed({ result, isError, denied }),
    () => [{
      type: "tool_result",
      data: {
        toolCallId,
        name,
        result,
        isError,
        ...(denied ? { denied } : {}),
        ...(durationMs === undefined ? {} : { durationMs })
      }
    }]
  )
  return { ...decodeStored(reported), arguments: args } satisfies Outcome
})

/** The hooks around a tool: the app's and the agent's, and inside of them its own. */
const hooksAround = Effect.fnUntraced(function*(handlers: Handlers, name: string) {
  const { decided, hooks, record } = yield* CurrentRun
  const tool = toolOf(handlers, name)
  const own = tool === undefined ? [] : Context.get(tool.annotations, ToolHooks)
  if (own.length === 0) return hooks.tool
  const services = yield* Effect.context<never>()
  const bound = own.map((hook) => boundHook(hook, handlerOf(services, hook)))
  const inner = dispatch(bound, record.runId, decided)
  const wrapped: Dispatch["tool"] = (call, next) => hooks.tool(call, (changed) => inner.tool(changed, next))
  return wrapped
})
