// A thread as UI messages of the AI SDK: each turn is a message of the user and one of the assistant, whose id is its run's.
import * as Content from "@fastagentic/core/run/Content"
import type { RunError } from "@fastagentic/core/run/RunError"
import { isFinal } from "@fastagentic/core/run/RunRecord"
import type * as Message from "@fastagentic/core/thread/Message"
import { Effect, Schema } from "effect"
import { chatOf } from "../chat/ChatPayload.ts"
import * as ChatRuns from "../chat/ChatRuns.ts"
import type { RequestContext } from "../http/RequestContext.ts"
import { type Links, links } from "../internal/fileLinks.ts"
import { addressOf } from "./UiContent.ts"
import * as UiTurns from "./UiTurns.ts"

/** How many messages of the thread are read, the newest ones. */
const limit = 200

type Part = UiTurns.Part

interface UiMessage {
  readonly id: string
  readonly role: "user" | "assistant" | "system"
  readonly parts: ReadonlyArray<Part>
}

export const Messages = Schema.Struct({
  messages: Schema.Array(Schema.Struct({
    id: Schema.String,
    role: Schema.Literals(["user", "assistant", "system"]),
    parts: Schema.Array(Schema.Record(Schema.String, Schema.Json))
  }))
})

interface Chat {
  readonly agent: string
  readonly threadId: string
}

/** The messages of the thread, and the user's message of a turn that is not over; none when there is no thread yet. */
export const of = Effect.fnUntraced(function*(
  { caller, runtime }: RequestContext,
  chat: Chat
): Effect.fn.Return<ReadonlyArray<UiMessage>, RunError> {
  const files = yield* links
  const { items } = yield* runtime.messages(caller, chat.threadId, { order: "newest", limit }).pipe(
    Effect.catchIf(({ reason }) => reason._tag === "ThreadNotFound", () => Effect.succeed({ items: [] }))
  )
  const messages = written(items.toReversed(), files)
  const newest = yield* ChatRuns.newestOf(runtime, caller, chat)
  if (newest === undefined || isFinal(newest.state)) return messages
  const handle = yield* runtime.open(caller, newest.runId)
  const { run } = handle
  const callable = runtime.fusion.agents.get(chat.agent)
  const known = callable === undefined ? undefined : chatOf(callable)
  const said = known?._tag === "Chat" ? Object(run.payload)[known.field] : undefined
  const contents = typeof said === "string" ? [Content.text(said)] : Content.isList(said) ? said : []
  const partsOf = (contents: Content.List) => contents.flatMap((one, at) => partOf(one, at, files))
  const first = contents.length === 0
    ? []
    : [{ id: `${run.runId}-user`, role: "user" as const, parts: partsOf(contents) }]
  const turns = yield* ChatRuns.earlierTurns(runtime, handle)
  return [...messages, ...first, ...UiTurns.toMessages(run.runId, turns, partsOf)]
})

const written = (stored: ReadonlyArray<Message.Stored>, files: Links): ReadonlyArray<UiMessage> => {
  const answers = new Map(
    stored.flatMap((one) => one.role === "tool" ? [[`${one.runId} ${one.toolCallId}`, one] as const] : [])
  )
  const messages: Array<UiMessage> = []
  const answered = new Set<string>()
  for (const one of stored) {
    if (one.role !== "user" && one.role !== "assistant") continue
    const parts: Array<Part> = one.content.flatMap((content, at) => partOf(content, one.position * 1_000 + at, files))
    if (one.role === "user") {
      messages.push({ id: `${one.runId}-${one.position}`, role: "user", parts })
      continue
    }
    for (const call of one.toolCalls ?? []) parts.push(callOf(call, answers.get(`${one.runId} ${call.id}`)))
    const last = messages.at(-1)
    if (last?.role === "assistant" && last.id.startsWith(one.runId)) {
      messages[messages.length - 1] = { ...last, parts: [...last.parts, { type: "step-start" }, ...parts] }
      continue
    }
    messages.push({
      id: answered.has(one.runId) ? `${one.runId}-${one.position}` : one.runId,
      role: "assistant",
      parts: [{ type: "step-start" }, ...parts]
    })
    answered.add(one.runId)
  }
  return messages
}

const callOf = (
  { id, name, params }: Message.ToolCall,
  answer: Extract<Message.Stored, { readonly role: "tool" }> | undefined
): Part => {
  const call = { type: `tool-${name}`, toolCallId: id, input: params, providerExecuted: true }
  if (answer === undefined) return { ...call, state: "input-available" }
  const [only, ...more] = answer.content
  const output = more.length === 0 && only?.type === "data" ? only.data : Content.textOf(answer.content)
  return answer.isError === true
    ? { ...call, state: "output-error", errorText: typeof output === "string" ? output : JSON.stringify(output) }
    : { ...call, state: "output-available", output }
}

const partOf = (content: Content.Content, at: number, { urlOf }: Links): ReadonlyArray<Part> => {
  switch (content.type) {
    case "text":
      return [{ type: "text", text: content.text, state: "done" }]
    case "data":
      return [{ type: `data-${content.name ?? "content"}`, id: `data-${at}`, data: content.data }]
    case "link":
      return [{
        type: "source-url",
        sourceId: `link-${at}`,
        url: content.uri,
        ...(content.title === undefined ? {} : { title: content.title })
      }]
    default:
      return [{
        type: "file",
        mediaType: content.mediaType,
        url: addressOf(content, urlOf),
        ...(content.name === undefined ? {} : { filename: content.name })
      }]
  }
}
