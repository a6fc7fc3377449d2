/**
 * The tools of an app as a framework gets them: each call passes the door, hooks, approval and journal, and is made once per
 * run.
 *
 * @since 0.1.0
 */
import * as JsonSchema from "@fastagentic/core/base/JsonSchema"
import type { CurrentRun } from "@fastagentic/core/run/Run"
import { Effect, type Schema, type Scope } from "effect"
import * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import type { AnyTools } from "../effect-ai/internal/answer.ts"
import { answerCall, makeCall } from "../effect-ai/internal/toolAnswer.ts"
import { toJson } from "./Json.ts"
import type { Call, Outcome } from "./ToolStep.ts"

/**
 * A tool of the app. `call` fails only with a declared failure of a tool whose failure mode is `"error"`, which ends the run
 * in every other loop as well (`FrameworkRun.decisive`).
 *
 * @category models
 * @since 0.1.0
 */
export interface RuntimeTool {
  readonly name: string
  readonly description: string
  /** The JSON schema of its arguments. */
  readonly parameters: { readonly [key: string]: Schema.Json }
  readonly call: (call: Call) => Effect.Effect<Outcome, unknown, CurrentRun>
  /** The same without a step around it: for a framework that makes the call again once its approval is there. */
  readonly once: (call: Call) => Effect.Effect<Outcome, unknown, CurrentRun>
}

/**
 * The option for the tools of an app: a toolkit, or an effect that makes one, such as the tools of a remote server.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<Tools extends Record<string, Tool.Any>, R> {
  /** The tools that a function of the run gets (`run.tools`). */
  readonly toolkit?: Effect.Effect<Toolkit.WithHandler<Tools>, never, R>
}

/**
 * The services of the option's tools that the layer of the agent needs.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Services<Tools extends Record<string, Tool.Any>, R> = Exclude<
  R | Tool.HandlerServices<Tools[keyof Tools]>,
  CurrentRun | Scope.Scope
>

/**
 * The tools of the option.
 *
 * @category constructors
 * @since 0.1.0
 */
export const from = <Tools extends Record<string, Tool.Any>, R>(
  { toolkit }: Options<Tools, R>
): Effect.Effect<ReadonlyArray<RuntimeTool>, never, R> =>
  toolkit === undefined ? Effect.succeed([]) : Effect.map(toolkit, make)

/**
 * The tools of a toolkit with its handlers.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Tools extends Record<string, Tool.Any>>(
  toolkit: Toolkit.WithHandler<Tools>
): ReadonlyArray<RuntimeTool> => {
  // cast: names and parameters of calls come from a model; the toolkit itself checks them.
  const tools = toolkit as unknown as AnyTools
  return Object.values(tools.tools).map((tool): RuntimeTool => {
    const around = { toolkit: tools, messages: [], turn: undefined }
    const asked = ({ arguments: args, toolCallId }: Call) => ({
      id: toolCallId,
      toolCallId,
      name: tool.name,
      arguments: toJson(args)
    })
    return {
      name: tool.name,
      description: Tool.getDescription(tool) ?? tool.name,
      parameters: parametersOf(tool),
      call: (call) => answerCall(asked(call), `call ${call.toolCallId}`, around),
      once: (call) => makeCall(asked(call), around)
    }
  })
}

const parametersOf = (tool: Tool.Any): RuntimeTool["parameters"] => {
  const own = Tool.isDynamic(tool) && tool.jsonSchema !== undefined
    ? toJson(tool.jsonSchema)
    : JsonSchema.fromSchema(tool.parametersSchema, "input")
  return { type: "object", ...Object(own) }
}
