// The data of every event type, by its wire name: the one list that protocols, journal and adapters share. Event exports it; a
// field is added at its end and optional, because old journals are decoded by it too.
import { Schema } from "effect"
import * as Content from "../Content.ts"
import { Usage } from "./usage.ts"

/** Marks what guards do not look at. */
export const structuralKey = "@fastagentic/core/run/Event/structural"

/** An identifier, or a word of a declaration or a framework: no text that guards look at. */
const Id = Schema.String.annotate({ [structuralKey]: true })
const Word = Id
const optional = Schema.optionalKey
const Status = Schema.Literals(["ok", "error", "interrupted", "cancelled"])

export const Failure = Schema.Struct({
  tag: Schema.String,
  message: Schema.String,
  status: Schema.Int,
  declared: Schema.Boolean,
  value: optional(Schema.Json),
  rule: optional(Schema.String)
})

export type Failure = typeof Failure.Type

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
  client: optional(Schema.Json),
  url: optional(Schema.String)
})

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
  /** A whole message. Adapters of earlier versions have `parts` of their framework instead of `content`. */
  message: Schema.Struct({
    messageId: optional(Id),
    role: Word,
    parts: optional(Schema.Array(Schema.Json)),
    content: optional(Content.List),
    /** The message belongs to the end of the run. */
    last: optional(Schema.Literal(true))
  }),
  /** Content in reading order. Runs of earlier versions have one `part` of a `kind` instead. */
  content: Schema.Struct({
    messageId: optional(Id),
    content: optional(Content.List),
    kind: optional(Schema.Literals(["file", "image", "source", "citation", "data"])),
    part: optional(Schema.Json),
    /** The name of the work that the content is a piece of: pieces of one name belong together. */
    name: optional(Content.Name),
    /** No piece of this name follows. */
    last: optional(Schema.Literal(true))
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
