// The frames of a WebSocket and their parser: JSON text, each with the `id` that the client gave it.
import { yieldFor } from "@fastagentic/core/base/Validation"
import * as Event from "@fastagentic/core/run/Event"
import { Decision } from "@fastagentic/core/run/Interrupt"
import { RunState } from "@fastagentic/core/run/RunRecord"
import { Stored } from "@fastagentic/core/thread/Message"
import { Effect, Option, Schema } from "effect"
import * as Timeouts from "../internal/timeouts.ts"
import { summaryOf } from "./internal/issues.ts"
import { BadBody, BodyTooLarge, Problem } from "./Problem.ts"
import * as Schemas from "./Schemas.ts"

const optional = Schema.optionalKey
const id = Schema.String.check(Schema.isMaxLength(128))
const runId = Schema.String

const starting = {
  id,
  op: Schema.Literal("start"),
  payload: optional(Schema.Unknown),
  idempotencyKey: optional(Schema.String),
  threadId: optional(Schema.String),
  startAt: optional(Schema.Union([Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)), Schemas.Instant])),
  priority: optional(Schemas.Priority),
  timeout: optional(Timeouts.Timeout),
  follow: optional(Schema.Boolean)
}

/** A frame of the client. */
export const ClientFrame = Schema.Union([
  Schema.Struct({ ...starting, agent: Schema.String }),
  Schema.Struct({ ...starting, tool: Schema.String }),
  Schema.Struct({
    id,
    op: Schema.Literal("follow"),
    runId,
    after: optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)))
  }),
  Schema.Struct({ id, op: Schema.Literal("unfollow"), runId }),
  Schema.Struct({ id, op: Schema.Literal("cancel"), runId, reason: optional(Schema.String) }),
  Schema.Struct({ id, op: Schema.Literal("resume"), runId }),
  Schema.Struct({
    id,
    op: Schema.Literal("fork"),
    runId,
    after: optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
    idempotencyKey: optional(Schema.String),
    follow: optional(Schema.Boolean)
  }),
  Schema.Struct({ id, op: Schema.Literal("retry"), runId, follow: optional(Schema.Boolean) }),
  Schema.Struct({ id, op: Schema.Literal("checkpoints"), runId }),
  Schema.Struct({
    id,
    op: Schema.Literal("answer"),
    runId,
    interruptId: Schema.String,
    decision: Decision,
    value: optional(Schema.Json),
    reason: optional(Schema.String),
    idempotencyKey: optional(Schema.String)
  }),
  Schema.Struct({
    id,
    op: Schema.Literal("signal"),
    runId,
    name: Schema.String,
    payload: optional(Schema.Json),
    idempotencyKey: optional(Schema.String)
  }),
  Schema.Struct({
    id,
    op: Schema.Literal("messages"),
    threadId: Schema.String,
    owner: optional(Schema.String),
    order: optional(Schema.Literals(["oldest", "newest"])),
    after: optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
    limit: optional(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 200 })))
  }),
  Schema.Struct({ id, op: Schema.Literal("ping") })
]).annotate({ identifier: "WebSocketClientFrame" })

export type ClientFrame = typeof ClientFrame.Type

/** A frame of the server. */
export const ServerFrame = Schema.Union([
  Schema.Struct({ id, type: Schema.Literal("result"), run: Schemas.Run }),
  Schema.Struct({ id, type: Schema.Literal("checkpoints"), runId, items: Schema.Array(Schemas.Checkpoint) }),
  Schema.Struct({
    id,
    type: Schema.Literal("messages"),
    threadId: Schema.String,
    items: Schema.Array(Stored),
    next: Schema.NullOr(Schema.Int)
  }),
  Schema.Struct({ id, type: Schema.Literal("event"), event: Event.RunEvent }),
  Schema.Struct({ id, type: Schema.Literal("end"), runId, state: RunState }),
  Schema.Struct({ id: optional(id), type: Schema.Literal("error"), problem: Problem }),
  Schema.Struct({ id, type: Schema.Literal("pong") }),
  Schema.Struct({ type: Schema.Literal("heartbeat") }),
  Schema.Struct({ type: Schema.Literal("closing"), retryMillis: Schema.Int })
]).annotate({ identifier: "WebSocketServerFrame" })

export type ServerFrame = typeof ServerFrame.Type

/** An invalid frame, with its id if that could be read. */
export interface Rejected {
  readonly id: string | undefined
  readonly reason: BadBody | BodyTooLarge
}

const encoder = new TextEncoder()
const decode = Schema.decodeUnknownEffect(ClientFrame)
const decodeId = Schema.decodeUnknownOption(Schema.Struct({ id }))

/** Reads a frame of at most `limitBytes`. */
export const parse = Effect.fnUntraced(function*(
  message: string | Uint8Array,
  limitBytes: number
): Effect.fn.Return<ClientFrame, Rejected> {
  const refuse = (reason: Rejected["reason"], id?: string) => Effect.fail({ id, reason })
  if (isLonger(message, limitBytes)) return yield* refuse(new BodyTooLarge({ limitBytes }))
  if (typeof message !== "string") return yield* refuse(new BadBody({ detail: "frames are text, not binary" }))
  yield* yieldFor(message.length)
  const json = yield* Effect.try({
    try: (): unknown => JSON.parse(message),
    catch: (): Rejected => ({ id: undefined, reason: new BadBody({ detail: "the frame is not JSON" }) })
  })
  return yield* Effect.catch(decode(json), (error) =>
    refuse(
      new BadBody({ detail: summaryOf(error) }),
      Option.getOrUndefined(Option.map(decodeId(json), ({ id }) => id))
    ))
})

/** A UTF-16 unit takes one to three bytes, so most texts need not be encoded to know their size. */
const isLonger = (message: string | Uint8Array, limitBytes: number) => {
  if (typeof message !== "string" || message.length > limitBytes) return message.length > limitBytes
  return message.length * 3 > limitBytes && encoder.encode(message).byteLength > limitBytes
}
