// The events of one exchange as events of the run, and the conversation that they make, which the next exchange sends.
import { Event } from "@fastagentic/core"
import { JsonPatch, Option, type Schema } from "effect"
import { decodePatch, type Ended, type WireEvent } from "./wire.ts"

type Json = { readonly [key: string]: Schema.Json }

interface Call {
  readonly name: string
  args: string
  isSaid: boolean
}

export class Conversation {
  private messages: Array<Schema.Json>
  private state: Schema.Json | undefined
  private text = ""
  private textId: string | undefined
  private readonly calls = new Map<string, Call>()
  /** The call whose chunks arrive, which has no end of its own. */
  private chunked: string | undefined

  constructor(messages: ReadonlyArray<Schema.Json>, state: Schema.Json | undefined) {
    this.messages = [...messages]
    this.state = state
  }

  /** The events of the run that an event of the wire is. */
  add(event: WireEvent): ReadonlyArray<Event.Event> {
    const before = this.chunked !== undefined && event.type !== "TOOL_CALL_CHUNK" ? this.endChunks() : []
    return [...before, ...this.eventsOf(event)]
  }

  ended(event: Extract<WireEvent, { readonly type: "RUN_FINISHED" | "RUN_ERROR" }>): Ended {
    const conversation = {
      messages: this.messages,
      ...(this.state === undefined ? {} : { state: this.state }),
      text: this.text
    }
    if (event.type === "RUN_ERROR") {
      const value = typeof event.metadata === "object" ? Object(event.metadata).error : undefined
      return {
        ...conversation,
        interrupts: [],
        cancelled: false,
        error: {
          message: event.message,
          ...(typeof event.code === "string" ? { code: event.code } : {}),
          ...(value === undefined ? {} : { value })
        }
      }
    }
    const { outcome, result } = event
    return {
      ...conversation,
      ...(result === undefined ? {} : { result }),
      interrupts: outcome?.type === "interrupt" ? outcome.interrupts : [],
      cancelled: outcome?.type === "cancelled"
    }
  }

  private eventsOf(event: WireEvent): ReadonlyArray<Event.Event> {
    switch (event.type) {
      case "TEXT_MESSAGE_START":
        this.say(event.messageId, "")
        return []
      case "TEXT_MESSAGE_CONTENT":
        this.say(event.messageId, event.delta)
        return [Event.token(event.delta, event.messageId)]
      case "TEXT_MESSAGE_CHUNK": {
        const { delta, messageId } = event
        if (typeof delta !== "string") return []
        const saying = messageId ?? this.textId ?? "chunks"
        this.say(saying, delta)
        return [Event.token(delta, saying)]
      }
      case "REASONING_MESSAGE_CONTENT":
        return [Event.make("reasoning_delta", { delta: event.delta, messageId: event.messageId })]
      case "REASONING_MESSAGE_CHUNK":
      case "THINKING_TEXT_MESSAGE_CONTENT":
        return typeof event.delta === "string" ? [Event.make("reasoning_delta", { delta: event.delta })] : []
      case "TOOL_CALL_START":
        return this.begin(event.toolCallId, event.toolCallName)
      case "TOOL_CALL_ARGS":
        return this.extend(event.toolCallId, event.delta)
      case "TOOL_CALL_CHUNK": {
        const { delta, toolCallId, toolCallName } = event
        const isNew = typeof toolCallId === "string" && toolCallId !== this.chunked
        const events = isNew ? [...this.endChunks(), ...this.begin(toolCallId, toolCallName ?? toolCallId)] : []
        if (isNew) this.chunked = toolCallId
        return typeof delta === "string" && this.chunked !== undefined
          ? [...events, ...this.extend(this.chunked, delta)]
          : events
      }
      case "TOOL_CALL_END":
        return this.finish(event.toolCallId)
      case "TOOL_CALL_RESULT":
        return this.answer(event)
      case "STATE_SNAPSHOT":
        this.state = event.snapshot
        return [Event.make("state_snapshot", { state: event.snapshot })]
      case "STATE_DELTA":
        this.state = patched(this.state, event.delta)
        return [Event.make("state_delta", { patch: event.delta })]
      case "MESSAGES_SNAPSHOT":
        this.messages = [...event.messages]
        this.textId = undefined
        return []
      case "STEP_STARTED":
        return [Event.make("node_enter", { nodeId: event.stepName, name: event.stepName, kind: "step" })]
      case "STEP_FINISHED":
        return [Event.make("node_exit", { nodeId: event.stepName, name: event.stepName, status: "ok" })]
      case "CUSTOM":
        return [Event.custom(event.name, event.value)]
      case "ACTIVITY_SNAPSHOT":
        return [Event.custom(`activity ${event.activityType}`, event.content)]
      case "RUN_FINISHED":
        return (event.usage ?? []).flatMap(({ inputTokens, model, outputTokens }) => {
          const usage = Event.checkUsage({
            inputTokens: inputTokens ?? undefined,
            outputTokens: outputTokens ?? undefined
          })
          return usage === undefined
            ? []
            : [Event.make("usage", { ...usage, ...(typeof model === "string" ? { model } : {}) })]
        })
      case "TEXT_MESSAGE_END":
      case "RUN_ERROR":
        return []
    }
  }

