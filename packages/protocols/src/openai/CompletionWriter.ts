// The parts of an answer as a chat completion of OpenAI: one message, or its chunks.
import type { Failure, Usage } from "@fastagentic/core/run/Event"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import { questionId } from "../chat/ChatIds.ts"
import type { ChatPart, Question } from "../chat/ChatPart.ts"
import { type Asked, Pause } from "../chat/Pause.ts"
import type { Links } from "../internal/fileLinks.ts"
import { AnswerText } from "./AnswerText.ts"
import * as OpenAiError from "./OpenAiError.ts"

type FinishReason = "stop" | "length" | "tool_calls"

interface Options {
  readonly run: Pick<RunRecord, "runId" | "agent" | "createdAt">
  readonly links: Links
  readonly traceId: string
  readonly includesUsage: boolean
}

export class CompletionWriter {
  private readonly options: Options
  private readonly text: AnswerText
  private content = ""
  private reasoning = ""
  private usage: Usage | undefined
  private readonly pause = new Pause()
  private hasCompleted = false
  private finishReason: FinishReason = "stop"
  private toolCalls: ReadonlyArray<object> = []
  /** The failure of the run, if it has failed. */
  failure: Failure | undefined

  constructor(options: Options) {
    this.options = options
    this.text = new AnswerText(options.links)
  }

  start() {
    return [this.chunk({ role: "assistant", content: "" })]
  }

  /** The chunks of parts; the last one of a run that fails is an error. */
  write(parts: ReadonlyArray<ChatPart>, decidable: ReadonlySet<string>): ReadonlyArray<object> {
    return parts.flatMap((part) => {
      if (this.failure !== undefined) return []
      this.pause.add(part, decidable)
      switch (part._tag) {
        case "Delta":
          if (part.kind === "reasoning") {
            this.reasoning += part.delta
            return [this.chunk({ reasoning_content: part.delta })]
          }
          return this.say(this.text.add(part))
        case "Reset":
        case "Stale":
          return this.fail(OpenAiError.superseded)
        case "Completed":
          this.usage = part.usage
          this.hasCompleted = true
          if (part.isCut) this.finishReason = "length"
          return []
        case "Failed":
          return this.fail(part.failure)
        case "Cancelled":
          return this.fail(OpenAiError.cancelled(part.reason))
        default:
          return this.say(this.text.add(part))
      }
    })
  }

  /** A run that pauses says its questions, because this wire has nothing else for them; any other wait is an error. */
  end(): ReadonlyArray<object> {
    if (this.failure !== undefined) return []
    const { run: { runId } } = this.options
    if (!this.hasCompleted && !this.pause.asks && !this.pause.awaitsMessage) {
      return this.fail(OpenAiError.waits(runId, this.pause.on?.on))
    }
    const { asked: questions, calls } = this.pause
    const asked = questions.map((one) => askOf(runId, one)).join("\n\n")
    this.toolCalls = calls.map(({ notice }) => ({
      id: questionId(runId, notice.id),
      type: "function",
      function: { name: notice.tool ?? notice.name, arguments: JSON.stringify(notice.arguments ?? {}) }
    }))
    if (this.toolCalls.length > 0 && questions.length === 0) this.finishReason = "tool_calls"
    const said = asked === "" ? [] : this.say(`${this.content === "" ? "" : "\n\n"}${asked}`)
    return [
      ...said,
      ...(this.toolCalls.length === 0
        ? []
        : [this.chunk({ tool_calls: this.toolCalls.map((call, index) => ({ index, ...call })) })]),
      this.chunk({}, this.finishReason),
      ...(this.options.includesUsage
        ? [{ ...this.envelope("chat.completion.chunk"), choices: [], usage: this.spent() }]
        : [])
    ]
  }

  fail(failure: Failure): ReadonlyArray<object> {
    this.failure = failure
    const { run: { runId }, traceId } = this.options
    return [{ error: OpenAiError.ofFailure(failure, { runId, traceId }) }]
  }

  /** The whole completion. */
  completion() {
    return {
      ...this.envelope("chat.completion"),
      choices: [{
        index: 0,
        message: {
          role: "assistant",
          content: this.content,
          refusal: null,
          ...(this.toolCalls.length === 0 ? {} : { tool_calls: this.toolCalls }),
          ...(this.reasoning === "" ? {} : { reasoning_content: this.reasoning })
        },
        logprobs: null,
        finish_reason: this.finishReason
      }],
      usage: this.spent()
    }
  }

  private say(text: string): ReadonlyArray<object> {
    if (text === "") return []
    this.content += text
    return [this.chunk({ content: text })]
  }

  private chunk(delta: object, finishReason: FinishReason | null = null) {
    return {
      ...this.envelope("chat.completion.chunk"),
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }]
    }
  }

  private envelope(object: string) {
    const { agent, createdAt, runId } = this.options.run
    return { id: `chatcmpl-${runId}`, object, created: Math.floor(createdAt / 1_000), model: agent }
  }

  private spent() {
    const { cacheReadTokens = 0, inputTokens = 0, outputTokens = 0, reasoningTokens = 0 } = this.usage ?? {}
    return {
      prompt_tokens: inputTokens,
      completion_tokens: outputTokens,
      total_tokens: inputTokens + outputTokens,
      prompt_tokens_details: { cached_tokens: cacheReadTokens },
      completion_tokens_details: { reasoning_tokens: reasoningTokens }
    }
  }
}

/** A question with the way to answer it; of one that somebody else decides only that the run waits for it. */
const askOf = (runId: string, { mayDecide, question: { notice } }: Asked): string => {
  if (!mayDecide) return waitsForOthers(notice)
  const { arguments: args, id, kind, message, name, tool, url } = notice
  const about = message ?? (tool === undefined ? name : `${tool} asks for approval`)
  const exact = (args === undefined ? "" : `: ${JSON.stringify(args)}`) + (url === undefined ? "" : `: ${url}`)
  const how = kind === "approval"
    ? "Answer approve or deny in this thread"
    : "Answer in this thread"
  return `${about}${exact}. ${how}, or POST /runs/${runId}/interrupts/${id}.`
}

/** The words about a question that the reader may not decide. */
export const waitsForOthers = ({ message, name, tool }: Question["notice"]): string =>
  `${message ?? tool ?? name}: the run waits for a decision of somebody else.`
