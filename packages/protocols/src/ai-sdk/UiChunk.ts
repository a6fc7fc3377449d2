// The chunks of the AI SDK's UI message stream that answers are made of, and the parts of an answer as chunks.
import type { Failure } from "@fastagentic/core/run/Event"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import type { Schema } from "effect"
import { questionId } from "../chat/ChatIds.ts"
import type { ChatPart, Question } from "../chat/ChatPart.ts"
import { Pause } from "../chat/Pause.ts"
import type { Links } from "../internal/fileLinks.ts"
import * as UiContent from "./UiContent.ts"

/** A chunk; tools that the server calls are marked as executed, so that clients wait for their results. */
export type UiChunk = { readonly type: string; readonly [key: string]: Schema.Json }

const askPrefix = "ask."

/** The id of a call that stands for a question, which the client answers with its output. */
const callIdOf = (runId: string, interruptId: string): string => askPrefix + questionId(runId, interruptId)

/** The question that a call stands for; nothing for other calls. */
export const questionOf = (toolCallId: string): string | undefined =>
  toolCallId.startsWith(askPrefix) ? toolCallId.slice(askPrefix.length) : undefined

/** The id of the message that shows a turn of a run. */
export const messageIdOf = (runId: string, turn: number): string => turn === 0 ? runId : `${runId}-${turn}`

interface Options {
  readonly run: Pick<RunRecord, "runId" | "agent" | "threadId">
  /** The number of the event after which this turn of the run begins; 0 for the first. */
  readonly turn: number
  readonly links: Links
  readonly traceId: string
}

/** Writes the answer of a run as one message, or one for each of its turns. A decision begins a step of the message. */
export class UiWriter {
  private readonly options: Options
  private hasEnded = false
  /** A decision was taken: later parts are a step of their own, unless the step is empty. */
  private isNewStep = false
  private isEmptyStep = true
  private readonly pause = new Pause()

  constructor(options: Options) {
    this.options = options
  }

  start(): ReadonlyArray<UiChunk> {
    const { run: { agent, runId, threadId }, turn } = this.options
    const metadata = { runId, agent, ...(threadId === undefined ? {} : { threadId }) }
    return [{ type: "start", messageId: messageIdOf(runId, turn), messageMetadata: metadata }, { type: "start-step" }]
  }

  /** The end of a stream whose run has not ended: it waits for somebody. */
  end(): ReadonlyArray<UiChunk> {
    if (this.hasEnded) return []
    this.hasEnded = true
    const finishReason = this.pause.asks ? "tool-calls" : this.pause.awaitsMessage ? "stop" : "other"
    return [{ type: "finish-step" }, { type: "finish", finishReason }]
  }

  /** The error that ends a stream. */
  fail(failure: Failure): ReadonlyArray<UiChunk> {
    const { run: { runId }, traceId } = this.options
    this.hasEnded = true
    return failed(failure, { runId, traceId })
  }

  /** `decidable` holds the ids of the interrupts that the caller may decide. */
  write(parts: ReadonlyArray<ChatPart>, decidable: ReadonlySet<string>): ReadonlyArray<UiChunk> {
    return parts.flatMap((part) => {
      const chunks = this.chunksOf(part, decidable)
      if (chunks.length === 0) return chunks
      const begins = this.isNewStep && !this.isEmptyStep
      this.isNewStep = false
      this.isEmptyStep = false
      return begins ? [{ type: "finish-step" }, { type: "start-step" }, ...chunks] : chunks
    })
  }

