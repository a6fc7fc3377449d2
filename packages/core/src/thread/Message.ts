/**
 * The messages of a thread: those of the user and the assistant, answers of tools, and summaries.
 *
 * @since 0.1.0
 */
import { Schema, Struct } from "effect"
import * as Content from "../run/Content.ts"

const optional = Schema.optionalKey

/** A call that the assistant asked for. @category schemas @since 0.1.0 */
export const ToolCall = Schema.Struct({ id: Schema.String, name: Schema.String, params: Schema.Json })
  .annotate({ identifier: "MessageToolCall" })

/** @category models @since 0.1.0 */
export type ToolCall = typeof ToolCall.Type

const content = Content.List

const User = Schema.Struct({ role: Schema.Literal("user"), content })
const Assistant = Schema.Struct({
  role: Schema.Literal("assistant"),
  content,
  toolCalls: optional(Schema.Array(ToolCall))
})
const ToolAnswer = Schema.Struct({
  role: Schema.Literal("tool"),
  content,
  toolCallId: Schema.String,
  name: Schema.String,
  isError: optional(Schema.Boolean)
})
const Summary = Schema.Struct({ role: Schema.Literal("summary"), content, upTo: Schema.Int })

/**
 * A message. A summary stands for all messages up to the number `upTo`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Message = Schema.Union([User, Assistant, ToolAnswer, Summary])

/** @category models @since 0.1.0 */
export type Message = typeof Message.Type

/** The place of a message: its number in the thread, from 1, the run that said it, and when. */
const place = { position: Schema.Int, runId: Schema.String, at: Schema.Int }

/**
 * A message with its place in the thread.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Stored = Schema.Union([
  User.mapFields(Struct.assign(place)),
  Assistant.mapFields(Struct.assign(place)),
  ToolAnswer.mapFields(Struct.assign(place)),
  Summary.mapFields(Struct.assign(place))
]).annotate({ identifier: "ThreadMessage" })

/** @category models @since 0.1.0 */
export type Stored = typeof Stored.Type

const parts = (said: string | Content.List): Content.List => typeof said === "string" ? [Content.text(said)] : said

/** A message of the user. @category constructors @since 0.1.0 */
export const user = (said: string | Content.List): Message => ({ role: "user", content: parts(said) })

/** A message of the assistant. @category constructors @since 0.1.0 */
export const assistant = (said: string | Content.List, toolCalls: ReadonlyArray<ToolCall> = []): Message => ({
  role: "assistant",
  content: parts(said),
  ...(toolCalls.length === 0 ? {} : { toolCalls })
})

/** The text of a message. @category accessors @since 0.1.0 */
export const textOf = ({ content }: Message): string => Content.textOf(content)
