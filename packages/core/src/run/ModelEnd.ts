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
 * The prompt has more tokens than the model can read. It was not sent. `isEstimate` is false where the provider has counted
 * the tokens.
 *
 * @category errors
 * @since 0.1.0
 */
export class ContextExceeded extends Schema.TaggedError<ContextExceeded>()("ContextExceeded", {
  model: Schema.String,
  contextWindow: Schema.Int,
  inputTokens: Schema.Int,
  isEstimate: Schema.Boolean
}, { httpApiStatus: 413 }) {
  override get message() {
    const count = `${this.isEstimate ? "about " : ""}${this.inputTokens}`
    return `The prompt has ${count} tokens, and the model "${this.model}" reads ${this.contextWindow}.`
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
  OutputInvalid,
  ModelUnknown
])

/** An end without an answer, or the failure of the provider. @category models @since 0.1.0 */
export type ModelEnd = typeof ModelEnd.Type | AiError
