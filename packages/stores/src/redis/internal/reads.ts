import { JournalDamaged, type StoreUnavailable } from "@fastagentic/core/run/RunError"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import type { ReadError } from "@fastagentic/core/store/RunStore"
import { Effect, Result } from "effect"
import { RedisError } from "effect/persistence/Redis"
import { answered, unavailable } from "../RedisClient.ts"
import * as Values from "./values.ts"

const logDamaged = (runId: string, what: string, cause: unknown) =>
  Effect.annotateLogs(Effect.logError(`The ${what} of a run cannot be read`, cause), { runId })

/** The log has the reason: the failure itself goes to callers, and says nothing of what is stored. */
const damaged = (runId: string, what: string, cause: unknown): Effect.Effect<never, JournalDamaged> =>
  Effect.andThen(logDamaged(runId, what, cause), Effect.fail(new JournalDamaged({ runId, what })))

const decoded = <A>(runId: string, what: string, decode: () => A): Effect.Effect<A, JournalDamaged> => {
  const result = Result.try(decode)
  return Result.isSuccess(result) ? Effect.succeed(result.success) : damaged(runId, what, result.failure)
}

export const record = (runId: string, fields: unknown): Effect.Effect<RunRecord, JournalDamaged> =>
  decoded(runId, "record", () => Values.toRecord(runId, fields))

/** What is not of the type that it should be is there, and cannot be read. */
const isWrongType = ({ cause }: StoreUnavailable) =>
  cause instanceof RedisError && cause.cause instanceof Error && cause.cause.message.startsWith("WRONGTYPE")

/** Reads a part of one run. */
export const part =
  <A>(runId: string, what: string, decode: (reply: unknown) => A) =>
  (reply: Effect.Effect<unknown, RedisError>): Effect.Effect<A, ReadError> =>
    unavailable(`${what} of run ${runId}`)(reply).pipe(
      Effect.catchIf(isWrongType, (error) => damaged(runId, what, error.cause)),
      Effect.flatMap((reply) => decoded(runId, what, () => decode(reply)))
    )

/** An answer that is about no single run. */
export const answer = <A>(operation: string, decode: (reply: unknown) => A) =>
(
  reply: Effect.Effect<unknown, RedisError>
): Effect.Effect<A, StoreUnavailable> =>
  answered(operation, (reply) => Effect.fromResult(Result.try(() => decode(reply))))(reply)

/**
 * Reads up to so many runs, however many Redis has to look at: it never looks at many at once. Damaged ones are left out,
 * and logged once.
 */
export const makeCollect = () => {
  const known = new Set<string>()
  return Effect.fnUntraced(function*(
    operation: string,
    { first, limit }: { readonly first: string; readonly limit: number },
    page: (at: string, limit: number) => Effect.Effect<unknown, RedisError>
  ) {
    const found: Array<RunRecord> = []
    let at = first
    while (found.length < limit && at !== "") {
      const { next, runs } = yield* answer(operation, Values.toPage)(page(at, limit - found.length))
      for (const { fields, runId } of runs) {
        const run = Result.try(() => Values.toRecord(runId, fields))
        if (Result.isSuccess(run)) found.push(run.success)
        else if (!known.has(runId)) yield* logDamaged(runId, "record", run.failure)
        if (Result.isFailure(run)) known.add(runId)
      }
      at = next
    }
    return found
  })
}
