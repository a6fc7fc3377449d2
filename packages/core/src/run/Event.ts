/**
 * The one event vocabulary of a run.
 *
 * Every protocol, the console and the journal speak these events; an adapter translates its framework's events into
 * them and into nothing else.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import type * as Content from "./Content.ts"
import { schemas } from "./internal/eventSchemas.ts"

export {
  /**
   * Reported usage as whole numbers from 0 to a billion; nothing when either side is missing or impossible, so that the
   * call is billed as reserved. Cached tokens are no more than input tokens; an impossible cost counts as not reported.
   *
   * @category conversions
   * @since 0.1.0
   */
  checkUsage,
  /** Tokens spent, as a provider reported them. @category models @since 0.1.0 */
  Usage
} from "./internal/usage.ts"

export {
  /**
   * How a run failed: `declared` failures carry the agent's own typed error in `value`, all others only a safe message.
   * `rule` is what refused, when a policy did.
   *
   * @category models
   * @since 0.1.0
   */
  Failure,
  /** A pause as it is announced to its approvers. @category models @since 0.1.0 */
  InterruptNotice,
  /** The data of each event type, by its wire name. @category schemas @since 0.1.0 */
  schemas
} from "./internal/eventSchemas.ts"

export {
  /**
   * The fields of each event type that hold text, which guards see: all that the schema does not mark as structural.
   *
   * @category accessors
   * @since 0.1.0
   */
  textFields
} from "./internal/eventText.ts"

/**
 * @category models
 * @since 0.1.0
 */
export type Type = keyof typeof schemas

/**
 * The data of one event type.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Data<T extends Type> = (typeof schemas)[T]["Type"]

/**
 * Something that happened in a run, before the journal has given it a place.
 *
 * `path` names the nested graph, sub-agent or node that it happened in, outermost first. `place` is the branch or step of
 * the run that said it; at the top of the handler there is none.
 *
 * @category models
 * @since 0.1.0
 */
export type Event = {
  readonly [T in Type]: {
    readonly type: T
    readonly data: Data<T>
    readonly path?: ReadonlyArray<string>
    readonly place?: string
  }
}[Type]

/**
 * A committed entry of a run's journal: `seq` is gapless from 1, `ts` is Unix time in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export type RunEvent = Event & {
  readonly runId: string
  readonly seq: number
  readonly ts: number
  readonly attempt: number
}

const envelope = {
  runId: Schema.String,
  seq: Schema.Int,
  ts: Schema.Int,
  attempt: Schema.Int,
  path: Schema.optionalKey(Schema.Array(Schema.String)),
  place: Schema.optionalKey(Schema.String)
}

const entry = <const T extends Type>(type: T) =>
  Schema.Struct({ ...envelope, type: Schema.Literal(type), data: schemas[type] })

/**
 * Decodes journal entries as they travel on every wire.
 *
 * @category schemas
 * @since 0.1.0
 */
export const RunEvent: Schema.Codec<RunEvent, unknown> = Schema.Union([
  entry("run_started"),
  entry("done"),
  entry("run_queued"),
  entry("run_suspended"),
  entry("run_cancelled"),
  entry("error"),
  entry("node_enter"),
  entry("node_exit"),
  entry("agent_enter"),
  entry("agent_exit"),
  entry("llm_start"),
  entry("llm_end"),
  entry("message_start"),
  entry("token"),
  entry("reasoning_delta"),
  entry("message_end"),
  entry("message"),
  entry("content"),
  entry("tool_call_start"),
  entry("tool_call_delta"),
  entry("tool_call"),
  entry("tool_start"),
  entry("tool_progress"),
  entry("tool_result"),
  entry("checkpoint"),
  entry("interrupt"),
  entry("interrupt_resolved"),
  entry("signal"),
  entry("signal_received"),
  entry("message_received"),
  entry("usage"),
  entry("state_snapshot"),
  entry("state_delta"),
  entry("hook_decision"),
  entry("budget"),
  entry("superseded"),
  entry("undo"),
  entry("progress"),
  entry("log"),
  entry("custom"),
  entry("raw")
])

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = <const T extends Type>(
  type: T,
  data: Data<T>,
  path?: ReadonlyArray<string>
): Extract<Event, { readonly type: T }> => {
  const event = path === undefined ? { type, data } : { type, data, path }
  // cast: `T` picks one member of the union, which the checker cannot see through the mapped type.
  return event as unknown as Extract<Event, { readonly type: T }>
}

