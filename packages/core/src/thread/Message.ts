/**
 * The messages of a thread: those of the user and the assistant, answers of tools, and summaries.
 *
 * @since 0.1.0
 */
import { Schema, Struct } from "effect"

const optional = Schema.optionalKey

/** A text. @category schemas @since 0.1.0 */
const Text = Schema.Struct({ type: Schema.Literal("text"), text: Schema.String })

/** A value for programs. @category schemas @since 0.1.0 */
const Data = Schema.Struct({ type: Schema.Literal("data"), data: Schema.Json })

/** One piece of a message. @category schemas @since 0.1.0 */
export const Part = Schema.Union([Text, Data]).annotate({ identifier: "MessagePart" })

/** @category models @since 0.1.0 */
export type Part = typeof Part.Type

/** A call that the assistant asked for. @category schemas @since 0.1.0 */
export const ToolCall = Schema.Struct({ id: Schema.String, name: Schema.String, params: Schema.Json })
  .annotate({ identifier: "MessageToolCall" })

/** @category models @since 0.1.0 */
export type ToolCall = typeof ToolCall.Type

const content = Schema.Array(Part)

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

const parts = (said: string | ReadonlyArray<Part>): ReadonlyArray<Part> =>
  typeof said === "string" ? [{ type: "text", text: said }] : said

/** A message of the user. @category constructors @since 0.1.0 */
export const user = (said: string | ReadonlyArray<Part>): Message => ({ role: "user", content: parts(said) })

/** A message of the assistant. @category constructors @since 0.1.0 */
export const assistant = (said: string | ReadonlyArray<Part>, toolCalls: ReadonlyArray<ToolCall> = []): Message => ({
  role: "assistant",
  content: parts(said),
  ...(toolCalls.length === 0 ? {} : { toolCalls })
})

/** The text of a message. @category accessors @since 0.1.0 */
export const textOf = ({ content }: Message): string =>
  content.flatMap((part) => part.type === "text" ? [part.text] : []).join("")
