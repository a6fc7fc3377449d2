// The failures of a call as JSON, as its typed client reads them: the declared error of the run, RunSuspended, or a
// ClientError with the reason. RpcHandlers fails with them; no cause of a store and no stack leaves the server.
import { problemsOf } from "@fastagentic/core/base/Validation"
import type { Failure } from "@fastagentic/core/run/Event"
import type { Interrupt } from "@fastagentic/core/run/Interrupt"
import { InterruptDenied } from "@fastagentic/core/run/Run"
import * as RunError from "@fastagentic/core/run/RunError"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import { Cause, Effect, Option, Schema } from "effect"
import { ClientError, RunFailed, RunSuspended } from "../http/ClientError.ts"
import { runFailedBy } from "../http/ClientTransport.ts"
import * as Schemas from "../http/Schemas.ts"

/** A failure in its encoded form. */
export interface Refused {
  readonly error: unknown
}

/** The call and the run that a failure belongs to. */
export interface Subject {
  readonly traceId: string
  readonly runId?: string | undefined
}

const encodeError = Schema.encodeUnknownSync(Schema.toCodecJson(ClientError))
const encodeSuspended = Schema.encodeUnknownSync(Schema.toCodecJson(RunSuspended))

const decodeReason = Schema.decodeUnknownOption(
  Schema.toCodecJson(Schema.Union([...RunError.Reason.members, InterruptDenied]))
)

export const because = (reason: ClientError["reason"], { runId, traceId }: Subject): Refused => ({
  error: encodeError(
    new ClientError({
      reason: reason._tag === "StoreUnavailable"
        ? new RunError.StoreUnavailable({ operation: reason.operation })
        : reason,
      traceId,
      ...(runId === undefined ? {} : { runId })
    })
  )
})

/** A payload of one of our own calls that does not fit. */
export const ofSchema = (target: string, error: Schema.SchemaError, subject: Subject): Refused =>
  because(new RunError.InvalidPayload({ target, issues: problemsOf(error) }), subject)

/** A run or a read that failed: with its declared error if it has one. */
export const ofFailure = (failure: Failure, subject: Subject): Refused =>
  failure.declared && failure.value !== undefined
    ? { error: failure.value }
    : because(Option.getOrElse(decodeReason(failure.value), () => runFailedBy(failure)), subject)

export const cancelled = (subject: Subject): Refused =>
  because(new RunFailed({ tag: "RunCancelled", status: 409, detail: "the run was cancelled" }), subject)

export const suspended = (run: RunRecord, interrupts: ReadonlyArray<Interrupt>): Refused => ({
  error: encodeSuspended(
    new RunSuspended({ run: Schemas.runOf(run), interrupts: interrupts.filter(({ state }) => state === "open") })
  )
})

/** The failure of a cause; a defect is logged here, and only its trace id leaves the server. */
export const ofCause = (
  cause: Cause.Cause<RunError.RunError | RunError.ReadFailed | Refused>,
  tag: string,
  subject: Subject
): Effect.Effect<never, unknown> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  if (error === undefined) {
    return Effect.andThen(
      Effect.annotateLogs(Effect.logError(`The call ${tag} failed unexpectedly`, cause), { traceId: subject.traceId }),
      Effect.fail(because(internal, subject).error)
    )
  }
  if (!("_tag" in error)) return Effect.fail(error.error)
  return Effect.fail(
    (error._tag === "RunError" ? because(error.reason, subject) : ofFailure(error.failure, subject)).error
  )
}

const internal = new RunFailed({ tag: "InternalError", status: 500, detail: RunError.internalMessage })
