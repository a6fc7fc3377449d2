// The events of AG-UI that a run understands; others, and fields of other versions, are passed over.
import { Schema } from "effect"

const optional = Schema.optionalKey
const id = Schema.String

const event = <const Type extends string, Fields extends Schema.Struct.Fields>(type: Type, fields: Fields) =>
  Schema.Struct({ type: Schema.Literal(type), ...fields })

export const Interrupt = Schema.Struct({
  id,
  reason: Schema.String,
  message: optional(Schema.NullOr(Schema.String)),
  toolCallId: optional(Schema.NullOr(id)),
  responseSchema: optional(Schema.Json),
  expiresAt: optional(Schema.NullOr(Schema.String))
})

export type Interrupt = typeof Interrupt.Type

const Outcome = Schema.Union([
  Schema.Struct({ type: Schema.Literal("success") }),
  Schema.Struct({ type: Schema.Literal("cancelled") }),
  Schema.Struct({ type: Schema.Literal("interrupt"), interrupts: Schema.NonEmptyArray(Interrupt) })
])

const Usage = Schema.Struct({
  model: optional(Schema.NullOr(Schema.String)),
  inputTokens: optional(Schema.NullOr(Schema.Finite)),
  outputTokens: optional(Schema.NullOr(Schema.Finite))
})

export const WireEvent = Schema.Union([
  event("TEXT_MESSAGE_START", { messageId: id, role: optional(Schema.String) }),
  event("TEXT_MESSAGE_CONTENT", { messageId: id, delta: Schema.String }),
  event("TEXT_MESSAGE_END", { messageId: id }),
  event("TEXT_MESSAGE_CHUNK", {
    messageId: optional(Schema.NullOr(id)),
    delta: optional(Schema.NullOr(Schema.String))
  }),
  event("REASONING_MESSAGE_CONTENT", { messageId: id, delta: Schema.String }),
  event("REASONING_MESSAGE_CHUNK", { delta: optional(Schema.NullOr(Schema.String)) }),
  event("THINKING_TEXT_MESSAGE_CONTENT", { delta: Schema.String }),
  event("TOOL_CALL_START", { toolCallId: id, toolCallName: Schema.String }),
  event("TOOL_CALL_ARGS", { toolCallId: id, delta: Schema.String }),
  event("TOOL_CALL_END", { toolCallId: id }),
  event("TOOL_CALL_CHUNK", {
    toolCallId: optional(Schema.NullOr(id)),
    toolCallName: optional(Schema.NullOr(Schema.String)),
    delta: optional(Schema.NullOr(Schema.String))
  }),
  event("TOOL_CALL_RESULT", { messageId: id, toolCallId: id, content: Schema.Json }),
  event("STATE_SNAPSHOT", { snapshot: Schema.Json }),
  event("STATE_DELTA", { delta: Schema.Array(Schema.Json) }),
  event("MESSAGES_SNAPSHOT", { messages: Schema.Array(Schema.Json) }),
  event("STEP_STARTED", { stepName: Schema.String }),
  event("STEP_FINISHED", { stepName: Schema.String }),
  event("CUSTOM", { name: Schema.String, value: Schema.Json }),
  event("ACTIVITY_SNAPSHOT", { activityType: Schema.String, content: Schema.Json }),
  event("RUN_FINISHED", {
    result: optional(Schema.Json),
    outcome: optional(Outcome),
    usage: optional(Schema.Array(Usage))
  }),
  event("RUN_ERROR", {
    message: Schema.String,
    code: optional(Schema.NullOr(Schema.String)),
    metadata: optional(Schema.Json)
  })
])

export type WireEvent = typeof WireEvent.Type

/** The operations of a patch that are applied; a patch with others, which copy, move or test, is none here. */
const Operation = Schema.Union([
  Schema.Struct({ op: Schema.Literal("add"), path: Schema.String, value: Schema.Json }),
  Schema.Struct({ op: Schema.Literal("replace"), path: Schema.String, value: Schema.Json }),
  Schema.Struct({ op: Schema.Literal("remove"), path: Schema.String })
])

export const decodePatch = Schema.decodeUnknownOption(Schema.Array(Operation))

/** The types that end a run. */
export const isLast = ({ type }: WireEvent): boolean => type === "RUN_FINISHED" || type === "RUN_ERROR"

/** The end of one exchange, as a step of the run stores it. */
export const Ended = Schema.Struct({
  /** The messages of the conversation so far, in AG-UI's form. */
  messages: Schema.Array(Schema.Json),
  state: optional(Schema.Json),
  /** The text of the last message of the assistant. */
  text: Schema.String,
  result: optional(Schema.Json),
  interrupts: Schema.Array(Interrupt),
  cancelled: Schema.Boolean,
  error: optional(
    Schema.Struct({ message: Schema.String, code: optional(Schema.String), value: optional(Schema.Json) })
  )
})

export type Ended = typeof Ended.Type
