// The parts of an answer as events of AG-UI 1.0.
import * as Content from "@fastagentic/core/run/Content"
import type { Failure, Usage } from "@fastagentic/core/run/Event"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import type { Schema } from "effect"
import { questionId } from "../chat/ChatIds.ts"
import type { ChatPart } from "../chat/ChatPart.ts"
import { Pause } from "../chat/Pause.ts"
import type { Links } from "../internal/fileLinks.ts"
import { partOf } from "./AgUiContent.ts"
import { interruptOf, isObject } from "./AgUiInterrupt.ts"
import type { RunAgentInput } from "./AgUiRequest.ts"

export type AgUiEvent = { readonly type: string; readonly [key: string]: Schema.Json }

/** The id of a pause that is no question: it names the event of the pause. */
export const waitPrefix = "wait-"

interface Options {
  readonly input: RunAgentInput
  readonly run: Pick<RunRecord, "runId" | "agent">
  readonly links: Links
  readonly traceId: string
}

/** Writes the answer of a run as an AG-UI run, whose ids are the client's. */
export class AgUiWriter {
  private readonly options: Options
  private hasEnded = false
  private readonly open = new Map<string, "text" | "reasoning">()
  /** The calls whose arguments are still written, and what was written of them. */
  private readonly calls = new Map<string, string>()
  private readonly pause = new Pause()

  constructor(options: Options) {
    this.options = options
  }

  start(): ReadonlyArray<AgUiEvent> {
    const { agent, runId } = this.options.run
    return [{ type: "RUN_STARTED", ...this.ids(), protocolVersion: "1.0", metadata: { runId, agent } }]
  }

  write(parts: ReadonlyArray<ChatPart>, decidable: ReadonlySet<string>): ReadonlyArray<AgUiEvent> {
    return parts.flatMap((part) => this.eventsOf(part, decidable))
  }

  /** The end of a stream whose run has not ended: it waits for somebody. */
  end(): ReadonlyArray<AgUiEvent> {
    if (this.hasEnded) return []
    this.hasEnded = true
    const { runId } = this.options.run
    const { asked, awaitsMessage, calls, on } = this.pause
    // An interrupt has to be resumed before the next message, and the result of a client's tool is one.
    if (awaitsMessage || (calls.length > 0 && asked.length === 0)) {
      return [...this.closeAll(), { type: "RUN_FINISHED", ...this.ids(), outcome: { type: "success" } }]
    }
    const interrupts = asked.map((one) => interruptOf(runId, one))
    const waiting = { id: questionId(runId, `${waitPrefix}${on?.seq ?? 0}`), reason: on?.on.reason ?? "other" }
    return [
      ...this.closeAll(),
      {
        type: "RUN_FINISHED",
        ...this.ids(),
        outcome: { type: "interrupt", interrupts: interrupts.length === 0 ? [waiting] : interrupts }
      }
    ]
  }

  /** The error that ends a stream. */
  fail({ message, rule, status, tag, value }: Failure): ReadonlyArray<AgUiEvent> {
    this.hasEnded = true
    const { run, traceId } = this.options
    return [{
      type: "RUN_ERROR",
      message,
      code: tag,
      metadata: {
        status,
        ...(rule === undefined ? {} : { rule }),
        ...(value === undefined ? {} : { error: value }),
        runId: run.runId,
        traceId
      }
    }]
  }

  private ids() {
    const { runId, threadId } = this.options.input
    return { threadId, runId }
  }

  private messageId(id: string) {
    return `${this.options.run.runId}-${id}`
  }

  private eventsOf(part: ChatPart, decidable: ReadonlySet<string>): ReadonlyArray<AgUiEvent> {
    this.pause.add(part, decidable)
    switch (part._tag) {
      case "Start":
        return this.openBlock(part)
      case "Delta":
        return [{
          type: part.kind === "text" ? "TEXT_MESSAGE_CONTENT" : "REASONING_MESSAGE_CONTENT",
          messageId: this.messageId(part.id),
          delta: part.delta
        }]
      case "End":
        return this.closeBlock(part.id)
      case "ToolStart":
        return this.openCall(part.toolCallId, part.name)
      case "ToolDelta":
        this.calls.set(part.toolCallId, (this.calls.get(part.toolCallId) ?? "") + part.delta)
        return [{ type: "TOOL_CALL_ARGS", toolCallId: part.toolCallId, delta: part.delta }]
      case "ToolInput":
        return part.standsFor === undefined ? this.endCall(part) : []
      case "ToolProgress":
        return [{
          type: "CUSTOM",
          name: "tool_progress",
          value: { toolCallId: part.toolCallId, data: part.data }
        }]
      case "ToolResult":
        return part.standsFor !== undefined || part.byClient ? [] : [{
          type: "TOOL_CALL_RESULT",
          messageId: this.messageId(`${part.toolCallId}-result`),
          toolCallId: part.toolCallId,
          role: "tool",
          content: typeof part.output === "string" ? part.output : JSON.stringify(part.output),
          ...(part.outcome === "ok" ? {} : { metadata: { outcome: part.outcome } })
        }]
      case "Content":
        return this.show(part.contents, part.id)
      case "State":
        return [{ type: "STATE_SNAPSHOT", snapshot: part.state }]
      case "StatePatch":
        return [
          part.patch.every(isOperation)
            ? { type: "STATE_DELTA", delta: part.patch }
            : { type: "CUSTOM", name: "state_delta", value: part.patch }
        ]
      case "Custom":
        return [{ type: "CUSTOM", name: part.name, value: part.value }]
      case "Reset":
        // The messages from before this run stay, and all that stands of this run comes again.
        return [...this.closeAll(), { type: "MESSAGES_SNAPSHOT", messages: this.options.input.messages }]
      case "Stale":
        return [{ type: "CUSTOM", name: "superseded", value: { runId: this.options.run.runId } }]
      case "Question":
      case "Answered":
      case "Output":
      case "Waiting":
        return []
      case "Completed":
        this.hasEnded = true
        return [...this.closeAll(), {
          type: "RUN_FINISHED",
          ...this.ids(),
          ...(part.output === null ? {} : { result: part.output }),
          outcome: { type: "success" },
          ...(part.isCut ? { metadata: { finishReason: "length" } } : {}),
          ...(part.usage === undefined ? {} : { usage: [usageOf(part.usage)] })
        }]
      case "Failed":
        return this.fail(part.failure)
      case "Cancelled":
        this.hasEnded = true
        return [...this.closeAll(), {
          type: "RUN_FINISHED",
          ...this.ids(),
          outcome: { type: "cancelled" },
          metadata: { reason: part.reason }
        }]
    }
  }

