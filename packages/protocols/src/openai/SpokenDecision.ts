// The decision that a message says: chat completions have no other way to answer a question of a run.
import type { Callable } from "@fastagentic/core/app/Fusion"
import * as ClientTools from "@fastagentic/core/run/ClientTools"
import type { Answer, Interrupt } from "@fastagentic/core/run/Interrupt"
import { IdempotencyConflict, RunError } from "@fastagentic/core/run/RunError"
import { Effect, Predicate, Schema } from "effect"
import { invalid } from "../chat/ChatPayload.ts"
import * as ChatRuns from "../chat/ChatRuns.ts"
import type * as RequestContext from "../http/RequestContext.ts"

/**
 * The rest of a run of the thread that waits for a decision, if the message is one. A message that is none would wait for
 * the run that waits for it. A repeat under the key of a start, or of a decision, is no new decision.
 */
export const decided = Effect.fnUntraced(function*(
  context: RequestContext.RequestContext,
  agent: Callable,
  threadId: string | undefined,
  text: string
): Effect.fn.Return<ChatRuns.Answering | undefined, RunError> {
  const { caller, request: { headers }, runtime } = context
  if (threadId === undefined) return undefined
  const runs = yield* ChatRuns.newestRuns(runtime, caller, { agent: agent.identifier, threadId })
  const key = headers["idempotency-key"] || undefined
  if (key !== undefined) {
    if (runs.some(({ idempotencyKey }) => idempotencyKey === key)) return undefined
    const earlier = yield* earlierUnder(context, runs.map(({ runId }) => runId), key)
    if (earlier !== undefined) {
      const answer = answerIn(earlier.question, text)
      if (answer === undefined) {
        return yield* new RunError({ reason: new IdempotencyConflict({ key, runId: earlier.question.runId }) })
      }
      return yield* ChatRuns.decided(context, earlier.handle, [{ id: earlier.question.id, ...answer }])
    }
  }
  const [newest] = runs
  if (newest?.state !== "suspended" || newest.waitsFor !== "interrupt") return undefined
  const open = (yield* runtime.decidable(caller, newest.runId)).filter(({ state }) => state === "open")
  const asked = open.filter((one) => !ClientTools.isCall(one))
  // A message is no result of a call: it gives calls of the client up, and has a turn of its own.
  if (open.length > 0 && asked.length === 0) return undefined
  const [question, ...more] = asked
  const answer = question === undefined || more.length > 0 ? undefined : answerIn(question, text)
  if (question !== undefined && answer !== undefined) {
    const handle = yield* runtime.open(caller, newest.runId)
    return yield* ChatRuns.decided(context, handle, [{ id: question.id, ...answer }])
  }
  if (agent.threads !== "enqueue") return undefined
  return yield* invalid(
    agent.identifier,
    ["messages"],
    question === undefined || more.length > 0
      ? `the thread waits for decisions at /runs/${newest.runId}/interrupts`
      : `the thread waits for approve or deny about "${question.tool ?? question.name}"`
  )
})

/** The question of these runs that the caller has decided under a key. */
const earlierUnder = Effect.fnUntraced(function*(
  { caller, runtime }: RequestContext.RequestContext,
  runIds: ReadonlyArray<string>,
  key: string
) {
  const { id } = yield* runtime.principal(caller)
  for (const runId of runIds) {
    const handle = yield* runtime.open(caller, runId)
    const question = (yield* handle.interrupts).find(({ resolution }) =>
      resolution?.by === id && isUnder(resolution.idempotencyKey, key)
    )
    if (question !== undefined) return { handle, question }
  }
  return undefined
})

/** Whether the key of a decision is this one: a list of decisions keeps a space and 64 hex digits after it. */
const isUnder = (kept: string | undefined, key: string) => kept === key || kept?.slice(0, -65) === key

const yes = /^(approve|approved|yes|y|ok)[.!]?$/iu
const no = /^(deny|denied|no|n|reject)[.!]?$/iu

/** The decision that a text is about a question: approve or deny, or the value that is asked for. */
const answerIn = ({ kind, responseSchema }: Interrupt, text: string): Answer | undefined => {
  const word = text.trim()
  if (kind === "approval") {
    return yes.test(word) ? { decision: "approve" } : no.test(word) ? { decision: "deny" } : undefined
  }
  const type = Predicate.hasProperty(responseSchema, "type") ? responseSchema.type : undefined
  if (type === "string") return { decision: "approve", value: text }
  if (type === "boolean") {
    return yes.test(word)
      ? { decision: "approve", value: true }
      : no.test(word)
      ? { decision: "approve", value: false }
      : undefined
  }
  const value = parsed(word)
  return value === undefined ? undefined : { decision: "approve", value }
}

const isJson = Schema.is(Schema.Json)

const parsed = (text: string): Schema.Json | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return isJson(value) ? value : undefined
  } catch {
    return undefined
  }
}
