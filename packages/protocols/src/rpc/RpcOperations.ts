// The calls about runs and threads that every app has: their tags with payload, answer and handler. AppRpc types them for
// clients, RpcHandlers serves them. Each takes the same way through Runtime as its route of REST.
import * as Event from "@fastagentic/core/run/Event"
import * as CoreInterrupt from "@fastagentic/core/run/Interrupt"
import { RunFilter } from "@fastagentic/core/run/RunRecord"
import * as RecordFields from "@fastagentic/core/store/RecordFields"
import { Stored } from "@fastagentic/core/thread/Message"
import { Schema } from "effect"
import * as Rpc from "effect/rpc/Rpc"
import { ClientError } from "../http/ClientError.ts"
import * as Schemas from "../http/Schemas.ts"

const optional = Schema.optionalKey
const runId = Schema.String
const number = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const limit = optional(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 200 })))
const owner = optional(Schema.String)

const call = <const Tag extends string, P extends Schema.Struct.Fields, S extends Schema.Top>(
  tag: Tag,
  payload: P,
  success: S
) => Rpc.make(tag, { payload, success, error: ClientError })

export const get = call("runs/get", { runId }, Schemas.Run)

/** Newest first; `after` is the `next` of the page before. */
export const list = call("runs/list", {
  ...RunFilter.fields,
  after: optional(Schema.String),
  limit,
  fields: optional(Schema.Array(Schema.Literals(RecordFields.largeFields)))
}, Schemas.pageOf(Schemas.RunSummary))

/** The journal after an event number until the run has ended. */
export const events = Rpc.make("runs/events", {
  payload: { runId, after: optional(number) },
  success: Event.RunEvent,
  error: ClientError,
  stream: true
})

export const cancel = call("runs/cancel", { runId, reason: optional(Schema.String) }, Schemas.Run)

export const resume = call("runs/resume", { runId }, Schemas.Run)

/** The steps after which the run can be forked, oldest first. */
export const checkpoints = call("runs/checkpoints", { runId }, Schema.Array(Schemas.Checkpoint))

export const fork = call("runs/fork", { runId, after: optional(number) }, Schemas.Run)

export const retry = call("runs/retry", { runId }, Schemas.Run)

export const interrupts = call("runs/interrupts", { runId }, Schema.Array(Schemas.Interrupt))

/** The open decisions that this caller may take, of all runs of the tenant. */
export const pending = call("runs/pending", {
  after: optional(Schema.String),
  limit,
  fields: optional(Schema.Array(Schema.Literals(CoreInterrupt.largeFields)))
}, Schemas.pageOf(Schemas.InterruptSummary))

export const answer = call(
  "runs/answer",
  { runId, interruptId: Schema.String, ...CoreInterrupt.Answer.fields },
  Schemas.Run
)

/** Decides several interrupts of a run, or none of them. */
export const answerAll = call("runs/answerAll", {
  runId,
  answers: Schema.NonEmptyArray(Schema.Struct({ id: Schema.String, ...CoreInterrupt.Answer.fields }))
}, Schemas.Run)

/** Sends a message that the run's agent declares. */
export const signal = call("runs/signal", { runId, name: Schema.String, payload: Schema.Json }, Schemas.Run)

export const thread = call("threads/get", { threadId: Schema.String, owner }, Schemas.Thread)

/** A page of messages; `after` is the `next` of the page before. */
export const messages = call("threads/messages", {
  threadId: Schema.String,
  owner,
  order: optional(Schema.Literals(["oldest", "newest"])),
  after: optional(number),
  limit
}, Schema.Struct({ items: Schema.Array(Stored), next: Schema.NullOr(Schema.Int) }))

export const eraseThread = call("threads/erase", { threadId: Schema.String, owner }, Schema.Void)

export const all = [
  get,
  list,
  events,
  cancel,
  resume,
  checkpoints,
  fork,
  retry,
  interrupts,
  pending,
  answer,
  answerAll,
  signal,
  thread,
  messages,
  eraseThread
] as const
