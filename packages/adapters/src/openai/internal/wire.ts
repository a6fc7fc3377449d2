// Schemas of the Chat Completions wire format; lenient where servers differ.
import { Schema } from "effect"

const text = Schema.optional(Schema.NullOr(Schema.String))
const count = Schema.optional(Schema.NullOr(Schema.Int))

export const Usage = Schema.Struct({
  prompt_tokens: count,
  completion_tokens: count,
  total_tokens: count,
  cost: Schema.optional(Schema.NullOr(Schema.Finite)),
  prompt_tokens_details: Schema.optional(Schema.NullOr(Schema.Struct({
    cached_tokens: count,
    cache_write_tokens: count
  }))),
  completion_tokens_details: Schema.optional(Schema.NullOr(Schema.Struct({ reasoning_tokens: count })))
})
export type Usage = typeof Usage.Type

const Message = Schema.Struct({
  content: text,
  refusal: text,
  reasoning_content: text,
  tool_calls: Schema.optional(Schema.NullOr(Schema.Array(Schema.Struct({
    id: text,
    function: Schema.Struct({ name: Schema.String, arguments: text })
  }))))
})

export const Completion = Schema.Struct({
  id: text,
  model: text,
  choices: Schema.NonEmptyArray(Schema.Struct({ message: Message, finish_reason: text })),
  usage: Schema.optional(Schema.NullOr(Usage))
})
export type Completion = typeof Completion.Type

export const ToolCallDelta = Schema.Struct({
  index: count,
  id: text,
  function: Schema.optional(Schema.NullOr(Schema.Struct({ name: text, arguments: text })))
})
export type ToolCallDelta = typeof ToolCallDelta.Type

export const Failure = Schema.Struct({
  message: text,
  type: text,
  param: text,
  code: Schema.optional(Schema.NullOr(Schema.Union([Schema.String, Schema.Finite])))
})
export type Failure = typeof Failure.Type

/** An error body of OpenAI, or of servers that resemble it. */
export const FailureBody = Schema.Struct({ error: Schema.Union([Failure, Schema.String]) })

export const Chunk = Schema.Struct({
  id: text,
  model: text,
  choices: Schema.optional(Schema.NullOr(Schema.Array(Schema.Struct({
    delta: Schema.optional(Schema.NullOr(Schema.Struct({
      content: text,
      refusal: text,
      reasoning_content: text,
      tool_calls: Schema.optional(Schema.NullOr(Schema.Array(ToolCallDelta)))
    }))),
    finish_reason: text
  })))),
  usage: Schema.optional(Schema.NullOr(Usage)),
  error: Schema.optional(Schema.NullOr(Schema.Union([Failure, Schema.String])))
})
export type Chunk = typeof Chunk.Type
