// A run as an A2A task: its journal, applied from the beginning, gives the task and every update of it.
import * as Content from "@fastagentic/core/run/Content"
import { covers, type Data, type RunEvent } from "@fastagentic/core/run/Event"
import { changedAt, type RunRecord, type RunState } from "@fastagentic/core/run/RunRecord"
import { DateTime, Option, Schema } from "effect"
import { type ArtifactUpdate, TaskArtifacts } from "./A2aArtifacts.ts"
import * as A2aContent from "./A2aContent.ts"
import * as A2aMessage from "./A2aMessage.ts"
import { Message, type Part, type StreamResponse, type Task, type TaskState, type TaskStatus } from "./A2aSchema.ts"
import type { Skill } from "./A2aSkill.ts"

/** The task's context: the run's thread, or the run's id without one. */
export const contextIdOf = (run: RunRecord): string => run.threadId ?? run.runId

/**
 * A task as of `seq`.
 *
 * Streamed text is the artifact `output` if the agent's answer is a string, and `text` otherwise. An answer that is not a
 * string is the data part of the artifact `output`, or the parts of its content. Content that is said meanwhile is the artifact
 * of its name, or `content`. A message that is said is the message of the status until the next change.
 *
 * The history holds messages as they came, where the run keeps them: a run that another protocol started, or answered, has
 * messages that hold its payload or the answer.
 */
export class TaskView {
  seq = 0
  private status: TaskStatus
  private readonly history: Array<Message>
  private readonly questions = new Map<string, A2aMessage.Question>()
  /** All questions are decided, so the task is working, even while it is queued. */
  private isContinuing = false
  private readonly artifacts: TaskArtifacts
  /** The messages that the run has said, by their events. */
  private readonly said = new Map<RunEvent, Message>()
  /** The first half of a character whose second half is in the next token. */
  private half = ""
  /** The message that belongs to the end of the run. */
  private closing: Message | undefined
  private readonly run: RunRecord
  private readonly links: A2aContent.Links
  private readonly skill: Skill | undefined

  /** The last message of a caller came with the next answer or signal. */
  private isAnnounced = false
  /** When the task last changed, in milliseconds. */
  private changed: number

  /** The task of a run before its first event, with the message that it was started with if that is known. */
  constructor(run: RunRecord, skill: Skill | undefined, links: A2aContent.Links, message?: Message) {
    this.run = run
    this.links = links
    this.skill = skill
    this.artifacts = new TaskArtifacts(links, skill)
    this.status = { state: "TASK_STATE_SUBMITTED", timestamp: timestampOf(run.createdAt) }
    this.changed = run.createdAt
    const messageId = run.idempotencyKey?.startsWith("a2a:") === true ? run.idempotencyKey.slice(4) : `${run.runId}-0`
    this.history = [
      message === undefined
        ? this.message(messageId, "ROLE_USER", A2aMessage.fromPayload(skill, run.payload, links))
        : this.own(message)
    ]
  }

  /** The view has all events of this record, whose time of change holds. */
  asOf(run: RunRecord) {
    this.changed = Math.max(this.changed, changedAt(run))
  }

  /** The open questions of the run. */
  get open(): ReadonlyArray<A2aMessage.Question> {
    return [...this.questions.values()]
  }

  /** The task with its last messages, all of them by default. */
  task(historyLength?: number): Task {
    const artifacts = this.artifacts.all()
    const history = historyLength === undefined
      ? [...this.history]
      : this.history.slice(Math.max(0, this.history.length - historyLength))
    return {
      id: this.run.runId,
      contextId: contextIdOf(this.run),
      // Lists are in the order of this time: what a task gains while it works is a change of it.
      status: isEnd(this.status.state) ? this.status : { ...this.status, timestamp: timestampOf(this.changed) },
      ...(artifacts.length === 0 ? {} : { artifacts }),
      ...(history.length === 0 ? {} : { history }),
      metadata: { skillId: this.run.agent }
    }
  }

  /** The answer as a message alone, of a run that has completed. */
  answer(): Message {
    const parts = this.artifacts.answer()
    const { message } = this.status
    const said = parts.length > 0 ? parts : message?.parts ?? [{ text: "" }]
    const { taskId: _taskId, ...answer } = this.message(`${this.run.runId}-${this.seq}`, "ROLE_AGENT", said)
    return answer
  }

  /** Whether the run has completed, so that there is an answer. */
  get hasAnswer(): boolean {
    return this.status.state === "TASK_STATE_COMPLETED"
  }

