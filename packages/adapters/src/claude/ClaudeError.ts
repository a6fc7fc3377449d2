/**
 * The errors of queries of the Claude Agent SDK.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"

/**
 * A query that has ended with an error: its model, its provider, or a limit of its options.
 *
 * @category errors
 * @since 0.1.0
 */
export class QueryFailed extends Schema.TaggedError<QueryFailed>()("QueryFailed", {
  /** `error_max_turns`, `api_error` and the like. */
  kind: Schema.String,
  reason: Schema.String,
  status: Schema.optionalKey(Schema.Int)
}) {
  override get message() {
    return `the query ended with ${this.kind}: ${this.reason}`
  }
}
