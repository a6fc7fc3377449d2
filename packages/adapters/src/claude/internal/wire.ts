// The messages of the Claude Agent SDK that a run understands, and the inputs of its hooks; others are passed over.
import { Schema } from "effect"

const optional = Schema.optionalKey
const Json = Schema.Json
const count = optional(Schema.NullOr(Schema.Int))

const Usage = Schema.Struct({
  input_tokens: count,
  output_tokens: count,
  cache_read_input_tokens: count,
  cache_creation_input_tokens: count
})

/** A tool call that the session waits with. */
export const Deferred = Schema.Struct({ id: Schema.String, name: Schema.String, input: Json })

export type Deferred = typeof Deferred.Type

/** The events of one answer of the model, as the Messages API streams them. */
const StreamEvent = Schema.Union([
  Schema.Struct({
    type: Schema.Literal("message_start"),
    message: Schema.Struct({ id: Schema.String, model: Schema.String, usage: optional(Usage) })
  }),
  Schema.Struct({
    type: Schema.Literal("content_block_start"),
    index: Schema.Int,
    content_block: Schema.Struct({ type: Schema.String, id: optional(Schema.String), name: optional(Schema.String) })
  }),
  Schema.Struct({
    type: Schema.Literal("content_block_delta"),
    index: Schema.Int,
    delta: Schema.Struct({
      text: optional(Schema.String),
      thinking: optional(Schema.String),
      partial_json: optional(Schema.String)
    })
  }),
  Schema.Struct({ type: Schema.Literal("content_block_stop"), index: Schema.Int }),
  Schema.Struct({
    type: Schema.Literal("message_delta"),
    delta: Schema.Struct({ stop_reason: optional(Schema.NullOr(Schema.String)) }),
    usage: optional(Usage)
  }),
  Schema.Struct({ type: Schema.Literal("message_stop") })
])

export type StreamEvent = typeof StreamEvent.Type

const Message = Schema.Union([
  Schema.Struct({
    type: Schema.Literal("stream_event"),
    event: StreamEvent,
    parent_tool_use_id: optional(Schema.NullOr(Schema.String))
  }),
  Schema.Struct({
    type: Schema.Literal("result"),
    subtype: Schema.String,
    session_id: Schema.String,
    is_error: optional(Schema.Boolean),
    api_error_status: optional(Schema.NullOr(Schema.Int)),
    result: optional(Schema.String),
    structured_output: optional(Json),
    total_cost_usd: optional(Schema.Finite),
    terminal_reason: optional(Schema.String),
    deferred_tool_use: optional(Deferred)
  })
])

export const decodeMessage = Schema.decodeUnknownOption(Message)

export type Result = Extract<typeof Message.Type, { readonly type: "result" }>

/** A call of a tool as the hooks before and after it see it. */
export const decodeToolUse = Schema.decodeUnknownOption(Schema.Struct({
  tool_name: Schema.String,
  tool_input: Schema.Json,
  tool_use_id: Schema.String,
  tool_response: optional(Json)
}))
