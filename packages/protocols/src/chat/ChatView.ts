// Turns the journal of a run into the parts of a chat answer, in order: the AI SDK, AG-UI and OpenAI encoders write them.
// A reset takes back all since the mark when a later attempt supersedes a part of it, and the rest comes again; `Stale` says
// that something before the mark was superseded, which only a stream from the beginning can show.
import * as ClientTools from "@fastagentic/core/run/ClientTools"
import { covers, type Data, isSaid, type RunEvent } from "@fastagentic/core/run/Event"
import type { Schema } from "effect"
import type { ChatPart, Question, StandsFor } from "./ChatPart.ts"
import { Said } from "./Said.ts"

interface Block {
  readonly kind: "text" | "reasoning"
  readonly id: string
  readonly source: string
}

/** The answer of one run, up to the events that were applied. */
export class ChatView {
  /** The number of the last event that was applied. */
  seq = 0
  private readonly answer: Said
  private readonly blocks = new Map<string, Block>()
  private readonly tools = new Set<string>()
  /** The names of the client's tools, the calls of this part of the answer, and the results that the client has given. */
  private clientTools: ReadonlySet<string> = new Set()
  private readonly calls = new Set<string>()
  private readonly given = new Set<string>()
  private readonly questions = new Map<string, Question>()
  /** The words of the handler since the last mark, as they stand. */
  private said: Array<RunEvent> = []
  private toolsBefore: ReadonlyArray<string> = []
  private marked = 0
  /** Why the last message of a model ended. */
  private finishReason: string | undefined

  readonly takesMessages: boolean

  /** `takesMessages` says whether a message of the chat may be what the run waits for. */
  constructor(answersContent: boolean, takesMessages: boolean) {
    this.answer = new Said(answersContent)
    this.takesMessages = takesMessages
  }

  /** Ends what a reset can take back: only later parts are. */
  mark() {
    this.said = []
    this.answer.mark()
    this.toolsBefore = [...this.tools]
    this.calls.clear()
    this.marked = this.seq
  }

  /** The questions that are open. */
  get open(): ReadonlyArray<Question> {
    return [...this.questions.values()]
  }

  /** Applies events and gives the parts that they add, at the end of a page with whole deltas. */
  apply(events: ReadonlyArray<RunEvent>): ReadonlyArray<ChatPart> {
    const parts: Array<ChatPart> = []
    for (const event of events) {
      this.seq = event.seq
      if (event.type === "superseded" && !isSaid(event)) this.supersede(event.data, parts)
      else if (isSaid(event)) {
        if (visible.has(event.type)) this.said.push(event)
        this.say(event, parts)
      } else this.change(event, parts)
    }
    return parts
  }

  private supersede(range: Data<"superseded">, parts: Array<ChatPart>) {
    const left = this.said.filter((event) => !covers(range, event))
    if (range.from <= this.marked) parts.push({ _tag: "Stale" })
    if (left.length === this.said.length) return
    parts.push({ _tag: "Reset" })
    this.answer.takeBack()
    this.finishReason = undefined
    this.blocks.clear()
    this.tools.clear()
    for (const toolCallId of this.toolsBefore) this.tools.add(toolCallId)
    this.said = left
    for (const event of left) this.say(event, parts)
    for (const question of this.questions.values()) this.ask(question.notice, parts)
  }

  private say(event: RunEvent, parts: Array<ChatPart>) {
    const place = event.place ?? ""
    if (event.type === "token" || event.type === "reasoning_delta") {
      const { blockId, delta, messageId } = event.data
      const kind = event.type === "token" ? "text" : "reasoning"
      this.write(place, kind, `${messageId ?? ""} ${blockId ?? ""}`, `${kind}-${event.seq}`, delta, parts)
      return
    }
    if (event.type === "message_end") this.finishReason = event.data.finishReason
    if (!closing.has(event.type)) return this.note(event, parts)
    this.close(place, parts)
    this.tool(event, parts)
  }

  private write(
    place: string,
    kind: Block["kind"],
    source: string,
    id: string,
    delta: string,
    parts: Array<ChatPart>
  ) {
    if (delta === "") return
    if (kind === "text") this.answer.add(delta)
    const open = this.blocks.get(place)
    if (open?.kind === kind && open.source === source) {
      const last = parts.at(-1)
      if (last?._tag === "Delta" && last.id === open.id) {
        parts[parts.length - 1] = { ...last, delta: last.delta + delta }
      } else parts.push({ _tag: "Delta", kind, id: open.id, delta })
      return
    }
    this.close(place, parts)
    this.blocks.set(place, { kind, id, source })
    parts.push({ _tag: "Start", kind, id }, { _tag: "Delta", kind, id, delta })
  }

  private close(place: string, parts: Array<ChatPart>) {
    const open = this.blocks.get(place)
    if (open === undefined) return
    this.blocks.delete(place)
    parts.push({ _tag: "End", kind: open.kind, id: open.id })
  }

  private closeAll(parts: Array<ChatPart>) {
    for (const place of this.blocks.keys()) this.close(place, parts)
  }

