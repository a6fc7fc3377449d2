// The chat behind `useChat`, with a transport for a route of ours, and what a page reads from its messages.
import { Chat as ReactChat } from "@ai-sdk/react"
import { type ChatInit, DefaultChatTransport, type UIMessage } from "ai"

export class Chat extends ReactChat<UIMessage> {
  /** Every newest message as it was after each change. */
  readonly seen: Array<UIMessage> = []

  constructor({ api, headers = {}, ...init }: ChatInit<UIMessage> & { api: string; headers?: Record<string, string> }) {
    super({ ...init, transport: new DefaultChatTransport({ api, headers }) })
    this["~registerMessagesCallback"](() => {
      if (this.lastMessage !== undefined) this.seen.push(structuredClone(this.lastMessage))
    })
  }
}

type Part = UIMessage["parts"][number]

/** The text of a message. */
export const textOf = (message: UIMessage | undefined) =>
  message?.parts.map((part) => part.type === "text" ? part.text : "").join("") ?? ""

/** The parts of a message that are neither marks of steps nor data. */
export const shape = (message: UIMessage | undefined): ReadonlyArray<string> =>
  message?.parts.filter(({ type }) => type !== "step-start" && !type.startsWith("data-")).map(word) ?? []

const word = (part: Part): string => {
  if ("toolCallId" in part) return `${part.type}:${part.state}`
  return part.type
}

/** The ids of the approvals that a message asks for. */
export const approvalIn = (message: UIMessage | undefined): ReadonlyArray<string> =>
  message?.parts.flatMap((part) =>
    "approval" in part && part.state === "approval-requested" && part.approval !== undefined ? [part.approval.id] : []
  ) ?? []
