/**
 * The ways in which a conversation with a language model ends without an answer. Every agent may fail with them without
 * declaring them.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import type { AiError } from "effect/ai/AiError"

/**
 * The model still requested tools in its last turn. Those calls were not made.
 *
 * @category errors
 * @since 0.1.0
 */
export class TurnLimitReached extends Schema.TaggedError<TurnLimitReached>()("TurnLimitReached", {
  maxTurns: Schema.Int
}, { httpApiStatus: 500 }) {
  override get message() {
    return `The model still requested tools in turn ${this.maxTurns}, its last one.`
  }
}

/** The model's last message has neither text nor tool calls. @category errors @since 0.1.0 */
export class AnswerEmpty extends Schema.TaggedError<AnswerEmpty>()("AnswerEmpty", {
  finishReason: Schema.String
}, { httpApiStatus: 502 }) {
  override get message() {
    return `The model answered nothing (${this.finishReason}).`
  }
}

/** The model or the filter of its provider refused to answer. @category errors @since 0.1.0 */
export class AnswerRefused extends Schema.TaggedError<AnswerRefused>()("AnswerRefused", {
  /** The part of the answer that came before the refusal. */
  text: Schema.String
}, { httpApiStatus: 422 }) {
  override get message() {
    return "The model refused to answer, or its provider's content filter did."
  }
}

/**
 * The prompt has more tokens than the model can read. It was not sent, or the provider has refused it; neither is paid for.
 * `isEstimate` is false where the provider has counted the tokens. A provider that refuses may name no numbers.
 *
 * @category errors
 * @since 0.1.0
 */
export class ContextExceeded extends Schema.TaggedError<ContextExceeded>()("ContextExceeded", {
  model: Schema.String,
  contextWindow: Schema.optionalKey(Schema.Int),
  inputTokens: Schema.optionalKey(Schema.Int),
  isEstimate: Schema.Boolean
}, { httpApiStatus: 413 }) {
  override get message() {
    const { contextWindow, inputTokens, isEstimate, model } = this
    const has = inputTokens === undefined
      ? "is longer than"
      : `has ${isEstimate ? "about " : ""}${inputTokens} tokens, more than`
    return `The prompt ${has} the model "${model}" reads${
      contextWindow === undefined ? "" : ` (${contextWindow} tokens)`
    }.`
  }
}

/**
 * The answer of a schema was longer than the limit of output tokens, also after the model was asked for a shorter one.
 *
 * @category errors
 * @since 0.1.0
 */
export class AnswerCut extends Schema.TaggedError<AnswerCut>()("AnswerCut", {
  /** The part of the answer that arrived. */
  text: Schema.String
}, { httpApiStatus: 502 }) {
  override get message() {
    return "The model's answer was cut off at its limit of output tokens. Raise `maxOutputTokens`, or ask for less."
  }
}

/** The model's answer does not fit the schema of the agent, also after one repair. @category errors @since 0.1.0 */
export class OutputInvalid extends Schema.TaggedError<OutputInvalid>()("OutputInvalid", {
  problem: Schema.String
}, { httpApiStatus: 502 }) {
  override get message() {
    return `The model's answer does not fit its schema: ${this.problem}`
  }
}

/** A loop names a model that the app does not have; nothing was asked. @category errors @since 0.1.0 */
export class ModelUnknown extends Schema.TaggedError<ModelUnknown>()("ModelUnknown", {
  model: Schema.String,
  /** The names that the app has. */
  known: Schema.Array(Schema.String)
}, { httpApiStatus: 500 }) {
  override get message() {
    const known = this.known.length === 0 ? "no model has a name" : `the names are ${this.known.join(", ")}`
    return `No model is named "${this.model}": ${known}. Name it in Models.layerNamed, or ask for another one.`
  }
}

/** @category schemas @since 0.1.0 */
export const ModelEnd = Schema.Union([
  TurnLimitReached,
  AnswerEmpty,
  AnswerRefused,
  ContextExceeded,
  AnswerCut,
  OutputInvalid,
  ModelUnknown
])

/** An end without an answer, or the failure of the provider. @category models @since 0.1.0 */
export type ModelEnd = typeof ModelEnd.Type | AiError
