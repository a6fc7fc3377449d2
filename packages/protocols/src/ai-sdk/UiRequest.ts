// The request of the AI SDK's chat transport: a new message of the user, or the decisions in a message of the assistant.
import { Option, Schema } from "effect"
import { namedBy } from "../chat/ChatIds.ts"
import type { Decided } from "../chat/ChatRuns.ts"
import { type Named, named, type Result } from "../chat/ClientCalls.ts"
import { questionOf } from "./UiChunk.ts"

const optional = Schema.optionalKey

/** Messages are read one by one: only the one that the request is about has to be valid. */
export const UiRequest = Schema.Struct({
  id: optional(Schema.NonEmptyString),
  messages: Schema.NonEmptyArray(Schema.Json),
  trigger: optional(Schema.String),
  messageId: optional(Schema.NullOr(Schema.String)),
  /** Further fields of the agent's payload. */
  payload: optional(Schema.Record(Schema.String, Schema.Json)),
  /** The tools of the page by their names, as assistant-ui sends them; read for agents that take them. */
  tools: optional(Schema.Json)
}).annotate({ identifier: "UiRequest" })

export type UiRequest = typeof UiRequest.Type

const UiMessage = Schema.Struct({
  id: optional(Schema.String),
  role: Schema.Literals(["system", "user", "assistant"]),
  parts: Schema.Array(Schema.Json)
})

export type UiMessage = typeof UiMessage.Type

const decodeMessage = Schema.decodeUnknownOption(UiMessage)

/** The message that a request is about: the one that it names, unless a message is asked again, else the last one. */
export const messageOf = ({ messageId, messages, trigger }: UiRequest): UiMessage | undefined => {
  const named = trigger === "regenerate-message" || typeof messageId !== "string"
    ? undefined
    : messages.findLast((message) => Object(message).id === messageId)
  return Option.getOrUndefined(decodeMessage(named ?? messages.at(-1)))
}

/** The tools of the page. */
export const toolsOf = ({ tools }: UiRequest): ReadonlyArray<Named> =>
  typeof tools === "object" && tools !== null && !Array.isArray(tools)
    ? Object.entries(tools).map(([name, tool]) => ({ ...named(tool), name }))
    : []

const Approval = Schema.Struct({
  state: Schema.Literal("approval-responded"),
  approval: Schema.Struct({ id: Schema.String, approved: Schema.Boolean, reason: optional(Schema.String) })
})
const Output = Schema.Struct({
  state: Schema.Literals(["output-available", "output-error"]),
  toolCallId: Schema.String,
  output: optional(Schema.Json),
  errorText: optional(Schema.String),
  providerExecuted: optional(Schema.Boolean)
})
const decodeApproval = Schema.decodeUnknownOption(Approval)
const decodeOutput = Schema.decodeUnknownOption(Output)

/** The decisions of one run. */
export interface Decisions {
  readonly runId: string
  readonly answers: ReadonlyArray<Decided>
}

/** The decisions in the last step of a message: answered approvals, and outputs of calls that stand for questions. */
export const decisionsOf = ({ parts }: UiMessage): Decisions | undefined => {
  const start = parts.findLastIndex((part) => Object(part).type === "step-start")
  const decided = parts.slice(start + 1).flatMap((part) => decisionOf(part) ?? [])
  const [first] = decided
  if (first === undefined) return undefined
  return {
    runId: first.runId,
    answers: decided.flatMap(({ answer, runId }) => runId === first.runId ? [answer] : [])
  }
}

/** The results of the page's tools in a message: those of its last step, unless it has none. */
export const resultsOf = (
  { id = "", parts }: UiMessage
): { readonly runId: string; readonly results: ReadonlyArray<Result> } => {
  const start = parts.findLastIndex((part) => Object(part).type === "step-start")
  const last = parts.slice(start + 1).flatMap(resultOf)
  return { runId: id.slice(0, 36), results: last.length > 0 ? last : parts.flatMap(resultOf) }
}

const resultOf = (part: Schema.Json): ReadonlyArray<Result> => {
  const output = Option.getOrUndefined(decodeOutput(part))
  if (output === undefined || output.providerExecuted === true || questionOf(output.toolCallId) !== undefined) return []
  const { errorText, state, toolCallId } = output
  return [{
    toolCallId,
    value: output.output ?? null,
    error: state === "output-error" ? errorText ?? "the tool failed" : undefined
  }]
}

const decisionOf = (part: Schema.Json): { readonly runId: string; readonly answer: Decided } | undefined => {
  const approval = Option.getOrUndefined(decodeApproval(part))?.approval
  if (approval !== undefined) {
    const known = namedBy(approval.id)
    const { approved, reason } = approval
    return known === undefined ? undefined : {
      runId: known.runId,
      answer: {
        id: known.interruptId,
        decision: approved ? "approve" : "deny",
        ...(reason === undefined ? {} : { reason })
      }
    }
  }
  const output = Option.getOrUndefined(decodeOutput(part))
  const known = namedBy(questionOf(output?.toolCallId ?? "") ?? "")
  if (output === undefined || known === undefined) return undefined
  const { errorText, state } = output
  return {
    runId: known.runId,
    answer: state === "output-available"
      ? { id: known.interruptId, decision: "approve", value: output.output ?? null }
      : { id: known.interruptId, decision: "deny", ...(errorText === undefined ? {} : { reason: errorText }) }
  }
}
