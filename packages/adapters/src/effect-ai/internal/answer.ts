// The answer of a model as the journal stores it: everything that a replay of the loop needs of a model call.
// Fields are only ever added, and optional: answers of earlier versions have to read.
import { Event } from "@fastagentic/core"
import { Schema } from "effect"
import * as Prompt from "effect/ai/Prompt"
import * as Response from "effect/ai/Response"
import type * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"

type AnySchema = Schema.Codec<unknown, unknown>

/** A tool of any kind, where its type does not matter. */
export type AnyTool = Tool.Tool<string, {
  readonly parameters: AnySchema
  readonly success: AnySchema
  readonly failure: AnySchema
  readonly failureMode: Tool.FailureMode
}>

export type AnyTools = Toolkit.WithHandler<Record<string, AnyTool>>

/**
 * A tool call that the loop has to make: `id` names it in the prompt, `toolCallId` everywhere else. `broken` says why its
 * arguments cannot be read; the tool is not called then.
 */
export const Call = Schema.Struct({
  id: Schema.String,
  toolCallId: Schema.String,
  name: Schema.String,
  arguments: Schema.Json,
  broken: Schema.optionalKey(Schema.String)
})

export type Call = typeof Call.Type

export const Answer = Schema.Struct({
  said: Prompt.Prompt,
  text: Schema.String,
  calls: Schema.Array(Call),
  finishReason: Response.FinishReason,
  usage: Event.Usage,
  /** The tokens of the conversation up to here, as the provider has counted them. */
  counted: Schema.optionalKey(Schema.Int),
  /**
   * How the conversation ends without an answer; `exceeded` is a prompt that was too long, and that the loop can shorten.
   * Answers of earlier versions have none, and end nothing.
   */
  end: Schema.optionalKey(Schema.Literals(["empty", "refused", "exceeded"]))
})

export type Answer = typeof Answer.Type
