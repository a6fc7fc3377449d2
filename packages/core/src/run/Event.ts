/**
 * The one event vocabulary of a run.
 *
 * Every protocol, the console and the journal speak these events; an adapter translates its framework's events into
 * them and into nothing else.
 *
 * @since 0.1.0
 */
import { Schema, type SchemaAST } from "effect"
import * as Content from "./Content.ts"

const structuralKey = "@fastagentic/core/run/Event/structural"

/** An identifier, or a word of a declaration or a framework: no text that guards look at. */
const Id = Schema.String.annotate({ [structuralKey]: true })
const Word = Id
const optional = Schema.optionalKey
const Status = Schema.Literals(["ok", "error", "interrupted", "cancelled"])

/**
 * Tokens spent, as a provider reported them.
 *
 * @category models
 * @since 0.1.0
 */
export const Usage = Schema.Struct({
  inputTokens: Schema.Int,
  outputTokens: Schema.Int,
  cacheReadTokens: optional(Schema.Int),
  cacheWriteTokens: optional(Schema.Int),
  reasoningTokens: optional(Schema.Int),
  costUsd: optional(Schema.Finite)
})

/**
 * @category models
 * @since 0.1.0
 */
export type Usage = typeof Usage.Type

/** No call of a model has more tokens, or costs more dollars, than this: a larger number is an error of its source. */
const maxTokens = 1e9
const maxCostUsd = 1e6

const countOf = (value: number | undefined): number | undefined =>
  value !== undefined && value >= 0 && value <= maxTokens ? Math.ceil(value) : undefined

/**
 * Reported usage as whole numbers from 0 to a billion; nothing when either side is missing or impossible, so that the
 * call is billed as reserved. Cached tokens are no more than input tokens; an impossible cost counts as not reported.
 *
 * @category conversions
 * @since 0.1.0
 */
export const checkUsage = (reported: { readonly [Key in keyof Usage]?: number | undefined }): Usage | undefined => {
  const [inputTokens, outputTokens] = [countOf(reported.inputTokens), countOf(reported.outputTokens)]
  if (inputTokens === undefined || outputTokens === undefined) return undefined
  const cacheReadTokens = Math.min(countOf(reported.cacheReadTokens) ?? 0, inputTokens)
  const cacheWriteTokens = Math.min(countOf(reported.cacheWriteTokens) ?? 0, inputTokens - cacheReadTokens)
  const reasoningTokens = countOf(reported.reasoningTokens) ?? 0
  const { costUsd } = reported
  return {
    inputTokens,
    outputTokens,
    ...(cacheReadTokens > 0 ? { cacheReadTokens } : {}),
    ...(cacheWriteTokens > 0 ? { cacheWriteTokens } : {}),
    ...(reasoningTokens > 0 ? { reasoningTokens } : {}),
    ...(costUsd !== undefined && costUsd >= 0 && costUsd <= maxCostUsd ? { costUsd } : {})
  }
}

/**
 * How a run failed: `declared` failures carry the agent's own typed error in `value`, all others only a safe message.
 * `rule` is what refused, when a policy did.
 *
 * @category models
 * @since 0.1.0
 */
export const Failure = Schema.Struct({
  tag: Schema.String,
  message: Schema.String,
  status: Schema.Int,
  declared: Schema.Boolean,
  value: optional(Schema.Json),
  rule: optional(Schema.String)
})

/**
 * @category models
 * @since 0.1.0
 */
export type Failure = typeof Failure.Type

/**
 * A pause as it is announced to its approvers.
 *
 * @category models
 * @since 0.1.0
 */
export const InterruptNotice = Schema.Struct({
  id: Id,
  kind: Schema.Literals(["approval", "input"]),
  name: Schema.String,
  message: optional(Schema.String),
  tool: optional(Schema.String),
  toolCallId: optional(Id),
  arguments: optional(Schema.Json),
  responseSchema: optional(Schema.Json),
  expiresAt: optional(Schema.Int),
  risk: optional(Schema.Literals(["low", "medium", "high"])),
  rule: optional(Schema.String),
  client: optional(Schema.Json)
})

/**
 * The data of each event type, by its wire name.
 *
 * @category schemas
 * @since 0.1.0
 */