  private openBlock({ id, kind }: { readonly id: string; readonly kind: "text" | "reasoning" }) {
    const messageId = this.messageId(id)
    this.open.set(id, kind)
    return kind === "text"
      ? [{ type: "TEXT_MESSAGE_START", messageId, role: "assistant" }]
      : [
        { type: "REASONING_START", messageId },
        { type: "REASONING_MESSAGE_START", messageId, role: "reasoning" }
      ]
  }

  private closeBlock(id: string): ReadonlyArray<AgUiEvent> {
    const messageId = this.messageId(id)
    const kind = this.open.get(id)
    this.open.delete(id)
    return kind === "text"
      ? [{ type: "TEXT_MESSAGE_END", messageId }]
      : [{ type: "REASONING_MESSAGE_END", messageId }, { type: "REASONING_END", messageId }]
  }

  private closeAll(): ReadonlyArray<AgUiEvent> {
    const events = [
      ...[...this.open.keys()].flatMap((id) => this.closeBlock(id)),
      ...Array.from(this.calls.keys(), (toolCallId) => ({ type: "TOOL_CALL_END", toolCallId }))
    ]
    this.calls.clear()
    return events
  }

  private openCall(toolCallId: string, toolCallName: string): ReadonlyArray<AgUiEvent> {
    this.calls.set(toolCallId, "")
    return [{ type: "TOOL_CALL_START", toolCallId, toolCallName }]
  }

  /** A call has its arguments once; those that a hook has changed afterwards are the server's matter. */
  private endCall(
    { input, name, toolCallId }: Extract<ChatPart, { readonly _tag: "ToolInput" }>
  ): ReadonlyArray<AgUiEvent> {
    const started = this.calls.has(toolCallId) ? [] : this.openCall(toolCallId, name)
    const said = this.calls.get(toolCallId) ?? ""
    this.calls.delete(toolCallId)
    return [
      ...started,
      ...(said === "" ? [{ type: "TOOL_CALL_ARGS", toolCallId, delta: JSON.stringify(input) }] : []),
      { type: "TOOL_CALL_END", toolCallId }
    ]
  }

  /** Messages of the assistant are text: other content is an activity. */
  private show(contents: Content.List, id: string): ReadonlyArray<AgUiEvent> {
    const { urlOf } = this.options.links
    const text = Content.textOf(contents)
    const others = contents.filter(({ type }) => type !== "text")
    const messageId = this.messageId(`${id}-text`)
    return [
      ...(text === "" ? [] : [
        { type: "TEXT_MESSAGE_START", messageId, role: "assistant" },
        { type: "TEXT_MESSAGE_CONTENT", messageId, delta: text },
        { type: "TEXT_MESSAGE_END", messageId }
      ]),
      ...(others.length === 0 ? [] : [{
        type: "ACTIVITY_SNAPSHOT",
        messageId: this.messageId(id),
        activityType: "content",
        content: { parts: others.map((one) => partOf(one, urlOf)) }
      }])
    ]
  }
}

const operations: ReadonlySet<unknown> = new Set(["add", "remove", "replace", "move", "copy", "test"])

/** Clients end a run over a patch that is none. */
const isOperation = (value: Schema.Json): boolean =>
  isObject(value) && operations.has(value["op"]) && /^(\/([^/~]|~[01])*)*$/u.test(String(value["path"]))

const usageOf = (
  { cacheReadTokens, cacheWriteTokens, inputTokens, outputTokens, reasoningTokens }: Usage
): { readonly [key: string]: number } => ({
  inputTokens,
  outputTokens,
  totalTokens: inputTokens + outputTokens,
  ...(cacheReadTokens === undefined ? {} : { cachedInputTokens: cacheReadTokens }),
  ...(cacheWriteTokens === undefined ? {} : { cacheWriteInputTokens: cacheWriteTokens }),
  ...(reasoningTokens === undefined ? {} : { reasoningTokens })
})
