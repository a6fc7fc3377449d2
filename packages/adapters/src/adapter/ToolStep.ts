/**
 * One call of a framework's tool that its adapter makes: a step of the run, with the door, hooks, approval and events.
 *
 * @since 0.1.0
 */
import { type Hook, Run, RunError, ToolCall } from "@fastagentic/core"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { Effect, Schema, Stream } from "effect"
import * as Tool from "effect/ai/Tool"
import { createHash } from "node:crypto"
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

/**
 * A call that code may have made by itself, without an id: its name and its arguments are its place among the steps.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyCall extends Pick<Call, "arguments">, Partial<Pick<Call, "toolCallId">> {}

/** A call with its id. @category models @since 0.1.0 */
export interface Asked extends Hook.ToolCall {}

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
  call: AnyCall
): Effect.Effect<Outcome, never, CurrentRun> =>
  once({ ...call, name: tool.name }, (asked) => make(framework, tool, asked))

/**
 * Does the work of a call once per run.
 *
 * @category combinators
 * @since 0.1.0
 */
export const once = (
  { arguments: given, name, toolCallId }: AnyCall & { readonly name: string },
  work: (asked: Asked) => Effect.Effect<Outcome, never, CurrentRun>
): Effect.Effect<Outcome, never, CurrentRun> => {
  const args = toJson(given)
  const step = toolCallId ?? `${name} ${digestOf(args)}`
  const asked = Effect.map(Run.idempotencyKey, (key) => ({ toolCallId: toolCallId ?? key, name, arguments: args }))
  return Effect.orDie(Run.stepWith(`call ${step}`, Outcome, Effect.flatMap(asked, work)))
}

/** A few characters that other arguments do not have. */
const digestOf = (args: Schema.Json) => createHash("sha256").update(JSON.stringify(args)).digest("hex").slice(0, 16)

/** Calls a tool through the door and the hooks of the app: a refusal and a tool that took too long are outcomes. */
const called = (handlers: ToolCall.Handlers, asked: Asked): Effect.Effect<Outcome, unknown, CurrentRun> =>
  ToolCall.invoke(handlers, asked).pipe(
    Effect.catchIf(
      (error) => error instanceof RunError.HookBlocked || error instanceof RunError.ToolTimedOut,
      (error) => {
        const denied = error instanceof RunError.HookBlocked
        const result = denied ? { denied: true, reason: error.reason } : { _tag: error._tag, message: error.message }
        const { arguments: args, name, toolCallId } = asked
        const data = { toolCallId, name, result, isError: true, ...(denied ? { denied } : {}) }
        return Effect.as(
          Run.emit({ type: "tool_result", data }),
          { arguments: args, result, isError: true, denied } satisfies Outcome
        )
      }
    )
  )

const make = Effect.fnUntraced(function*(framework: FrameworkRun, tool: FrameworkTool, asked: Asked) {
  const { needsApproval } = tool
  const { name } = tool
  const run = yield* CurrentRun
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
            framework.wait(() => needsApproval(toJson(args), asked.toolCallId)),
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
  return yield* Effect.orDie(called(handlers, asked))
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
