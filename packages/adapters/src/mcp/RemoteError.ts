/**
 * The ways in which a remote MCP server fails its caller.
 *
 * @since 0.1.0
 */
import * as Content from "@fastagentic/core/run/Content"
import { Schema } from "effect"

const optional = Schema.optionalKey

/** The server cannot be reached, or does not begin to speak MCP. @category errors @since 0.1.0 */
export class RemoteUnavailable extends Schema.TaggedError<RemoteUnavailable>()("RemoteUnavailable", {
  server: Schema.String,
  problem: Schema.String
}, { httpApiStatus: 503 }) {
  override get message() {
    return `The MCP server "${this.server}" cannot be reached: ${this.problem}`
  }
}

/** The server asks for an authorization that nobody has given yet. @category errors @since 0.1.0 */
export class RemoteUnauthorized extends Schema.TaggedError<RemoteUnauthorized>()("RemoteUnauthorized", {
  server: Schema.String,
  problem: Schema.String
}, { httpApiStatus: 502 }) {
  override get message() {
    return `The MCP server "${this.server}" does not let this app in: ${this.problem}`
  }
}

/** The server did not answer in time; it was sent a cancellation. @category errors @since 0.1.0 */
export class RemoteTimedOut extends Schema.TaggedError<RemoteTimedOut>()("RemoteTimedOut", {
  server: Schema.String,
  method: Schema.String,
  millis: Schema.Finite
}, { httpApiStatus: 504 }) {
  override get message() {
    return `The MCP server "${this.server}" did not answer ${this.method} within ${this.millis} ms`
  }
}

/** The connection broke off during a request, which the server may have carried out or not. @category errors @since 0.1.0 */
export class RemoteLost extends Schema.TaggedError<RemoteLost>()("RemoteLost", {
  server: Schema.String,
  method: Schema.String,
  problem: Schema.String
}, { httpApiStatus: 502 }) {
  override get message() {
    return `The connection to the MCP server "${this.server}" broke off (${this.problem}): ` +
      `${this.method} may have been carried out or not`
  }
}

/** The server answered a request with an error of the protocol. @category errors @since 0.1.0 */
export class RemoteRefused extends Schema.TaggedError<RemoteRefused>()("RemoteRefused", {
  server: Schema.String,
  method: Schema.String,
  code: optional(Schema.Finite),
  problem: Schema.String
}, { httpApiStatus: 502 }) {
  override get message() {
    return `The MCP server "${this.server}" refused ${this.method}: ${this.problem}`
  }
}

/** The tool itself says that it failed. @category errors @since 0.1.0 */
export class RemoteToolFailed extends Schema.TaggedError<RemoteToolFailed>()("RemoteToolFailed", {
  server: Schema.String,
  tool: Schema.String,
  content: Content.List
}, { httpApiStatus: 502 }) {
  override get message() {
    return `The tool "${this.tool}" of "${this.server}" failed: ${Content.textOf(this.content)}`
  }
}

/**
 * The server has changed the definition of a tool since it was pinned, or has withdrawn it: it is not called before somebody
 * accepts that.
 *
 * @category errors
 * @since 0.1.0
 */
export class RemoteToolChanged extends Schema.TaggedError<RemoteToolChanged>()("RemoteToolChanged", {
  server: Schema.String,
  tool: Schema.String,
  /** The fields of the definition that differ; none when the tool is gone. */
  fields: Schema.Array(Schema.String),
  pinned: Schema.String,
  found: optional(Schema.String)
}, { httpApiStatus: 409 }) {
  override get message() {
    return this.found === undefined
      ? `The MCP server "${this.server}" has no tool "${this.tool}" any more`
      : `The MCP server "${this.server}" has changed its tool "${this.tool}" (${this.fields.join(", ")}): ` +
        "it is not called before the change is accepted"
  }
}

/** The arguments of a call do not fit the tool. They were not sent. @category errors @since 0.1.0 */
export class RemoteArgumentsInvalid extends Schema.TaggedError<RemoteArgumentsInvalid>()("RemoteArgumentsInvalid", {
  server: Schema.String,
  tool: Schema.String,
  problem: Schema.String
}, { httpApiStatus: 400 }) {
  override get message() {
    return `The arguments do not fit the tool "${this.tool}": ${this.problem}`
  }
}

/** The result of a call is too large, or does not fit the schema of the tool. @category errors @since 0.1.0 */
export class RemoteResultInvalid extends Schema.TaggedError<RemoteResultInvalid>()("RemoteResultInvalid", {
  server: Schema.String,
  method: Schema.String,
  problem: Schema.String
}, { httpApiStatus: 502 }) {
  override get message() {
    return `The result of ${this.method} from "${this.server}" cannot be used: ${this.problem}`
  }
}

/** Two tools would have the same name. @category errors @since 0.1.0 */
export class ToolNamesCollide extends Schema.TaggedError<ToolNamesCollide>()("ToolNamesCollide", {
  names: Schema.Array(Schema.String)
}, { httpApiStatus: 500 }) {
  override get message() {
    return `Several tools have the same name: ${this.names.join(", ")}. Give one of their servers another \`prefix\``
  }
}

/** The file of pinned definitions cannot be read or written. @category errors @since 0.1.0 */
export class PinsUnusable extends Schema.TaggedError<PinsUnusable>()("PinsUnusable", {
  file: Schema.String,
  problem: Schema.String
}, { httpApiStatus: 500 }) {
  override get message() {
    return `The file of pinned tools ${this.file} cannot be used: ${this.problem}`
  }
}

/** A request to the server failed before it could be answered. @category errors @since 0.1.0 */
export const RequestError = Schema.Union([
  RemoteUnavailable,
  RemoteUnauthorized,
  RemoteTimedOut,
  RemoteLost,
  RemoteRefused,
  RemoteResultInvalid
])

/** @category errors @since 0.1.0 */
export type RequestError = typeof RequestError.Type

/** The ways in which a call of a remote tool fails. @category errors @since 0.1.0 */
export const CallError = Schema.Union([
  ...RequestError.members,
  RemoteToolFailed,
  RemoteToolChanged,
  RemoteArgumentsInvalid
])

/** @category errors @since 0.1.0 */
export type CallError = typeof CallError.Type