  private chunksOf(part: ChatPart, decidable: ReadonlySet<string>): ReadonlyArray<UiChunk> {
    const { links, run } = this.options
    this.pause.add(part, decidable)
    switch (part._tag) {
      case "Start":
        return [{ type: `${part.kind}-start`, id: part.id }]
      case "Delta":
        return [{ type: `${part.kind}-delta`, id: part.id, delta: part.delta }]
      case "End":
        return [{ type: `${part.kind}-end`, id: part.id }]
      case "ToolStart":
        return [{
          type: "tool-input-start",
          toolCallId: part.toolCallId,
          toolName: part.name,
          ...(part.byClient ? {} : { providerExecuted: true })
        }]
      case "ToolDelta":
        return [{ type: "tool-input-delta", toolCallId: part.toolCallId, inputTextDelta: part.delta }]
      case "ToolInput":
        return [{
          type: "tool-input-available",
          toolCallId: part.standsFor === "input" ? callIdOf(run.runId, part.toolCallId) : part.toolCallId,
          toolName: part.name,
          input: part.input,
          ...(part.standsFor === "input" ? { dynamic: true } : {}),
          ...(part.byClient || (part.standsFor === "input" && decidable.has(part.toolCallId))
            ? {}
            : { providerExecuted: true })
        }]
      case "ToolProgress":
        return [{
          type: "tool-output-available",
          toolCallId: part.toolCallId,
          output: part.data,
          preliminary: true,
          providerExecuted: true
        }]
      case "ToolResult":
        return [resultOf(part, part.standsFor === "input" ? callIdOf(run.runId, part.toolCallId) : part.toolCallId)]
      case "Question":
        return this.ask(part.question, decidable.has(part.question.notice.id))
      case "Answered":
        this.isNewStep = true
        return []
      case "Content":
        return UiContent.toChunks(part.contents, part.id, links)
      case "State":
        return [{ type: "data-state", id: "state", data: part.state }]
      case "StatePatch":
        return [{ type: "data-state-patch", data: part.patch, transient: true }]
      case "Custom":
        return [{ type: `data-${part.name}`, data: part.value }]
      case "Reset":
        return [{ type: "reset-step" }]
      case "Stale":
        return [{ type: "data-superseded", data: { runId: run.runId }, transient: true }]
      case "Output":
        return [{ type: "data-output", id: "output", data: part.output }]
      case "Waiting":
        return [{
          type: "data-waiting",
          data: { reason: part.on.reason, ...(part.on.until === undefined ? {} : { until: part.on.until }) },
          transient: true
        }]
      case "Completed":
        this.hasEnded = true
        return [
          { type: "finish-step" },
          {
            type: "finish",
            finishReason: part.isCut ? "length" : "stop",
            ...(part.usage === undefined ? {} : { messageMetadata: { usage: { ...part.usage } } })
          }
        ]
      case "Failed":
        return this.fail(part.failure)
      case "Cancelled":
        this.hasEnded = true
        return [{ type: "abort", reason: part.reason }]
    }
  }

  /** An approval is a request of its call; anything else is a call that the client answers itself. */
  private ask({ byClient, notice, toolCallId }: Question, mayDecide: boolean): ReadonlyArray<UiChunk> {
    const approvalId = questionId(this.options.run.runId, notice.id)
    const { expiresAt, kind, message, name, risk, rule, url } = notice
    const about: UiChunk = {
      type: "data-approval",
      id: approvalId,
      data: {
        id: notice.id,
        name,
        mayDecide,
        ...(message === undefined ? {} : { message }),
        ...(url === undefined ? {} : { url }),
        ...(risk === undefined ? {} : { risk }),
        ...(rule === undefined ? {} : { rule }),
        ...(expiresAt === undefined ? {} : { expiresAt })
      }
    }
    if (byClient) return []
    return kind === "input" || !mayDecide ? [about] : [about, { type: "tool-approval-request", approvalId, toolCallId }]
  }
}

const resultOf = (
  { byClient, outcome, output }: Extract<ChatPart, { readonly _tag: "ToolResult" }>,
  toolCallId: string
): UiChunk => {
  const executed = byClient ? {} : { providerExecuted: true }
  switch (outcome) {
    case "ok":
      return { type: "tool-output-available", toolCallId, output, ...executed }
    case "error":
      return { type: "tool-output-error", toolCallId, errorText: textOf(output), ...executed }
    case "denied":
      return { type: "tool-output-denied", toolCallId }
  }
}

const textOf = (output: Schema.Json) => typeof output === "string" ? output : JSON.stringify(output)

/** The typed error for programs, and its message, which ends the stream. */
const failed = (
  { message, rule, status, tag, value }: Failure,
  subject: { readonly runId: string; readonly traceId: string }
): ReadonlyArray<UiChunk> => [
  {
    type: "data-error",
    data: {
      tag,
      message,
      status,
      ...(rule === undefined ? {} : { rule }),
      ...(value === undefined ? {} : { value }),
      ...subject
    },
    transient: true
  },
  { type: "error", errorText: message }
]
