/**
 * Errors of adapters.
 *
 * They are defects of a run: a caller sees that the agent failed, the log has the cause.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"

/** The framework could not be loaded, usually because it is not installed. @category errors @since 0.1.0 */
export class AdapterLoadError extends Schema.TaggedError<AdapterLoadError>()("AdapterLoadError", {
  adapter: Schema.String,
  module: Schema.String,
  cause: Schema.Defect()
}, { httpApiStatus: 500 }) {
  override get message() {
    return `the ${this.adapter} adapter needs ${this.module}, which cannot be loaded: npm install ${this.module}`
  }
}

/** A language model failed inside a framework. @category errors @since 0.1.0 */
export class ModelError extends Schema.TaggedError<ModelError>()("ModelError", {
  model: Schema.String,
  retryable: Schema.Boolean,
  cause: Schema.Defect()
}, { httpApiStatus: 502 }) {
  override get message() {
    return `the model ${this.model} failed`
  }
}

/** A value thrown by adapted code, before the adapter has classified it. @category errors @since 0.1.0 */
export class Thrown extends Schema.TaggedError<Thrown>()("Thrown", { cause: Schema.Defect() }) {}
