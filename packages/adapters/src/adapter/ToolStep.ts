/**
 * One call of a framework's tool that its adapter makes: a step of the run, with the door, hooks, approval and events.
 *
 * @since 0.1.0
 */
import { Run, RunError, ToolCall } from "@fastagentic/core"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { Effect, Schema, Stream } from "effect"
import * as Tool from "effect/ai/Tool"
import { Thrown } from "./AdapterError.ts"
import type { FrameworkRun } from "./FrameworkRun.ts"
import { toJson } from "./Json.ts"

/** The call that a tool gets. @category models @since 0.1.0 */
export interface Context {
  readonly toolCallId: string
  /** Aborts when the call is over for any reason. */
  readonly signal: AbortSignal
}

/**
 * A tool of a framework.
 *
 * @category models
 * @since 0.1.0
 */
export interface FrameworkTool {
  readonly name: string
  readonly description?: string | undefined
  /** The JSON schema of its arguments, to which an approver's edit is held; by default any object. */
  readonly parameters?: object | undefined
  /** Whether a human decides about the call first. */
  readonly needsApproval?: ((args: Schema.Json, toolCallId: string) => boolean | PromiseLike<boolean>) | undefined
  /** The values of an async iterable before its last are progress. */
  readonly execute: (args: unknown, context: Context) => unknown
}

/** The outcome of a call. `denied` calls never reached the tool. @category models @since 0.1.0 */
export const Outcome = Schema.Struct({
  arguments: Schema.Json,
  result: Schema.Json,
  isError: Schema.Boolean,
  denied: Schema.Boolean
})

/** @category models @since 0.1.0 */
export type Outcome = typeof Outcome.Type

/** A call as the model requested it; its id is unique in the run. @category models @since 0.1.0 */
export interface Call {
  readonly toolCallId: string
  readonly arguments: unknown
}

const isIterable = (value: unknown): value is AsyncIterable<unknown> =>
  typeof value === "object" && value !== null && Symbol.asyncIterator in value

const valueOf = (value: unknown, preliminary: boolean): Tool.HandlerResult<Tool.Any> => {
  const json = toJson(value)
  // cast: the tool is dynamic, so its results are any JSON.
  return { result: json as never, encodedResult: json, isFailure: false, preliminary }
}

/** The model learns that a tool failed; the cause is in the log, because it may hold text that nobody should read. */
const failureOf = (tool: string): Tool.HandlerResult<Tool.Any> => {
  const json = { _tag: "ToolFailed", message: `The tool "${tool}" failed.` }
  // cast: the tool is dynamic, so its results are any JSON.
  return { result: json as never, encodedResult: json, isFailure: true, failureOrigin: "handler", preliminary: false }
}

/**
 * Makes a call once per run. A tool that throws, a denial and a refusal by a hook or a policy are outcomes, for the model to
 * read.
 *
 * @category combinators
 * @since 0.1.0
 */
export const run = (
  framework: FrameworkRun,
  tool: FrameworkTool,
  call: Call
): Effect.Effect<Outcome, never, CurrentRun> =>
  Effect.orDie(Run.stepWith(`call ${call.toolCallId}`, Outcome, make(framework, tool, call)))

const make = Effect.fnUntraced(function*(framework: FrameworkRun, tool: FrameworkTool, call: Call) {
  const { needsApproval } = tool
  const { name } = tool
  const run = yield* CurrentRun
  const asked = { toolCallId: call.toolCallId, name, arguments: toJson(call.arguments) }
  const declared = Tool.dynamic(name, {
    ...(tool.description === undefined ? {} : { description: tool.description }),
    parameters: { type: "object", ...tool.parameters },
    success: Schema.Json,
    failure: Schema.Json,
    failureMode: "return",
    ...(needsApproval === undefined ? {} : {
      needsApproval: (args: unknown) =>
        Effect.orDie(
          Effect.provideService(
            framework.wait(() => needsApproval(toJson(args), call.toolCallId)),
            CurrentRun,
            run
          )
        )
    })
  })
  const handlers: ToolCall.Handlers = {
    tools: { [name]: declared },
    handle: (_name, params, toolCallId, take) =>
      Effect.flatMap(
        CurrentRun,
        (place) =>
          Stream.runForEach(
            Stream.provideService(results(framework, tool, params, toolCallId), CurrentRun, place),
            take
          )
        // cast: the step that calls the tool has provided its place.
      ) as unknown as Effect.Effect<void>
  }
  return yield* ToolCall.invoke(handlers, asked).pipe(
    Effect.catchIf(
      (error) => error instanceof RunError.HookBlocked || error instanceof RunError.ToolTimedOut,
      (error) => {
        const denied = error instanceof RunError.HookBlocked
        const result = denied ? { denied: true, reason: error.reason } : { _tag: error._tag, message: error.message }
        return Effect.as(
          run.emit({
            type: "tool_result",
            data: { toolCallId: call.toolCallId, name, result, isError: true, ...(denied ? { denied } : {}) }
          }),
          { arguments: asked.arguments, result, isError: true, denied } satisfies Outcome
        )
      }
    )
  )
})

const results = (framework: FrameworkRun, tool: FrameworkTool, params: unknown, toolCallId: string) => {
  const failed = ({ cause }: Thrown) =>
    Effect.as(
      Effect.annotateLogs(Effect.logError("A tool failed", cause), { tool: tool.name, toolCallId }),
      failureOf(tool.name)
    )
  const started = framework.wait((signal) => tool.execute(params, { toolCallId, signal }))
  return Stream.unwrap(Effect.map(started, (value) => {
    if (!isIterable(value)) return Stream.make(valueOf(value, false))
    let last: unknown
    return Stream.fromAsyncIterable(value, (cause) => new Thrown({ cause })).pipe(
      Stream.map((one) => {
        last = one
        return valueOf(one, true)
      }),
      Stream.concat(Stream.suspend(() => Stream.make(valueOf(last, false))))
    )
  })).pipe(Stream.catchTag("Thrown", (thrown) => Stream.fromEffect(failed(thrown))))
}
