// Delivers a message: to a new run, as the answer to a question of the run of its task, or as a signal. The message is kept
// as it came, with the change that it makes. A message that comes twice does what it did the first time.
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import { isFinal, type RunRecord } from "@fastagentic/core/run/RunRecord"
import { Effect } from "effect"
import * as Timeouts from "../internal/timeouts.ts"
import * as A2aError from "./A2aError.ts"
import * as A2aMessage from "./A2aMessage.ts"
import type { Call, Failure } from "./A2aReply.ts"
import type { Message, SendMessageRequest } from "./A2aSchema.ts"
import * as A2aSkill from "./A2aSkill.ts"
import { contextIdOf } from "./A2aTask.ts"
import { type Delivered, links, type Tasks } from "./A2aTasks.ts"

export const make = (
  runtime: Runtime["Service"],
  skills: A2aSkill.Skills,
  { find, load, viewOf }: Pick<Tasks, "find" | "load" | "viewOf">,
  duplicates: "attach" | "new"
) => {
  const keyOf = ({ messageId }: Message) =>
    duplicates === "attach" ? `a2a:${messageId}` : `a2a:${messageId}:${unique()}`

  const start = Effect.fnUntraced(function*({ caller, onPath }: Call, request: SendMessageRequest) {
    const { message } = request
    const skill = yield* A2aSkill.choose(skills, onPath, request)
    yield* A2aSkill.checkModes(skill, request)
    const payload = yield* A2aMessage.toPayload(skill, message, yield* links)
    const kept = A2aMessage.withoutBytes(message)
    const { timeout = message.metadata?.["timeout"] } = request.metadata ?? {}
    const handle = yield* runtime.start(caller, {
      kind: "agent",
      identifier: skill.agent.identifier,
      payload,
      idempotencyKey: keyOf(message),
      threadId: message.contextId || unique(),
      timeout: yield* Timeouts.timeoutIn("metadata.timeout", timeout),
      message: kept
    })
    yield* sameContext(message, handle.run)
    return { handle, run: handle.run, view: yield* viewOf(handle.run, kept) }
  })

  const answer = Effect.fnUntraced(function*(call: Call, taskId: string, request: SendMessageRequest) {
    const { message } = request
    const handle = yield* find(call, taskId)
    const { run } = handle
    yield* sameContext(message, run)
    const skill = skills.get(run.agent)
    if (skill !== undefined) yield* A2aSkill.checkModes(skill, request)
    const key = keyOf(message)
    // A message that comes twice decides what it decided the first time, and not the next question.
    const decided = (yield* handle.interrupts).filter(({ resolution }) => resolution?.idempotencyKey === key)
    const { open } = yield* load(handle, run)
    // A run that was cancelled while it asked still has its question, and asks for nothing.
    const asked = decided.length > 0 ? decided : isFinal(run.state) ? [] : open
    const signal = skill === undefined ? undefined : A2aMessage.signalOf(skill, message, asked.length > 0)
    if (signal !== undefined) {
      const payload = yield* A2aMessage.toSignal(signal, message)
      const sent = { signal: signal.name, payload, idempotencyKey: key, message }
      const after = yield* runtime.signal(call.caller, taskId, sent)
      return { handle, run: after, view: yield* load(handle, after) }
    }
    const reading = A2aMessage.toAnswer(message, asked)
    const { answer, id } = yield* asked.length > 0 ? reading : Effect.mapError(reading, () => takesNoMessage(run))
    const answered = yield* runtime.answer(call.caller, taskId, id, answer, key, message)
    return { handle, run: answered, view: yield* load(handle, answered) }
  })

  return (call: Call, request: SendMessageRequest): Effect.Effect<Delivered, Failure> => {
    const taskId = request.message.taskId || undefined
    return taskId === undefined ? start(call, request) : answer(call, taskId, request)
  }
}

const unique = () => globalThis.crypto.randomUUID()

const takesNoMessage = (run: RunRecord) =>
  A2aError.unsupportedOperation(`the task is ${run.state} and takes no message now`)

const sameContext = ({ contextId }: Message, run: RunRecord) =>
  contextId === undefined || contextId === "" || contextId === contextIdOf(run)
    ? Effect.void
    : Effect.fail(A2aError.invalidParams("the task is of another context", {
      violations: [{ field: "message.contextId", description: `Expected ${contextIdOf(run)}` }]
    }))
