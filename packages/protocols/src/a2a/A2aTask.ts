// A run as an A2A task: its journal, applied from the beginning, gives the task and every update of it.
import * as Content from "@fastagentic/core/run/Content"
import { covers, type Data, type RunEvent } from "@fastagentic/core/run/Event"
import { changedAt, type RunRecord, type RunState } from "@fastagentic/core/run/RunRecord"
import { DateTime, Option, Schema } from "effect"
import * as A2aContent from "./A2aContent.ts"
import * as A2aMessage from "./A2aMessage.ts"
import {
  type Artifact,
  Message,
  type Part,
  type StreamResponse,
  type Task,
  type TaskState,
  type TaskStatus
} from "./A2aSchema.ts"
import type { Skill } from "./A2aSkill.ts"

/** The task's context: the run's thread, or the run's id without one. */
export const contextIdOf = (run: RunRecord): string => run.threadId ?? run.runId

/**
 * A task as of `seq`.
 *
 * Streamed text is the artifact `output` if the agent's answer is a string, and `text` otherwise. An answer that is not a
 * string is the data part of the artifact `output`, or the parts of its content. Content that is said meanwhile is the artifact
 * `content`.
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
  private text: string | undefined
  /** The tokens of the text, until a later attempt of the run supersedes some of them. */
  private tokens: ReadonlyArray<RunEvent> = []
  private output: ReadonlyArray<Part> | undefined
  /** The events of content that count. */
  private contents: ReadonlyArray<RunEvent> = []
  private readonly run: RunRecord
  private readonly links: A2aContent.Links
  private readonly skill: Skill | undefined
  private readonly answersContent: boolean
  private readonly streamed: "output" | "text"

  /** The last message of a caller came with the next answer or signal. */
  private isAnnounced = false
  /** When the task last changed, in milliseconds. */
  private changed: number

  /** The task of a run before its first event, with the message that it was started with if that is known. */
  constructor(run: RunRecord, skill: Skill | undefined, links: A2aContent.Links, message?: Message) {
    this.run = run
    this.links = links
    this.skill = skill
    this.answersContent = skill?.agent.success.hasContent === true
    this.streamed = skill?.answersText === true ? "output" : "text"
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
    const artifacts = this.artifacts()
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

  private artifacts(): ReadonlyArray<Artifact> {
    const artifacts: Array<Artifact> = []
    if (this.text !== undefined) artifacts.push({ artifactId: this.streamed, parts: [{ text: this.text }] })
    if (this.contents.length > 0) artifacts.push({ artifactId: "content", parts: this.shown(this.contents) })
    if (this.output !== undefined) artifacts.push({ artifactId: "output", parts: this.output })
    return artifacts
  }

  /** Applies the next events and returns the updates. `ended` is the final state of the run, if it has ended. */
  apply(events: ReadonlyArray<RunEvent>, ended: RunState | undefined): ReadonlyArray<StreamResponse> {
    const updates: Array<StreamResponse> = []
    const said: Array<RunEvent> = []
    let text = ""
    for (const event of events) {
      this.seq = event.seq
      this.changed = Math.max(this.changed, event.ts)
      if (event.type === "token") {
        text += event.data.delta
        said.push(event)
        if (text.length >= longestText) {
          updates.push(this.say(text))
          text = ""
        }
        continue
      }
      if (event.type === "superseded") {
        if (text !== "") updates.push(this.say(text))
        text = ""
        updates.push(...this.supersede([...this.tokens, ...said.splice(0)], event.data))
        continue
      }
      if (event.type === "content") {
        if (text !== "") updates.push(this.say(text))
        text = ""
        updates.push(...this.show(event))
        continue
      }
      const isChange = changes.has(event.type)
      if (isChange && text !== "") {
        updates.push(this.say(text))
        text = ""
      }
      if (isChange) this.change(event, ended, updates)
    }
    if (text !== "") updates.push(this.say(text))
    this.tokens = [...this.tokens, ...said]
    return updates
  }

  /** Replaces the text by what is left of it. */
  private supersede(tokens: ReadonlyArray<RunEvent>, range: Data<"superseded">): ReadonlyArray<StreamResponse> {
    const updates: Array<StreamResponse> = []
    const left = this.contents.filter((content) => !covers(range, content))
    if (left.length < this.contents.length) {
      this.contents = left
      updates.push(this.artifact("content", this.shown(left), false, false))
    }
    this.tokens = tokens.filter((token) => !covers(range, token))
    if (this.tokens.length === tokens.length) return updates
    this.text = this.tokens.map((token) => token.type === "token" ? token.data.delta : "").join("")
    updates.push(this.artifact(this.streamed, [{ text: this.text }], false, false))
    return updates
  }

  /** Adds content to its artifact. */
  private show(event: RunEvent): ReadonlyArray<StreamResponse> {
    const parts = this.shown([event])
    const append = this.contents.length > 0
    this.contents = [...this.contents, event]
    return [this.artifact("content", parts, append, false)]
  }

  /** An artifact without parts is not valid. */
  private shown(events: ReadonlyArray<RunEvent>): ReadonlyArray<Part> {
    const parts = events.flatMap((event) =>
      event.type === "content" ? (event.data.content ?? []).map((one) => A2aContent.toPart(one, this.links)) : []
    )
    return parts.length === 0 ? [{ text: "" }] : parts
  }

  private change(event: RunEvent, ended: RunState | undefined, updates: Array<StreamResponse>) {
    switch (event.type) {
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
        updates.push(...this.finish(event.data.output), this.enter("TASK_STATE_COMPLETED", event))
        break
      case "error": {
        const state = ended === "rejected" ? "TASK_STATE_REJECTED" : "TASK_STATE_FAILED"
        const { message, rule, tag, value = { _tag: tag, ...(rule === undefined ? {} : { rule }) } } = event.data
        updates.push(this.enter(state, event, [{ text: message }, { data: value }]))
        break
      }
      case "run_cancelled":
        updates.push(this.enter("TASK_STATE_CANCELED", event, [{ text: event.data.reason }]))
        break
    }
  }

  private enter(state: TaskState, event: RunEvent, parts?: ReadonlyArray<Part>): StreamResponse {
    this.remember()
    const message = parts === undefined
      ? undefined
      : this.message(`${this.run.runId}-${event.seq}`, "ROLE_AGENT", parts)
    this.status = { state, timestamp: timestampOf(event.ts), ...(message === undefined ? {} : { message }) }
    return { statusUpdate: { taskId: this.run.runId, contextId: contextIdOf(this.run), status: this.status } }
  }

  /** Moves the last message of the status to the history before the next change; what is still asked stays in the status. */
  private remember(isAsked = false) {
    const { message, ...rest } = this.status
    if (message === undefined) return
    if (!this.history.includes(message)) this.history.push(message)
    if (!isAsked) this.status = rest
  }

  private ask(event: RunEvent) {
    return this.enter(
      this.open.every(({ kind }) => kind === "approval") ? "TASK_STATE_AUTH_REQUIRED" : "TASK_STATE_INPUT_REQUIRED",
      event,
      this.open.flatMap((question) => [
        {
          text: question.message ??
            (question.tool === undefined ? question.name : `Approve the call of ${question.tool}?`)
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

  private say(delta: string): StreamResponse {
    const append = this.text !== undefined
    this.text = (this.text ?? "") + delta
    return this.artifact(this.streamed, [{ text: delta }], append, false)
  }

  /** The answer itself; an artifact whose text was streamed already is only closed. */
  private finish(output: Schema.Json): ReadonlyArray<StreamResponse> {
    const parts = this.answered(output)
    if (this.streamed === "output" && typeof output === "string") {
      const isSaid = this.text === output
      this.text = output
      return [
        isSaid ? this.artifact("output", [{ text: "" }], true, true) : this.artifact("output", parts, false, true)
      ]
    }
    const closing = this.text === undefined ? [] : [this.artifact(this.streamed, [{ text: "" }], true, true)]
    if (output === null) return closing
    this.output = parts
    return [...closing, this.artifact("output", parts, false, true)]
  }

  private answered(output: Schema.Json): ReadonlyArray<Part> {
    if (typeof output === "string") return [{ text: output }]
    const contents = Content.isContent(output) ? [output] : output
    return this.answersContent && Content.isList(contents)
      ? contents.map((one) => A2aContent.toPart(one, this.links))
      : [{ data: output }]
  }

  private artifact(
    artifactId: string,
    parts: ReadonlyArray<Part>,
    append: boolean,
    lastChunk: boolean
  ): StreamResponse {
    return {
      artifactUpdate: {
        taskId: this.run.runId,
        contextId: contextIdOf(this.run),
        artifact: { artifactId, parts },
        append,
        lastChunk
      }
    }
  }
}

/** The length of the text of one update: clients of gRPC take messages of 4 MiB, and a letter has 3 bytes at most. */
const longestText = 1_000_000

const changes: ReadonlySet<string> = new Set([
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