export const schemas = {
  run_started: Schema.Struct({
    agent: Word,
    parentRunId: optional(Id),
    forkedFrom: optional(Schema.Struct({ runId: Id, seq: Schema.Int, toolCallId: optional(Id) })),
    resumed: optional(Schema.Boolean),
    /** The span that started the run, when tracing is on. */
    traceparent: optional(Word),
    /** Whether the names of its branches are kept apart; runs of earlier versions do not have it. */
    places: optional(Schema.Boolean)
  }),
  done: Schema.Struct({ output: Schema.Json, usage: optional(Usage) }),
  run_queued: Schema.Struct({
    agent: Word,
    startAt: optional(Schema.Int),
    traceparent: optional(Word),
    places: optional(Schema.Boolean)
  }),
  run_suspended: Schema.Struct({
    reason: Schema.Literals([
      "interrupt",
      "signal",
      "timer",
      "child",
      "migration",
      "repair",
      "principal",
      "drain",
      "undo"
    ]),
    interrupts: Schema.Array(Id),
    until: optional(Schema.Int),
    /** Why the principal of the run may not act any more, or what has to be repaired. */
    detail: optional(Schema.String)
  }),
  run_cancelled: Schema.Struct({ reason: Schema.String }),
  error: Failure,
  node_enter: Schema.Struct({
    nodeId: Id,
    name: Schema.String,
    kind: optional(Schema.Literals(["node", "step", "turn", "task", "method"])),
    step: optional(Schema.Int),
    input: optional(Schema.Json)
  }),
  node_exit: Schema.Struct({
    nodeId: Id,
    name: Schema.String,
    status: Status,
    durationMs: optional(Schema.Finite),
    output: optional(Schema.Json),
    error: optional(Schema.String)
  }),
  agent_enter: Schema.Struct({ agentRunId: Id, name: Schema.String, parentToolCallId: optional(Id) }),
  agent_exit: Schema.Struct({ agentRunId: Id, name: Schema.String, status: Status, output: optional(Schema.Json) }),
  llm_start: Schema.Struct({ callId: Id, model: Word, provider: optional(Word) }),
  llm_end: Schema.Struct({
    callId: Id,
    finishReason: Word,
    usage: optional(Usage),
    error: optional(Schema.String)
  }),
  message_start: Schema.Struct({ messageId: Id, role: Word }),
  token: Schema.Struct({ delta: Schema.String, messageId: optional(Id), blockId: optional(Id) }),
  reasoning_delta: Schema.Struct({ delta: Schema.String, messageId: optional(Id), blockId: optional(Id) }),
  message_end: Schema.Struct({ messageId: Id, finishReason: optional(Word) }),
  message: Schema.Struct({ messageId: Id, role: Word, parts: Schema.Array(Schema.Json) }),
  /** Content in reading order. Runs of earlier versions have one `part` of a `kind` instead. */
  content: Schema.Struct({
    messageId: optional(Id),
    content: optional(Content.List),
    kind: optional(Schema.Literals(["file", "image", "source", "citation", "data"])),
    part: optional(Schema.Json)
  }),
  tool_call_start: Schema.Struct({ toolCallId: Id, name: Schema.String, messageId: optional(Id) }),
  tool_call_delta: Schema.Struct({ toolCallId: Id, delta: Schema.String }),
  tool_call: Schema.Struct({ toolCallId: Id, name: Schema.String, arguments: Schema.Json }),
  tool_start: Schema.Struct({
    toolCallId: Id,
    name: Schema.String,
    arguments: Schema.Json,
    modified: optional(Schema.Boolean),
    origin: optional(Schema.Literals(["runtime", "framework", "provider", "mcp"]))
  }),
  tool_progress: Schema.Struct({ toolCallId: Id, progress: optional(Schema.Finite), data: optional(Schema.Json) }),
  tool_result: Schema.Struct({
    toolCallId: Id,
    name: Schema.String,
    result: Schema.Json,
    isError: Schema.Boolean,
    denied: optional(Schema.Boolean),
    durationMs: optional(Schema.Finite)
  }),
  checkpoint: Schema.Struct({
    checkpointId: Id,
    parentId: optional(Id),
    node: optional(Schema.String),
    format: Word,
    bytes: Schema.Int
  }),
  interrupt: InterruptNotice,
  interrupt_resolved: Schema.Struct({
    id: Id,
    decision: Schema.Literals(["approve", "deny", "edit", "expire", "withdraw"]),
    by: Schema.String,
    value: optional(Schema.Json),
    reason: optional(Schema.String)
  }),
  /** A caller has sent a message to the run, which is kept until a receive takes it. */
  signal: Schema.Struct({ id: Id, signal: Schema.String, by: Schema.String }),
  signal_received: Schema.Struct({ id: Id, signal: Schema.String, message: Id }),
  /** A message as its protocol delivered it: what started the run, answered it, or was sent to it with the next event. */
  message_received: Schema.Struct({ by: Schema.String, message: Schema.Json }),
  // The provider reported nothing when it is an estimate: the call costs what was reserved for it.
  usage: Schema.Struct({
    callId: optional(Id),
    model: optional(Word),
    isEstimate: optional(Schema.Literal(true)),
    ...Usage.fields
  }),
  state_snapshot: Schema.Struct({ state: Schema.Json }),
  state_delta: Schema.Struct({ patch: Schema.Array(Schema.Json) }),
  hook_decision: Schema.Struct({
    hook: Word,
    point: Word,
    decision: Schema.Literals(["allow", "modify", "block", "retry", "suspend"]),
    reason: optional(Schema.String)
  }),
  budget: Schema.Struct({
    budget: Word,
    decision: Schema.Literals(["soft", "downgrade", "clamp", "refuse"]),
    callId: Id,
    model: Word,
    to: optional(Word),
    maxOutputTokens: optional(Schema.Int)
  }),
  /**
   * An attempt said other words in a place than the attempt before it: the events of `place` from `from` to `to` do not
   * count any more, whatever they said. The words that stand in their place follow.
   */
  superseded: Schema.Struct({ place: Schema.String, from: Schema.Int, to: Schema.Int }),
  /**
   * An undo was registered by its handler, or has run at the end of its run: it is done, has failed and is tried again, or
   * has failed for good. `error` is the tag of its failure.
   */
  undo: Schema.Struct({
    undoId: Id,
    status: Schema.Literals(["registered", "done", "retried", "failed"]),
    tries: optional(Schema.Int),
    error: optional(Word)
  }),
  /** How far the handler has come, in its own numbers. */
  progress: Schema.Struct({
    progress: Schema.Finite,
    total: optional(Schema.Finite),
    message: optional(Schema.String)
  }),
  log: Schema.Struct({ level: Word, message: Schema.String }),
  custom: Schema.Struct({ name: Schema.String, value: Schema.Json }),
  raw: Schema.Struct({ source: Word, event: Schema.Json })
} as const