  /** Applies the next events and returns the updates. `ended` is the final state of the run, if it has ended. */
  apply(events: ReadonlyArray<RunEvent>, ended: RunState | undefined): ReadonlyArray<StreamResponse> {
    const updates: Array<StreamResponse> = []
    let text = this.half
    this.half = ""
    let tokens: Array<Extract<RunEvent, { readonly type: "token" }>> = []
    const say = () => {
      if (text !== "") updates.push(this.updated(this.artifacts.say(text, tokens)))
      else this.artifacts.note(tokens)
      text = ""
      tokens = []
    }
    for (const event of events) {
      this.seq = event.seq
      this.changed = Math.max(this.changed, event.ts)
      if (event.type === "token") {
        text += event.data.delta
        tokens.push(event)
        if (text.length >= longestText && !isCut(text)) say()
      } else if (changes.has(event.type)) {
        say()
        this.change(event, ended, updates)
      }
    }
    // Tokens may cut a character in two: no update ends within it while another token may follow.
    if (isCut(text)) {
      this.half = text.slice(-1)
      text = text.slice(0, -1)
    }
    say()
    return updates
  }

  private change(event: RunEvent, ended: RunState | undefined, updates: Array<StreamResponse>) {
    switch (event.type) {
      case "content":
        updates.push(this.updated(this.artifacts.show(event)))
        break
      case "message":
        this.speak(event, updates)
        break
      case "superseded":
        for (const update of this.artifacts.supersede(event.data)) updates.push(this.updated(update))
        this.unsay(event, updates)
        break
      case "run_started":
        if (!this.isContinuing) updates.push(this.enter("TASK_STATE_WORKING", event))
        this.isContinuing = false
        break
      case "interrupt":
        this.questions.set(event.data.id, event.data)
        break
      case "run_suspended":
        if (event.data.reason === "interrupt") updates.push(this.ask(event))
        if (event.data.reason === "signal") {
          updates.push(this.enter("TASK_STATE_INPUT_REQUIRED", event, [{ text: "The task waits for a message." }]))
        }
        if (event.data.reason === "principal") {
          const { detail = "The task waits until its owner may act again." } = event.data
          updates.push(this.enter("TASK_STATE_AUTH_REQUIRED", event, [{ text: detail }]))
        }
        break
      case "message_received":
        this.receive(event, event.data.message)
        break
      case "signal":
        this.isAnnounced = false
        break
      case "interrupt_resolved":
        this.resolve(event, event.data)
        updates.push(this.questions.size > 0 ? this.ask(event) : this.enter("TASK_STATE_WORKING", event))
        this.isContinuing = this.questions.size === 0
        break
      case "done":
        for (const update of this.artifacts.finish(event.data.output)) updates.push(this.updated(update))
        updates.push(this.enter("TASK_STATE_COMPLETED", event, this.closing?.parts, this.closing?.messageId))
        break
      case "error": {
        const state = ended === "rejected" ? "TASK_STATE_REJECTED" : "TASK_STATE_FAILED"
        this.keepClosing()
        const { message, rule, tag, value = { _tag: tag, ...(rule === undefined ? {} : { rule }) } } = event.data
        updates.push(this.enter(state, event, [{ text: message }, { data: value }]))
        break
      }
      case "run_cancelled":
        this.keepClosing()
        updates.push(this.enter("TASK_STATE_CANCELED", event, [{ text: event.data.reason }]))
        break
    }
  }

  /** A message that the agent says is that of the status, now or at the end. */
  private speak(event: Extract<RunEvent, { readonly type: "message" }>, updates: Array<StreamResponse>) {
    const { content, last, messageId, parts = [], role } = event.data
    if (role !== "assistant") return
    const said = content === undefined ? parts.map(partOf) : A2aContent.toParts(content, this.links)
    if (said.length === 0) return
    if (last === true) {
      this.keepClosing()
      this.closing = this.message(messageId ?? `${this.run.runId}-${event.seq}`, "ROLE_AGENT", said)
      this.said.set(event, this.closing)
      return
    }
    updates.push(this.enter("TASK_STATE_WORKING", event, said, messageId))
    if (this.status.message !== undefined) this.said.set(event, this.status.message)
  }

  /** A run that does not complete has said its last message all the same. */
  private keepClosing() {
    if (this.closing === undefined) return
    this.remember(true)
    this.history.push(this.closing)
    this.closing = undefined
  }

