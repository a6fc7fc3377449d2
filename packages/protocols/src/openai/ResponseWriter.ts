// The parts of an answer as a response of OpenAI's Responses API: its items, and the events that build them.
import type { Failure, Usage } from "@fastagentic/core/run/Event"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import type { Schema } from "effect"
import { questionId } from "../chat/ChatIds.ts"
import type { ChatPart, Question } from "../chat/ChatPart.ts"
import { Pause } from "../chat/Pause.ts"
import type { Links } from "../internal/fileLinks.ts"
import { AnswerText } from "./AnswerText.ts"
import { waitsForOthers } from "./CompletionWriter.ts"
import * as OpenAiError from "./OpenAiError.ts"

interface Options {
  readonly id: string
  readonly run: Pick<RunRecord, "runId" | "agent" | "createdAt" | "threadId">
  readonly previous: string | undefined
  readonly metadata: { readonly [key: string]: string }
  readonly background: boolean
  readonly links: Links
  readonly traceId: string
}

type Json = { readonly [key: string]: Schema.Json }
type Status = "in_progress" | "completed" | "failed" | "cancelled" | "incomplete"
type Tool = Extract<ChatPart, { readonly _tag: "ToolInput" }>

/** A text or a summary that is still written. */
interface Open {
  readonly index: number
  readonly kind: "text" | "reasoning"
  readonly itemId: string
  text: string
}

export class ResponseWriter {
  private readonly options: Options
  private readonly items: Array<Json> = []
  private readonly open = new Map<string, Open>()
  private readonly calls = new Map<string, Tool>()
  private readonly text: AnswerText
  private sequence = 0
  private usage: Usage | undefined
  private readonly pause = new Pause()
  private status: Status = "in_progress"
  private isCut = false
  /** The failure of the run, if it has failed. */
  failure: Failure | undefined

  constructor(options: Options) {
    this.options = options
    this.text = new AnswerText(options.links)
  }

  start(): ReadonlyArray<Json> {
    return [
      this.event("response.created", { response: this.response() }),
      this.event("response.in_progress", { response: this.response() })
    ]
  }

  write(parts: ReadonlyArray<ChatPart>, decidable: ReadonlySet<string>): ReadonlyArray<Json> {
    return parts.flatMap((part) => this.status === "in_progress" ? this.eventsOf(part, decidable) : [])
  }

  /** A run that waits for decisions has answered with its questions; one that waits for anything else is incomplete. */
  end(): ReadonlyArray<Json> {
    return this.status === "in_progress"
      ? this.finish(this.pause.asks || this.pause.awaitsMessage ? "completed" : "incomplete")
      : []
  }

  /** The error that ends a stream whose run works on. */
  refuse(failure: Failure): ReadonlyArray<Json> {
    this.status = "failed"
    const { type: _type, ...error } = this.errorOf(failure)
    return [this.event("error", error)]
  }

  /** The response as it stands. */
  response(): Json {
    const { background, id, metadata, previous, run } = this.options
    return {
      id,
      object: "response",
      created_at: Math.floor(run.createdAt / 1_000),
      status: this.status,
      background,
      error: this.failure === undefined ? null : this.errorOf(this.failure),
      incomplete_details: this.status === "incomplete"
        ? { reason: this.isCut ? "max_output_tokens" : "waiting" }
        : null,
      instructions: null,
      max_output_tokens: null,
      metadata,
      model: run.agent,
      output: [...this.items],
      parallel_tool_calls: true,
      previous_response_id: previous ?? null,
      conversation: run.threadId === undefined ? null : { id: run.threadId },
      reasoning: null,
      temperature: null,
      text: { format: { type: "text" } },
      tool_choice: "auto",
      tools: [],
      top_p: null,
      truncation: "disabled",
      usage: this.usage === undefined ? null : usageOf(this.usage)
    }
  }

  private errorOf(failure: Failure): Json {
    const { run: { runId }, traceId } = this.options
    return OpenAiError.ofFailure(failure, { runId, traceId })
  }

  private event(type: string, fields: Json): Json {
    return { type, sequence_number: this.sequence++, ...fields }
  }

  private finish(status: Exclude<Status, "in_progress">): ReadonlyArray<Json> {
    const closed = [...this.open.keys()].flatMap((id) => this.close(id))
    this.status = status
    const type = status === "cancelled" ? "response.incomplete" : `response.${status}`
    return [...closed, this.event(type, { response: this.response() })]
  }

  private eventsOf(part: ChatPart, decidable: ReadonlySet<string>): ReadonlyArray<Json> {
    this.pause.add(part, decidable)
    switch (part._tag) {
      case "Start":
        return this.begin(part.id, part.kind)
      case "Delta":
        this.text.add(part)
        return this.extend(part.id, part.delta)
      case "End":
        return this.close(part.id)
      case "ToolInput":
        this.calls.set(part.toolCallId, part)
        return []
      case "ToolResult":
        return part.standsFor !== undefined || part.byClient ? [] : this.called(part)
      case "Question":
        return this.ask(part.question, decidable.has(part.question.notice.id))
      case "Content":
      case "Output":
        return this.message(this.text.add(part).trimStart())
      case "Reset":
      case "Stale":
        this.failure = OpenAiError.superseded
        return this.finish("failed")
      case "Completed":
        this.usage = part.usage
        this.isCut = part.isCut
        return this.finish(part.isCut ? "incomplete" : "completed")
      case "Failed":
        this.failure = part.failure
        return this.finish("failed")
      case "Cancelled":
        return this.finish("cancelled")
      default:
        return []
    }
  }