  private tool(event: RunEvent, parts: Array<ChatPart>) {
    switch (event.type) {
      case "tool_call_start":
        this.tools.add(event.data.toolCallId)
        parts.push({
          _tag: "ToolStart",
          toolCallId: event.data.toolCallId,
          name: event.data.name,
          byClient: this.clientTools.has(event.data.name)
        })
        break
      case "tool_call":
      case "tool_start": {
        const { arguments: input, name, toolCallId } = event.data
        // The call of a model is followed by the start of its tool, whose arguments a hook may have changed.
        if (event.type === "tool_start" && this.tools.has(toolCallId) && event.data.modified !== true) break
        this.tools.add(toolCallId)
        this.call(toolCallId, name, input, undefined, parts)
        break
      }
      case "tool_result": {
        const { denied, isError, name, result, toolCallId } = event.data
        if (!this.tools.has(toolCallId)) {
          this.tools.add(toolCallId)
          this.call(toolCallId, name, {}, undefined, parts)
        }
        const outcome = denied === true ? "denied" : isError ? "error" : "ok"
        const byClient = this.given.has(toolCallId)
        parts.push({ _tag: "ToolResult", toolCallId, outcome, output: result, standsFor: undefined, byClient })
        break
      }
      case "content":
        if (event.data.content !== undefined) parts.push(...this.answer.show(event.seq, event.data.content))
        break
    }
  }

  private call(
    toolCallId: string,
    name: string,
    input: Schema.Json,
    standsFor: StandsFor,
    parts: Array<ChatPart>
  ) {
    this.calls.add(toolCallId)
    const byClient = standsFor === undefined && this.clientTools.has(name)
    parts.push({ _tag: "ToolInput", toolCallId, name, input, standsFor, byClient })
  }

  private note(event: RunEvent, parts: Array<ChatPart>) {
    switch (event.type) {
      case "tool_call_delta":
        if (this.tools.has(event.data.toolCallId)) parts.push({ _tag: "ToolDelta", ...event.data })
        break
      case "tool_progress":
        if (this.tools.has(event.data.toolCallId)) {
          const { data, progress, toolCallId } = event.data
          parts.push({ _tag: "ToolProgress", toolCallId, data: data ?? progress ?? null })
        }
        break
      case "state_snapshot":
        parts.push({ _tag: "State", state: event.data.state })
        break
      case "state_delta":
        parts.push({ _tag: "StatePatch", patch: event.data.patch })
        break
      case "custom":
        parts.push({ _tag: "Custom", ...event.data })
        break
    }
  }

  private change(event: RunEvent, parts: Array<ChatPart>) {
    switch (event.type) {
      case "message_received":
        if (event.seq === 2) {
          this.clientTools = new Set(ClientTools.inMessage(event.data.message).tools.map(({ name }) => name))
        }
        break
      case "interrupt":
        this.ask(event.data, parts)
        break
      case "interrupt_resolved": {
        const question = this.questions.get(event.data.id)
        if (question === undefined) break
        this.questions.delete(event.data.id)
        if (question.byClient) this.given.add(question.toolCallId)
        parts.push({ _tag: "Answered", question, answer: event.data })
        // No tool follows that would end the call which stands for the question.
        if (question.notice.toolCallId === undefined) parts.push(resultOf(question, event.data))
        break
      }
      case "run_suspended":
        this.closeAll(parts)
        parts.push({
          _tag: "Waiting",
          on: event.data,
          seq: event.seq,
          forMessage: this.takesMessages && event.data.reason === "signal"
        })
        break
      case "done": {
        const { output, usage } = event.data
        this.closeAll(parts)
        const rest = this.answer.rest(event.seq, output)
        const isCut = rest.length === 0 && this.finishReason === "length"
        parts.push(...rest, { _tag: "Completed", output, usage, isCut })
        break
      }
      case "error":
        this.closeAll(parts)
        parts.push({ _tag: "Failed", failure: event.data })
        break
      case "run_cancelled":
        this.closeAll(parts)
        parts.push({ _tag: "Cancelled", reason: event.data.reason })
        break
    }
  }

  private ask(notice: Data<"interrupt">, parts: Array<ChatPart>) {
    const isTool = notice.toolCallId !== undefined
    const toolCallId = notice.toolCallId ?? notice.id
    const byClient = ClientTools.isCall(notice)
    const question = { notice, toolCallId, byClient }
    this.questions.set(notice.id, question)
    // A call that was approved first is run by a client that has begun another stream.
    if (!this.tools.has(toolCallId) || (byClient && !this.calls.has(toolCallId))) {
      this.tools.add(toolCallId)
      const { arguments: args, message, responseSchema, url } = notice
      const input = isTool ? args ?? {} : {
        ...(message === undefined ? {} : { message }),
        ...(url === undefined ? {} : { url }),
        ...(args === undefined ? {} : { arguments: args }),
        ...(responseSchema === undefined ? {} : { responseSchema })
      }
      const standsFor = notice.toolCallId === undefined ? notice.kind : undefined
      this.call(toolCallId, notice.tool ?? notice.name, input, standsFor, parts)
    }
    parts.push({ _tag: "Question", question })
  }
}

const resultOf = (
  { notice, toolCallId }: Question,
  { decision, reason, value }: Data<"interrupt_resolved">
): ChatPart => ({
  _tag: "ToolResult",
  toolCallId,
  outcome: decision === "approve" || decision === "edit" || value !== undefined ? "ok" : "denied",
  output: value ?? (reason === undefined ? { decision } : { decision, reason }),
  standsFor: notice.toolCallId === undefined ? notice.kind : undefined,
  byClient: false
})

/** The events before which the open text of their place ends. */
const closing: ReadonlySet<string> = new Set([
  "message_start",
  "message_end",
  "tool_call_start",
  "tool_call",
  "tool_start",
  "tool_result",
  "content"
])

/** The events of a handler that an answer shows. */
const visible: ReadonlySet<string> = new Set([
  ...closing,
  "token",
  "reasoning_delta",
  "tool_call_delta",
  "tool_progress",
  "state_snapshot",
  "state_delta",
  "custom"
])