  /** Takes back the messages that a later attempt of the run supersedes. */
  private unsay(event: Extract<RunEvent, { readonly type: "superseded" }>, updates: Array<StreamResponse>) {
    for (const [said, message] of this.said) {
      if (!covers(event.data, said)) continue
      this.said.delete(said)
      const at = this.history.indexOf(message)
      if (at >= 0) this.history.splice(at, 1)
      if (this.closing === message) this.closing = undefined
      if (this.status.message !== message) continue
      const { message: _message, ...status } = this.status
      this.status = status
      updates.push(this.enter("TASK_STATE_WORKING", event))
    }
  }

  private enter(
    state: TaskState,
    event: RunEvent,
    parts?: ReadonlyArray<Part>,
    messageId = `${this.run.runId}-${event.seq}`
  ): StreamResponse {
    this.remember()
    const message = parts === undefined ? undefined : this.message(messageId, "ROLE_AGENT", parts)
    this.status = { state, timestamp: timestampOf(event.ts), ...(message === undefined ? {} : { message }) }
    return { statusUpdate: { taskId: this.run.runId, contextId: contextIdOf(this.run), status: this.status } }
  }

  /** Moves the last message of the status to the history before the next change; what still holds stays in the status. */
  private remember(isKept = false) {
    const { message, ...rest } = this.status
    if (message === undefined) return
    if (!this.history.includes(message)) this.history.push(message)
    if (!isKept) this.status = rest
  }

  private ask(event: RunEvent) {
    return this.enter(
      this.open.every(({ kind }) => kind === "approval") ? "TASK_STATE_AUTH_REQUIRED" : "TASK_STATE_INPUT_REQUIRED",
      event,
      this.open.flatMap((question) => [
        {
          text: (question.message ??
            (question.tool === undefined ? question.name : `Approve the call of ${question.tool}?`)) +
            (question.url === undefined ? "" : `\n${question.url}`)
        },
        { data: question }
      ])
    )
  }

  private resolve(event: RunEvent, { by: _by, ...answer }: Data<"interrupt_resolved">) {
    this.questions.delete(answer.id)
    this.remember()
    const isSaid = this.isAnnounced
    this.isAnnounced = false
    if (!isSaid && answer.decision !== "expire" && answer.decision !== "withdraw") {
      this.history.push(this.message(`${this.run.runId}-${event.seq}`, "ROLE_USER", [{ data: answer }]))
    }
  }

  /** A message as it came. The first one takes the place of the payload. */
  private receive({ seq }: RunEvent, json: Schema.Json) {
    const message = Option.getOrUndefined(decodeMessage(json))
    if (message === undefined) return
    this.remember(true)
    if (seq === 2) this.history.splice(0, 1, this.own(message))
    else this.history.push(this.own(message))
    this.isAnnounced = seq !== 2
  }

  private own(message: Message): Message {
    const { links, run, skill } = this
    return {
      ...A2aMessage.withFiles(message, skill, run.payload, links),
      taskId: this.run.runId,
      contextId: contextIdOf(this.run)
    }
  }

  private message(messageId: string, role: Message["role"], parts: ReadonlyArray<Part>): Message {
    return { messageId, role, parts, taskId: this.run.runId, contextId: contextIdOf(this.run) }
  }

  private updated(update: ArtifactUpdate): StreamResponse {
    return { artifactUpdate: { taskId: this.run.runId, contextId: contextIdOf(this.run), ...update } }
  }
}

/** A part of a framework's message, which may be content. */
const partOf = (part: Schema.Json): Part =>
  Content.isContent(part) ? A2aContent.toPart(part, { urlOf: (id) => id }) : { data: part }

/** Whether a text ends within a character. */
const isCut = (text: string) => (text.charCodeAt(text.length - 1) & 0xfc00) === 0xd800

/** The length of the text of one update: clients of gRPC take messages of 4 MiB, and a letter has 3 bytes at most. */
const longestText = 1_000_000

const changes: ReadonlySet<string> = new Set([
  "content",
  "message",
  "superseded",
  "run_started",
  "interrupt",
  "interrupt_resolved",
  "message_received",
  "signal",
  "run_suspended",
  "done",
  "error",
  "run_cancelled"
])

const decodeMessage = Schema.decodeUnknownOption(Message)

const isEnd = (state: TaskState) => ends.has(state)

const ends: ReadonlySet<TaskState> = new Set([
  "TASK_STATE_COMPLETED",
  "TASK_STATE_FAILED",
  "TASK_STATE_CANCELED",
  "TASK_STATE_REJECTED"
])

const timestampOf = (millis: number) => DateTime.formatIso(DateTime.makeUnsafe(millis))