  private say(messageId: string, delta: string) {
    if (messageId === this.textId) this.text += delta
    else {
      this.textId = messageId
      this.text = delta
    }
    const last: Json = Object(this.messages.at(-1))
    if (last["id"] === messageId && last["role"] === "assistant") {
      this.messages[this.messages.length - 1] = { ...last, content: String(last["content"] ?? "") + delta }
    } else this.messages.push({ id: messageId, role: "assistant", content: delta })
  }

  private begin(toolCallId: string, name: string): ReadonlyArray<Event.Event> {
    this.calls.set(toolCallId, { name, args: "", isSaid: false })
    return [Event.make("tool_call_start", { toolCallId, name })]
  }

  private extend(toolCallId: string, delta: string): ReadonlyArray<Event.Event> {
    const call = this.calls.get(toolCallId)
    if (call === undefined) return []
    call.args += delta
    return [Event.make("tool_call_delta", { toolCallId, delta })]
  }

  private endChunks(): ReadonlyArray<Event.Event> {
    const { chunked } = this
    this.chunked = undefined
    return chunked === undefined ? [] : this.finish(chunked)
  }

  /** The call belongs to the message of the assistant that made it, or is a message of its own. */
  private finish(toolCallId: string): ReadonlyArray<Event.Event> {
    const call = this.calls.get(toolCallId)
    if (call === undefined || call.isSaid) return []
    call.isSaid = true
    const made: Json = { id: toolCallId, type: "function", function: { name: call.name, arguments: call.args } }
    const last: Json = Object(this.messages.at(-1))
    if (last["role"] === "assistant") {
      const calls = Array.isArray(last["toolCalls"]) ? last["toolCalls"] : []
      this.messages[this.messages.length - 1] = { ...last, toolCalls: [...calls, made] }
    } else this.messages.push({ id: `${toolCallId}-call`, role: "assistant", toolCalls: [made] })
    this.textId = undefined
    return [Event.make("tool_call", { toolCallId, name: call.name, arguments: valueOf(call.args) })]
  }

  private answer(
    { content, messageId, toolCallId }: Extract<WireEvent, { readonly type: "TOOL_CALL_RESULT" }>
  ): ReadonlyArray<Event.Event> {
    const call = this.calls.get(toolCallId) ?? this.earlier(toolCallId)
    this.messages.push({ id: messageId, role: "tool", toolCallId, content })
    const name = call?.name ?? toolCallId
    return [
      Event.make("tool_start", { toolCallId, name, arguments: valueOf(call?.args ?? ""), origin: "framework" }),
      Event.make("tool_result", { toolCallId, name, result: valueOf(content), isError: false })
    ]
  }

  /** A call of an earlier exchange, whose approval this one carries. */
  private earlier(toolCallId: string): Pick<Call, "name" | "args"> | undefined {
    for (const message of this.messages.toReversed()) {
      const calls: ReadonlyArray<unknown> = Object(message).toolCalls ?? []
      const found = Object(calls.find((call) => Object(call).id === toolCallId)).function
      if (found !== undefined) return { name: String(found.name), args: String(found.arguments) }
    }
    return undefined
  }

  /** The name and the arguments of a call of the conversation. */
  callOf(toolCallId: string): { readonly name: string; readonly arguments: Schema.Json } | undefined {
    const call = this.earlier(toolCallId)
    return call === undefined ? undefined : { name: call.name, arguments: valueOf(call.args) }
  }
}

/** The state after a patch. One that does not apply changes nothing, as in the clients of AG-UI. */
const patched = (state: Schema.Json | undefined, delta: ReadonlyArray<Schema.Json>): Schema.Json | undefined => {
  const patch = decodePatch(delta)
  if (Option.isNone(patch)) return state
  try {
    return JsonPatch.apply(patch.value, state ?? {})
  } catch {
    return state
  }
}

/** JSON where the text is JSON. */
const valueOf = (content: Schema.Json): Schema.Json => {
  if (typeof content !== "string") return content
  if (content === "") return {}
  try {
    return JSON.parse(content)
  } catch {
    return content
  }
}
