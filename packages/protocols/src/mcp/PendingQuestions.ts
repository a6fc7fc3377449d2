// Questions over HTTP before 2026-07-28: the question is sent on the stream of the call, and the answer is a request of
// its own, which may reach any node.
import type { Caller } from "@fastagentic/core/door/Caller"
import type { Runtime, SharedFact } from "@fastagentic/core/operations/Runtime"
import { fail, InterruptNotFound, type RunError } from "@fastagentic/core/run/RunError"
import type * as Sdk from "@modelcontextprotocol/server"
import { Deferred, Effect, Predicate, Redacted, Schema } from "effect"
import type { Raw } from "./AskedReads.ts"
import { type Ask, type Client, decide, failed, type Question, questionOf, type Reply } from "./ClientQuestion.ts"

/** The outcome of the question of a run, or the answer to a prompt or a resource as it came. */
type Answered = Reply | Raw

interface Pending {
  readonly outcome: Deferred.Deferred<Answered, RunError>
  answered: boolean
  /** The caller of the call that waits. */
  readonly caller: Caller
}

const Response = Schema.Struct({
  id: Schema.TemplateLiteral(["question:", Schema.String]).check(Schema.isMaxLength(1_024)),
  result: Schema.optionalKey(Schema.Unknown),
  error: Schema.optionalKey(Schema.Unknown)
})

/** A client's answer to a question. */
export type Response = typeof Response.Type

const isShaped = Schema.is(Response)

export const isResponse = (body: unknown): body is Response =>
  isShaped(body) && !Predicate.hasProperty(body, "method") && (body.result !== undefined || body.error !== undefined)

/** The answer of another node: its question is known only to the client that was asked. */
const Outcome = Schema.Union([
  Schema.Literals(["left", "opened", "unclear"]),
  Schema.Struct({ result: Schema.Json }),
  Schema.Struct({ error: Schema.String })
])
type Outcome = typeof Outcome.Type
const isOutcome = Schema.is(Outcome)
const isNoted = Schema.is(Schema.Struct({ outcome: Outcome }))

const notePrefix = "mcp/answer/"

/** An answer of more characters reaches only the node that has asked. */
const outcomeLength = 262_144

const fitting = (outcome: Outcome): Outcome =>
  JSON.stringify(outcome).length > outcomeLength
    ? { error: "The answer is too large for another node than the one that has asked" }
    : outcome

/** Other nodes read a note within seconds. */
const noteMillis = 60_000

/**
 * The questions of the calls that wait on this server. Their ids name run and interrupt, so an answer is valid on any
 * server, and after a restart; it is a decision of the caller that sends it.
 */
export class PendingQuestions {
  private readonly waiting = new Map<string, Pending>()
  private readonly runtime: Runtime["Service"]

  constructor(runtime: Runtime["Service"]) {
    this.runtime = runtime
  }

  /** Asks on the stream of a call about its run. */
  asker(server: Sdk.Server, relatedRequestId: Sdk.RequestId, caller: Caller): Ask {
    return (question) =>
      Effect.map(
        this.put(server, relatedRequestId, caller, question),
        (outcome) => Predicate.isString(outcome) ? outcome : "left"
      )
  }

  /** Asks on the stream of a prompt or a resource that is being read; a failure of the answer is the client's. */
  reader(
    server: Sdk.Server,
    relatedRequestId: Sdk.RequestId,
    caller: Caller
  ): (question: Question) => Effect.Effect<Raw> {
    return (question) =>
      this.put(server, relatedRequestId, caller, question).pipe(
        Effect.map((outcome) => Predicate.isString(outcome) ? { error: "The client gave no answer" } : outcome),
        Effect.orElseSucceed(() => ({ error: "The client gave no answer" }))
      )
  }

  /** Says on the stream of a call that a page is done. */
  completer(server: Sdk.Server, relatedRequestId: Sdk.RequestId): (question: Question) => Effect.Effect<void> {
    return (question) =>
      Effect.promise(async () => server.transport?.send(completionOf(question), { relatedRequestId }).catch(() => {}))
  }

