// Elicitation over HTTP before 2026-07-28: the question goes out on the stream of the call, the answer comes in a request
// of its own.
import type { Caller } from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import { fail, InterruptNotFound, type RunError } from "@fastagentic/core/run/RunError"
import type * as Sdk from "@modelcontextprotocol/server"
import { Deferred, Effect, Predicate, Schema } from "effect"
import { type Ask, decide, type Question, questionOf, type Reply } from "./Elicitation.ts"

interface Waiting {
  readonly reply: Deferred.Deferred<Reply, RunError>
  answered: boolean
}

const Response = Schema.Struct({
  id: Schema.TemplateLiteral(["elicitation:", Schema.String]),
  result: Schema.optionalKey(Schema.Unknown),
  error: Schema.optionalKey(Schema.Unknown)
})

/** A client's answer to a question of ours. */
export type Response = typeof Response.Type

const isShaped = Schema.is(Response)

export const isResponse = (body: unknown): body is Response =>
  isShaped(body) && !Predicate.hasProperty(body, "method") && (body.result !== undefined || body.error !== undefined)

/**
 * The questions that calls wait with on this server. Their ids say what they are about, so an answer is good on any
 * server, and after a restart: it is one like any other, of whoever sends it.
 */
export class PendingElicitations {
  private readonly waiting = new Map<string, Waiting>()

  /** Asks on the stream of a call; a question that is no longer one is taken back. */
  asker(server: Sdk.Server, relatedRequestId: Sdk.RequestId): Ask {
    const send = (message: Sdk.JSONRPCMessage) =>
      Effect.promise(async () => server.transport?.send(message, { relatedRequestId }).catch(() => {}))
    return ({ interrupt, params }) =>
      Effect.suspend(() => {
        const id = idOf(interrupt.runId, interrupt.id)
        const waiting: Waiting = { reply: Deferred.makeUnsafe(), answered: false }
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

  /** What was answered is decided as whoever answered, whether or not a call waits for it here. */
  answered(runtime: Runtime["Service"], caller: Caller, { id, result }: Response): Effect.Effect<void, RunError> {
    const waiting = this.waiting.get(id)
    if (waiting !== undefined) waiting.answered = true
    const told = result === undefined
      ? Effect.as(runtime.authenticate(caller), "left" as const)
      : Effect.flatMap(asked(runtime, caller, id), (question) => decide(runtime, caller, question, result))
    return Effect.onExit(told, (exit) => waiting === undefined ? Effect.void : Deferred.done(waiting.reply, exit)).pipe(
      Effect.asVoid
    )
  }
}

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
