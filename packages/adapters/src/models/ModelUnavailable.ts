/**
 * The reason why a model cannot be used.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"

/**
 * A name that means no provider, a key that is not set, or a package that is not installed: one line with its remedy.
 *
 * @category errors
 * @since 0.1.0
 */
export class ModelUnavailable extends Schema.TaggedError<ModelUnavailable>()("ModelUnavailable", {
  model: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `model ${this.model}: ${this.problem}`
  }
}