  /** A question that needs no answer any more is cancelled. */
  private put(server: Sdk.Server, relatedRequestId: Sdk.RequestId, caller: Caller, { interrupt, request }: Question) {
    const send = (message: Sdk.JSONRPCMessage) =>
      Effect.promise(async () => server.transport?.send(message, { relatedRequestId }).catch(() => {}))
    return Effect.suspend(() => {
      const id = idOf(interrupt.runId, interrupt.id)
      const waiting: Pending = { outcome: Deferred.makeUnsafe(), answered: false, caller }
      this.waiting.set(id, waiting)
      return send({ jsonrpc: "2.0", id, ...request }).pipe(
        Effect.andThen(Deferred.await(waiting.outcome)),
        Effect.onInterrupt(() =>
          waiting.answered
            ? Effect.void
            : send({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: id } })
        ),
        Effect.ensuring(Effect.sync(() => this.waiting.delete(id)))
      )
    })
  }

  /**
   * Decides as the caller that answers, whether or not a call waits for it on this server. Only the caller of the call ends
   * its wait: a decision of another one is seen in the journal, and an answer without permission changes nothing.
   */
  answered(caller: Caller, client: Client, { error, id, result }: Response): Effect.Effect<void, RunError> {
    const { runtime } = this
    const pending = this.waiting.get(id)
    const waiting = pending !== undefined && isSame(pending.caller, caller) ? pending : undefined
    if (waiting !== undefined) waiting.answered = true
    const outcome: Effect.Effect<Answered, RunError> = runOf(id) === ""
      ? Effect.as(runtime.authenticate(caller), result === undefined ? { error: messageOf(error) } : { result })
      : Effect.flatMap(asked(runtime, caller, client, id), (question) =>
        result === undefined
          ? failed(runtime, caller, question, messageOf(error))
          : decide(runtime, caller, question, result))
    if (waiting !== undefined) {
      return Effect.asVoid(Effect.onExit(outcome, (exit) => Deferred.done(waiting.outcome, exit)))
    }
    if (pending !== undefined) return Effect.asVoid(outcome)
    // The call may wait on another node; a decision it sees in the journal.
    const note = (outcome: unknown) =>
      isOutcome(outcome)
        ? Effect.flatMap(
          runtime.principal(caller),
          (owner) => runtime.notes.put(owner, notePrefix + id, { outcome: fitting(outcome) }, noteMillis)
        )
        : Effect.void
    return outcome.pipe(
      Effect.tapError(() => Effect.ignore(note("left"))),
      Effect.flatMap(note)
    )
  }

  /** A fact that a node has shared. */
  noted({ key, owner, value }: SharedFact): Effect.Effect<void> {
    const pending = key.startsWith(notePrefix) ? this.waiting.get(key.slice(notePrefix.length)) : undefined
    if (pending === undefined || !isNoted(value)) return Effect.void
    return this.runtime.principal({ ...pending.caller, authenticated: undefined }).pipe(
      Effect.flatMap(({ id, tenant }) => {
        if (id !== owner.id || tenant !== owner.tenant) return Effect.void
        pending.answered = true
        return Effect.asVoid(Deferred.succeed(pending.outcome, value.outcome))
      }),
      Effect.ignore
    )
  }
}

const completionOf = ({ interrupt }: Question) => ({
  jsonrpc: "2.0" as const,
  method: "notifications/elicitation/complete",
  params: { elicitationId: interrupt.id }
})

const messageOf = (error: unknown): string =>
  Predicate.hasProperty(error, "message") && typeof error.message === "string" ? error.message : "The client failed"

/** Whether two callers have shown the same credentials. */
const isSame = ({ credentials: a }: Caller, { credentials: b }: Caller) =>
  textOf(a.bearer) === textOf(b.bearer) && textOf(a.apiKey) === textOf(b.apiKey) &&
  a.forwarded?.clientCert === b.forwarded?.clientCert && a.forwarded?.xfcc === b.forwarded?.xfcc

const textOf = (secret: Redacted.Redacted<string> | undefined) =>
  secret === undefined ? undefined : Redacted.value(secret)

const idOf = (runId: string, interruptId: string) =>
  `question:${runId}:${globalThis.crypto.randomUUID()}:${interruptId}` as const

const runOf = (id: string) => id.split(":")[1] ?? ""

const asked = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  caller: Caller,
  client: Client,
  id: string
): Effect.fn.Return<Question, RunError> {
  const [, runId = "", , ...rest] = id.split(":")
  const interruptId = rest.join(":")
  const interrupt = (yield* runtime.interrupts(caller, runId)).find((one) => one.id === interruptId)
  const question = interrupt && questionOf(runtime, interrupt, client)
  return question === undefined || question === "unsupported"
    ? yield* fail(new InterruptNotFound({ runId, id: interruptId }))
    : question
})