/**
 * @category models
 * @since 0.1.0
 */
export type Type = keyof typeof schemas

const hasText = (ast: SchemaAST.AST): boolean => {
  if (ast.annotations?.[structuralKey] === true) return false
  switch (ast._tag) {
    case "Boolean":
    case "Number":
    case "Literal":
    case "Null":
    case "Undefined":
    case "Never":
      return false
    case "Union":
      return ast.types.some(hasText)
    case "Objects":
      return ast.indexSignatures.length > 0 || ast.propertySignatures.some(({ type }) => hasText(type))
    case "Arrays":
      return [...ast.elements, ...ast.rest].some(hasText)
    default:
      return true
  }
}

/**
 * The fields of each event type that hold text, which guards see: all that the schema does not mark as structural.
 *
 * @category accessors
 * @since 0.1.0
 */
export const textFields: ReadonlyMap<string, ReadonlyArray<string>> = new Map(
  Object.entries(schemas).map(([type, { fields }]) => [
    type,
    Object.entries(fields).filter(([, field]) => hasText(field.ast)).map(([name]) => name)
  ])
)

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
  path: optional(Schema.Array(Schema.String)),
  place: optional(Schema.String)
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
 * @category constructors
 * @since 0.1.0
 */
export const content = (content: Content.Content | Content.List, messageId?: string): Event =>
  make("content", {
    content: isList(content) ? content : [content],
    ...(messageId === undefined ? {} : { messageId })
  })

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
