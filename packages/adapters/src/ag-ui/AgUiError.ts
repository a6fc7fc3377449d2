/**
 * Failures of AG-UI endpoints.
 *
 * They are defects of a run: a caller sees that the agent failed, the log has the cause.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"

/**
 * The endpoint could not be reached, refused the request, or has ended its stream too early.
 *
 * @category errors
 * @since 0.1.0
 */
export class EndpointUnusable extends Schema.TaggedError<EndpointUnusable>()("EndpointUnusable", {
  url: Schema.String,
  problem: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}, { httpApiStatus: 502 }) {
  override get message() {
    return `the AG-UI endpoint ${this.url} cannot be used: ${this.problem}`
  }
}

/** The endpoint has ended its run with an error. @category errors @since 0.1.0 */
export class EndpointFailed extends Schema.TaggedError<EndpointFailed>()("EndpointFailed", {
  url: Schema.String,
  code: Schema.optionalKey(Schema.String),
  reason: Schema.String
}, { httpApiStatus: 502 }) {
  override get message() {
    return `the AG-UI endpoint ${this.url} failed${this.code === undefined ? "" : ` (${this.code})`}: ${this.reason}`
  }
}