  private itemId(prefix: string, id: string) {
    return `${prefix}_${this.options.run.runId}-${id}`
  }

  private begin(id: string, kind: Open["kind"]): ReadonlyArray<Json> {
    const index = this.items.length
    const itemId = this.itemId(kind === "text" ? "msg" : "rs", id)
    this.open.set(id, { index, kind, itemId, text: "" })
    const item: Json = kind === "text"
      ? { type: "message", id: itemId, status: "in_progress", role: "assistant", content: [] }
      : { type: "reasoning", id: itemId, summary: [] }
    this.items.push(item)
    const at = { item_id: itemId, output_index: index }
    return [
      this.event("response.output_item.added", { output_index: index, item }),
      kind === "text"
        ? this.event("response.content_part.added", { ...at, content_index: 0, part: outputText("") })
        : this.event("response.reasoning_summary_part.added", { ...at, summary_index: 0, part: summaryText("") })
    ]
  }

  private extend(id: string, delta: string): ReadonlyArray<Json> {
    const open = this.open.get(id)
    if (open === undefined) return []
    open.text += delta
    const at = { item_id: open.itemId, output_index: open.index, delta }
    return [
      open.kind === "text"
        ? this.event("response.output_text.delta", { ...at, content_index: 0, logprobs: [] })
        : this.event("response.reasoning_summary_text.delta", { ...at, summary_index: 0 })
    ]
  }

  private close(id: string): ReadonlyArray<Json> {
    const open = this.open.get(id)
    if (open === undefined) return []
    this.open.delete(id)
    const { index, itemId, kind, text } = open
    const at = { item_id: itemId, output_index: index }
    const item: Json = kind === "text"
      ? { type: "message", id: itemId, status: "completed", role: "assistant", content: [outputText(text)] }
      : { type: "reasoning", id: itemId, summary: [summaryText(text)] }
    this.items[index] = item
    return [
      ...(kind === "text"
        ? [
          this.event("response.output_text.done", { ...at, content_index: 0, text, logprobs: [] }),
          this.event("response.content_part.done", { ...at, content_index: 0, part: outputText(text) })
        ]
        : [
          this.event("response.reasoning_summary_text.done", { ...at, summary_index: 0, text }),
          this.event("response.reasoning_summary_part.done", { ...at, summary_index: 0, part: summaryText(text) })
        ]),
      this.event("response.output_item.done", { output_index: index, item })
    ]
  }

  private message(text: string): ReadonlyArray<Json> {
    const id = `part-${this.items.length}`
    return text === "" ? [] : [...this.begin(id, "text"), ...this.extend(id, text), ...this.close(id)]
  }

  private add(item: Json): ReadonlyArray<Json> {
    const index = this.items.length
    this.items.push(item)
    return [
      this.event("response.output_item.added", { output_index: index, item }),
      this.event("response.output_item.done", { output_index: index, item })
    ]
  }

  /** Tools that the server calls are those of a server that the agent names, as OpenAI shows them. */
  private called(
    { outcome, output, toolCallId }: Extract<ChatPart, { readonly _tag: "ToolResult" }>
  ): ReadonlyArray<Json> {
    const call = this.calls.get(toolCallId)
    const text = typeof output === "string" ? output : JSON.stringify(output)
    return this.add({
      type: "mcp_call",
      id: this.itemId("mcp", toolCallId),
      server_label: this.options.run.agent,
      name: call?.name ?? toolCallId,
      arguments: JSON.stringify(call?.input ?? {}),
      output: outcome === "ok" ? text : null,
      error: outcome === "ok" ? null : outcome === "denied" ? "denied" : text,
      status: outcome === "ok" ? "completed" : "failed",
      approval_request_id: null
    })
  }

  private ask({ notice, toolCallId }: Question, mayDecide: boolean): ReadonlyArray<Json> {
    const { run } = this.options
    const id = questionId(run.runId, notice.id)
    const input = JSON.stringify(this.calls.get(toolCallId)?.input ?? notice.arguments ?? {})
    const name = notice.tool ?? notice.name
    if (!mayDecide) return this.message(waitsForOthers(notice))
    return this.add(
      notice.kind === "approval"
        ? { type: "mcp_approval_request", id, server_label: run.agent, name, arguments: input }
        : {
          type: "function_call",
          id: this.itemId("fc", notice.id),
          call_id: id,
          name,
          arguments: input,
          status: "completed"
        }
    )
  }
}

const outputText = (text: string): Json => ({ type: "output_text", text, annotations: [], logprobs: [] })
const summaryText = (text: string): Json => ({ type: "summary_text", text })

const usageOf = ({ cacheReadTokens = 0, inputTokens, outputTokens, reasoningTokens = 0 }: Usage): Json => ({
  input_tokens: inputTokens,
  input_tokens_details: { cached_tokens: cacheReadTokens },
  output_tokens: outputTokens,
  output_tokens_details: { reasoning_tokens: reasoningTokens },
  total_tokens: inputTokens + outputTokens
})
