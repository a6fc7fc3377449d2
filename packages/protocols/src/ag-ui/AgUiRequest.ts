// The input of an AG-UI run: a message of the user, or the answers to the interrupts of the run before.
import * as Content from "@fastagentic/core/run/Content"
import type { Answer } from "@fastagentic/core/run/Interrupt"
import { Option, Schema } from "effect"
import type { Result } from "../chat/ClientCalls.ts"
import type { Links } from "../internal/fileLinks.ts"
import * as AgUiContent from "./AgUiContent.ts"

const optional = Schema.optionalKey

const Resume = Schema.Struct({
  interruptId: Schema.String,
  status: Schema.Literals(["resolved", "cancelled"]),
  payload: optional(Schema.Json)
})

/** Messages are read one by one: only the newest one has to be valid. */
export const RunAgentInput = Schema.Struct({
  threadId: Schema.NonEmptyString,
  runId: Schema.NonEmptyString,
  messages: Schema.Array(Schema.Json),
  resume: optional(Schema.NullOr(Schema.Array(Resume))),
  forwardedProps: optional(Schema.Json),
  /** Read for agents that take them. */
  tools: optional(Schema.NullOr(Schema.Array(Schema.Json))),
  context: optional(Schema.Json),
  state: optional(Schema.Json)
}).annotate({ identifier: "RunAgentInput" })

export type RunAgentInput = typeof RunAgentInput.Type

const UserMessage = Schema.Struct({
  id: optional(Schema.Json),
  role: Schema.Literal("user"),
  content: Schema.Union([Schema.String, Schema.Array(AgUiContent.Part)])
})
const decodeMessage = Schema.decodeUnknownOption(UserMessage)

/** The roles of messages that may follow the user's and say nothing to the agent. */
const silent: ReadonlySet<unknown> = new Set(["system", "developer", "activity"])

const newestOf = ({ messages }: RunAgentInput) =>
  Option.getOrUndefined(decodeMessage(messages.findLast((message) => !silent.has(Object(message).role))))

/** The id of the newest message, if it is the user's and has one. */
export const messageIdOf = (input: RunAgentInput): string | undefined => {
  const id = newestOf(input)?.id
  return typeof id === "string" ? id : undefined
}

/** The content of the newest message, if it is the user's. */
export const contentOf = (input: RunAgentInput, links: Links): Content.List | undefined => {
  const message = newestOf(input)
  if (message === undefined) return undefined
  const { content } = message
  return typeof content === "string"
    ? [Content.text(content)]
    : content.map((part) => AgUiContent.fromPart(part, links))
}

const ToolMessage = Schema.Struct({
  role: Schema.Literal("tool"),
  toolCallId: Schema.String,
  content: optional(Schema.Json),
  error: optional(Schema.NullOr(Schema.String))
})
const decodeResult = Schema.decodeUnknownOption(ToolMessage)

/** The results of tools since the newest message of the user; also those of the server's tools are among them. */
export const resultsOf = ({ messages }: RunAgentInput): ReadonlyArray<Result> => {
  const asked = messages.findLastIndex((message) => Object(message).role === "user")
  return messages.slice(asked + 1).flatMap((message) =>
    Option.match(decodeResult(message), {
      onNone: () => [],
      onSome: ({ content = null, error, toolCallId }) => [{ toolCallId, value: content, error: error ?? undefined }]
    })
  )
}

const Approval = Schema.Struct({
  approved: Schema.Boolean,
  editedArgs: optional(Schema.Json),
  reason: optional(Schema.String)
})
const decodeApproval = Schema.decodeUnknownOption(Approval)

/** The decision of a resume entry about a question of a kind; what the user has turned away is denied. */
export const answerOf = (
  { payload = null, status }: typeof Resume.Type,
  kind: "approval" | "input"
): Answer | undefined => {
  if (status === "cancelled") return { decision: "deny" }
  if (kind === "input") return { decision: "approve", value: payload }
  if (typeof payload === "boolean") return { decision: payload ? "approve" : "deny" }
  return Option.match(decodeApproval(payload), {
    onNone: () => undefined,
    onSome: ({ approved, editedArgs, reason }): Answer => ({
      decision: approved ? (editedArgs === undefined ? "approve" : "edit") : "deny",
      ...(approved && editedArgs !== undefined ? { value: editedArgs } : {}),
      ...(reason === undefined ? {} : { reason })
    })
  })
}

const Props = Schema.Struct({ payload: Schema.Record(Schema.String, Schema.Json) })
const decodeProps = Schema.decodeUnknownOption(Props)

/** Further fields of the agent's payload, in `forwardedProps.payload`. */
export const restOf = ({ forwardedProps }: RunAgentInput): { readonly [key: string]: Schema.Json } =>
  Option.match(decodeProps(forwardedProps), { onNone: () => ({}), onSome: ({ payload }) => payload })
