// Elicitation over HTTP before 2026-07-28: the question is sent on the stream of the call, and the answer is a request of
// its own.
import type { Caller } from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import { fail, InterruptNotFound, type RunError } from "@fastagentic/core/run/RunError"
import type * as Sdk from "@modelcontextprotocol/server"
import { Deferred, Effect, Predicate, Redacted, Schema } from "effect"
import { type Ask, decide, type Question, questionOf, type Reply } from "./Elicitation.ts"

interface Pending {
  readonly reply: Deferred.Deferred<Reply, RunError>
  answered: boolean
  /** The caller of the call that waits. */
  readonly caller: Caller
}

const Response = Schema.Struct({
  id: Schema.TemplateLiteral(["elicitation:", Schema.String]),
  result: Schema.optionalKey(Schema.Unknown),
  error: Schema.optionalKey(Schema.Unknown)
})

/** A client's answer to a question. */
export type Response = typeof Response.Type

const isShaped = Schema.is(Response)

export const isResponse = (body: unknown): body is Response =>
  isShaped(body) && !Predicate.hasProperty(body, "method") && (body.result !== undefined || body.error !== undefined)

/**
 * The questions of the calls that wait on this server. Their ids name run and interrupt, so an answer is valid on any
 * server, and after a restart; it is a decision of the caller that sends it.
 */
export class PendingElicitations {
  private readonly waiting = new Map<string, Pending>()

  /** Asks on the stream of a call; a question that needs no answer any more is cancelled. */
  asker(server: Sdk.Server, relatedRequestId: Sdk.RequestId, caller: Caller): Ask {
    const send = (message: Sdk.JSONRPCMessage) =>
      Effect.promise(async () => server.transport?.send(message, { relatedRequestId }).catch(() => {}))
    return ({ interrupt, params }) =>
      Effect.suspend(() => {
        const id = idOf(interrupt.runId, interrupt.id)
        const waiting: Pending = { reply: Deferred.makeUnsafe(), answered: false, caller }
        this.waiting.set(id, waiting)
        return send({ jsonrpc: "2.0", id, method: "elicitation/create", params }).pipe(
          Effect.andThen(Deferred.await(waiting.reply)),
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
  answered(runtime: Runtime["Service"], caller: Caller, { id, result }: Response): Effect.Effect<void, RunError> {
    const pending = this.waiting.get(id)
    const waiting = pending !== undefined && isSame(pending.caller, caller) ? pending : undefined
    if (waiting !== undefined) waiting.answered = true
    const reply = result === undefined
      ? Effect.as(runtime.authenticate(caller), "left" as const)
      : Effect.flatMap(asked(runtime, caller, id), (question) => decide(runtime, caller, question, result))
    return Effect.onExit(reply, (exit) => waiting === undefined ? Effect.void : Deferred.done(waiting.reply, exit))
      .pipe(
        Effect.asVoid
      )
  }
}

/** Whether two callers have shown the same credentials. */
const isSame = ({ credentials: a }: Caller, { credentials: b }: Caller) =>
  textOf(a.bearer) === textOf(b.bearer) && textOf(a.apiKey) === textOf(b.apiKey) &&
  a.forwarded?.clientCert === b.forwarded?.clientCert && a.forwarded?.xfcc === b.forwarded?.xfcc

const textOf = (secret: Redacted.Redacted<string> | undefined) =>
  secret === undefined ? undefined : Redacted.value(secret)

const idOf = (runId: string, interruptId: string) =>
  `elicitation:${runId}:${globalThis.crypto.randomUUID()}:${interruptId}` as const

const asked = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  caller: Caller,
  id: string
): Effect.fn.Return<Question, RunError> {
  const [, runId = "", , ...rest] = id.split(":")
  const interruptId = rest.join(":")
  const interrupt = (yield* runtime.interrupts(caller, runId)).find((one) => one.id === interruptId)
  const question = interrupt && questionOf(runtime, interrupt)
  return question ?? (yield* fail(new InterruptNotFound({ runId, id: interruptId })))
})