/**
 * A piece of the answer, in reading order.
 *
 * @category constructors
 * @since 0.1.0
 */
export const token = (delta: string, messageId?: string): Event =>
  make("token", messageId === undefined ? { delta } : { delta, messageId })

/**
 * Content beside the text of the answer, such as an image or a file.
 *
 * Pieces of one `name` belong together, as one artifact of A2A; `last` says that no other piece of the name follows.
 *
 * @category constructors
 * @since 0.1.0
 */
export const content = (
  content: Content.Content | Content.List,
  options: { readonly messageId?: string; readonly name?: string; readonly last?: true } = {}
): Event => make("content", { content: listOf(content), ...options })

/**
 * A message that the agent says about its work, which is not a part of the answer.
 *
 * A message that is `last` belongs to the end of the run: it says how the work has ended.
 *
 * @category constructors
 * @since 0.1.0
 */
export const message = (
  content: string | Content.Content | Content.List,
  options: { readonly messageId?: string; readonly last?: true } = {}
): Event =>
  make("message", {
    role: "assistant",
    content: typeof content === "string" ? [{ type: "text", text: content }] : listOf(content),
    ...options
  })

const listOf = (content: Content.Content | Content.List): Content.List => isList(content) ? content : [content]

const isList = (content: Content.Content | Content.List): content is Content.List => Array.isArray(content)

/**
 * A JSON value of the application's own under a name of its own.
 *
 * @category constructors
 * @since 0.1.0
 */
export const custom = (name: string, value: Schema.Json): Event => make("custom", { name, value })

/**
 * @category constructors
 * @since 0.1.0
 */
export const log = (level: string, message: string): Event => make("log", { level, message })

/**
 * How far the handler has come, of a total if it is known, in numbers that only grow.
 *
 * @category constructors
 * @since 0.1.0
 */
export const progress = (
  progress: number,
  options: { readonly total?: number; readonly message?: string } = {}
): Event => make("progress", { progress, ...options })

/**
 * Whether an event ends its run.
 *
 * @category guards
 * @since 0.1.0
 */
export const isTerminal = (event: Event): boolean =>
  event.type === "done" || event.type === "error" || event.type === "run_cancelled"

/**
 * The events without those that a later attempt has superseded: the words of a run as they stand.
 *
 * Costs are facts and stay: a `usage` event is never superseded.
 *
 * @category combinators
 * @since 0.1.0
 */
export const visible = (events: ReadonlyArray<RunEvent>): ReadonlyArray<RunEvent> => {
  const superseded = events.filter((event) => event.type === "superseded")
  return superseded.length === 0
    ? events
    : events.filter((event) => event.type !== "superseded" && !superseded.some(({ data }) => covers(data, event)))
}

/** Whether an event is one of those that were superseded. @category guards @since 0.1.0 */
export const covers = ({ from, place, to }: Data<"superseded">, event: RunEvent): boolean =>
  event.seq >= from && event.seq <= to && (event.place ?? "") === place && event.type !== "usage" && isSaid(event)

/** The types of events that only the runtime writes. */
const ofRuntime: ReadonlySet<Type> = new Set([
  "run_started",
  "run_queued",
  "run_suspended",
  "run_cancelled",
  "done",
  "error",
  "checkpoint",
  "interrupt",
  "interrupt_resolved",
  "message_received",
  "hook_decision",
  "budget",
  "superseded",
  "undo"
])

/**
 * Whether the handler said this, and not the runtime. An event of the runtime's types that a handler emits has a `place`,
 * also at the top.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSaid = ({ place, type }: Pick<Event, "place" | "type">): boolean =>
  place !== undefined || !ofRuntime.has(type)

/** Gives the events of a write their places in the journal. @category constructors @since 0.1.0 */
export const stamp = (
  events: ReadonlyArray<Event>,
  at: { readonly runId: string; readonly attempt: number; readonly ts: number; readonly lastSeq: number }
): ReadonlyArray<RunEvent> =>
  // The fields are in the order of stored events, so that a replayed stream has the same bytes.
  events.map((event, index) => ({
    runId: at.runId,
    seq: at.lastSeq + 1 + index,
    ts: at.ts,
    attempt: at.attempt,
    ...event
  }))
