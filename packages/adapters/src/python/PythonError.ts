/**
 * Failures of Python agents.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"

/** The agent cannot be served: its interpreter does not start, or its file cannot be loaded. @category errors @since 0.1.0 */
export class PythonUnusable extends Schema.TaggedError<PythonUnusable>()("PythonUnusable", {
  entrypoint: Schema.String,
  problem: Schema.String
}, { httpApiStatus: 500 }) {
  override get message() {
    return `${this.entrypoint}: ${this.problem}`
  }
}

/** The process of the agent ended while it worked for a run. @category errors @since 0.1.0 */
export class WorkerCrashed extends Schema.TaggedError<WorkerCrashed>()("WorkerCrashed", {
  entrypoint: Schema.String,
  problem: Schema.String
}, { httpApiStatus: 502 }) {
  override get message() {
    return `the Python process of ${this.entrypoint} ended: ${this.problem}`
  }
}

/** An exception of the agent; `errors` are its own fields and those that caused it. @category errors @since 0.1.0 */
export class PythonException extends Error {
  override readonly name: string
  readonly errors: ReadonlyArray<unknown>
  /** The HTTP status that the exception carries, such as that of a provider. */
  readonly status: number | undefined

  constructor(options: {
    readonly type: string
    readonly message: string
    readonly traceback: string
    readonly fields: { readonly [name: string]: Schema.Json }
    readonly errors: ReadonlyArray<unknown>
  }) {
    super(options.message)
    this.name = options.type
    if (options.traceback !== "") this.stack = options.traceback
    const { status_code } = options.fields
    this.status = typeof status_code === "number" ? status_code : undefined
    this.errors = [{ ...options.fields, _tag: options.type }, ...options.errors]
  }
}
