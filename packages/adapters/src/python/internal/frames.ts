// The frames between the server and a worker, one JSON object a line; worker.ts reads them, session.ts handles those of a run.
// A worker runs code of users, so each frame is decoded before it is used.
import { Schema } from "effect"
import type { ToolSpec } from "./appTools.ts"

/** The protocol of the worker that is shipped with this package. */
export const protocol = 1

/** The largest frame in bytes, which the worker knows too. */
export const largest = 8 * 1024 * 1024

/** How many events of a run may be on their way. */
export const window = 256

const optional = Schema.optionalKey
const Fields = Schema.Record(Schema.String, Schema.Json)

/** An exception. `failure` is the number of the refusal that it stands for. */
export interface Raised {
  readonly type: string
  readonly message: string
  readonly fields: typeof Fields.Type
  readonly traceback: string
  readonly inner: ReadonlyArray<Raised>
  readonly failure?: number
}

export const Raised = Schema.Struct({
  type: Schema.String,
  message: Schema.String,
  fields: Fields,
  traceback: Schema.String,
  inner: Schema.Array(Schema.suspend((): Schema.Codec<Raised> => Raised)),
  failure: optional(Schema.Int)
})

/** The agent as its types describe it. */
export const Description = Schema.Struct({
  kind: Schema.Literals(["callable", "pydantic-ai", "langgraph", "crewai"]),
  description: Schema.String,
  /** Whether a factory makes it for each run, which gets the tools and models of the app. */
  factory: Schema.Boolean,
  input: Fields,
  output: Fields
})

export type Description = typeof Description.Type

const run = Schema.Int
const call = Schema.Int

const fromWorker = {
  hello: Schema.Struct({ t: Schema.Literal("hello"), protocol: Schema.Int, pid: Schema.Int, python: Schema.String }),
  loaded: Schema.Struct({ t: Schema.Literal("loaded"), ...Description.fields }),
  refused: Schema.Struct({ t: Schema.Literal("refused"), error: Raised }),
  pong: Schema.Struct({ t: Schema.Literal("pong"), n: Schema.Int, memory: Schema.Int }),
  event: Schema.Struct({ t: Schema.Literal("event"), run, within: optional(call), event: Schema.Unknown }),
  part: Schema.Struct({ t: Schema.Literal("part"), run, call, part: Schema.Unknown }),
  ask: Schema.Struct({
    t: Schema.Literal("ask"),
    run,
    call,
    within: optional(call),
    kind: Schema.String,
    data: Schema.Unknown
  }),
  did: Schema.Struct({ t: Schema.Literal("did"), run, call, value: optional(Schema.Json), error: optional(Raised) }),
  done: Schema.Struct({
    t: Schema.Literal("done"),
    run,
    output: optional(Schema.Json),
    /** The messages that the run adds to its conversation. */
    said: optional(Schema.Array(Schema.Json)),
    error: optional(Raised),
    cancelled: optional(Schema.Literal(true))
  })
}

const FromWorker = Schema.Union(Object.values(fromWorker))

/** Frames from a worker. */
export type FromWorker = typeof FromWorker.Type

/** Frames that are about a run. */
export type RunFrame = Extract<FromWorker, { readonly run: number }>

/** The frames that a session handles one after the other. */
export type Frame<T extends FromWorker["t"]> = Extract<FromWorker, { readonly t: T }>

export const decodeFrame = Schema.decodeUnknownOption(Schema.fromJsonString(FromWorker))

/** The answer to a request. `own`: the error is the one that the worker's own code raised. */
export interface Refusal {
  readonly tag: string
  readonly message: string
  readonly own: boolean
  readonly failure: number
}

/** Frames to a worker. */
export type ToWorker =
  | { readonly t: "load"; readonly entrypoint: string; readonly tools: ReadonlyArray<ToolSpec> }
  | { readonly t: "ping"; readonly n: number }
  | {
    readonly t: "start"
    readonly run: number
    readonly runId: string
    readonly threadId: string
    readonly input: Schema.Json
    readonly history: Schema.Json
    readonly credit: number
  }
  | { readonly t: "credit"; readonly run: number; readonly n: number }
  | { readonly t: "cancel"; readonly run: number }
  | { readonly t: "work"; readonly run: number; readonly call: number; readonly data: Schema.Json }
  | { readonly t: "abort"; readonly run: number; readonly call: number }
  | { readonly t: "res"; readonly run: number; readonly call: number; readonly value: Schema.Json }
  | { readonly t: "res"; readonly run: number; readonly call: number; readonly error: Refusal }
