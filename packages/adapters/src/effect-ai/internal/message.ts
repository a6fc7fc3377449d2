// Reads one message of a model as it arrives: its events, its tool calls, and the form in which it goes back to the model.
// modelCall.ts makes one for each attempt. Each call has its own identity; a call that did not arrive whole is broken.
import type { Event } from "@fastagentic/core"
import * as Prompt from "effect/ai/Prompt"
import * as Response from "effect/ai/Response"
import { usageOf } from "../../adapter/PartEvents.ts"
import type { Answer, Call } from "./answer.ts"
import { type Arguments, argumentsOf, cutArguments } from "./callArguments.ts"
import { CallIds, type Named } from "./callIds.ts"
import { eventsOf } from "./messageEvents.ts"

export class Message {
  readonly calls: Array<Call> = []
  /** The parts as they stand in the prompt. */
  private readonly parts: Array<Response.AnyPart> = []
  private readonly ids: CallIds
  private readonly messageId = idOf("msg")
  /** Whether the message has said something. */
  isStarted = false

  constructor(prompt: Prompt.Prompt) {
    this.ids = new CallIds(prompt, () => idOf("call"))
  }

  /** Adds a part, and gives the events that report it. */
  add(part: Response.AnyPart): ReadonlyArray<Event.Event> {
    const named = this.ids.of(part)
    if (named !== undefined && part.type === "tool-call") this.called(part, named)
    else this.parts.push(named === undefined || part.type !== "tool-result" ? part : { ...part, id: named.id })
    return this.opened(eventsOf(part, this.messageId, named?.toolCallId ?? ""))
  }

  /** Ends the message: calls that were cut off count as broken, so that the model learns of them. */
  end(finishReason: string): ReadonlyArray<Event.Event> {
    const cut = finishReason === "error" ? [] : this.ids.cut
    const requested = cut.flatMap((named): ReadonlyArray<Event.Event> => {
      const { name, text, toolCallId } = named
      this.request(named, cutArguments(text), {})
      return [{ type: "tool_call", data: { toolCallId, name, arguments: text } }]
    })
    const { messageId } = this
    return this.isStarted ? [...requested, { type: "message_end", data: { messageId, finishReason } }] : []
  }

  get said(): Prompt.Prompt {
    return Prompt.fromResponseParts(this.parts)
  }

  get text(): string {
    return this.parts.map((part) => part.type === "text" ? part.text : part.type === "text-delta" ? part.delta : "")
      .join("")
  }

  /** The tokens of the prompt and of this message; reasoning does not go back. */
  get counted(): Pick<Answer, "counted"> {
    const last = this.parts.findLast((part) => part.type === "finish")
    const usage = last === undefined ? undefined : usageOf(last)
    return usage === undefined
      ? {}
      : { counted: usage.inputTokens + Math.max(0, usage.outputTokens - (usage.reasoningTokens ?? 0)) }
  }

  get finishReason(): Response.FinishReason {
    return this.parts.findLast((part) => part.type === "finish")?.reason ?? "unknown"
  }

  /** Whether the message holds nothing for a reader: neither text nor calls nor files nor work of the provider. */
  get isSilent(): boolean {
    return this.calls.length === 0 && this.text.trim() === "" &&
      !this.parts.some(({ type }) => type === "tool-call" || type === "file")
  }

  private called(part: Response.ToolCallPart<string, unknown>, named: Named) {
    if (part.providerExecuted) this.parts.push({ ...part, id: named.id })
    else this.request(named, argumentsOf(part.params), part.metadata)
  }

  /** Providers take objects only, so broken arguments do not go back to them. */
  private request(
    { id, name, toolCallId }: Named,
    read: Arguments,
    metadata: Response.ToolCallPart<string, unknown>["metadata"]
  ) {
    const params = read.broken === undefined ? read.arguments : {}
    this.parts.push(Response.toolCallPart({ id, name, params, providerExecuted: false, metadata }))
    this.calls.push({ id, toolCallId, name, ...read })
  }

  private opened(events: ReadonlyArray<Event.Event>): ReadonlyArray<Event.Event> {
    if (this.isStarted || events.length === 0) return events
    this.isStarted = true
    return [{ type: "message_start", data: { messageId: this.messageId, role: "assistant" } }, ...events]
  }
}

export const idOf = (prefix: string) => `${prefix}_${globalThis.crypto.randomUUID()}`
