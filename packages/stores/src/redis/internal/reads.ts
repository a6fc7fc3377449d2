// Reads of the Redis run store with their errors: `JournalDamaged` for one run, `StoreUnavailable` otherwise.
import { JournalDamaged, type StoreUnavailable } from "@fastagentic/core/run/RunError"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import type { ReadError } from "@fastagentic/core/store/RunStore"
import { Effect, Result } from "effect"
import { RedisError } from "effect/persistence/Redis"
import { answered, unavailable } from "../RedisClient.ts"
import * as Values from "./values.ts"

const logDamaged = (runId: string, what: string, cause: unknown) =>
  Effect.annotateLogs(Effect.logError(`The ${what} of a run cannot be read`, cause), { runId })

/** Logs the reason; the failure itself reaches callers and must not contain stored data. */
const damaged = (runId: string, what: string, cause: unknown): Effect.Effect<never, JournalDamaged> =>
  Effect.andThen(logDamaged(runId, what, cause), Effect.fail(new JournalDamaged({ runId, what })))

const decoded = <A>(runId: string, what: string, decode: () => A): Effect.Effect<A, JournalDamaged> => {
  const result = Result.try(decode)
  return Result.isSuccess(result) ? Effect.succeed(result.success) : damaged(runId, what, result.failure)
}

export const record = (runId: string, fields: unknown): Effect.Effect<RunRecord, JournalDamaged> =>
  decoded(runId, "record", () => Values.toRecord(runId, fields))

/** Whether a key exists with another type than expected. */
const isWrongType = ({ cause }: StoreUnavailable) =>
  cause instanceof RedisError && cause.cause instanceof Error && cause.cause.message.startsWith("WRONGTYPE")

/** Decodes a part of one run; what does not decode is `JournalDamaged`. */
export const part =
  <A>(runId: string, what: string, decode: (reply: unknown) => A) =>
  (reply: Effect.Effect<unknown, RedisError>): Effect.Effect<A, ReadError> =>
    unavailable(`${what} of run ${runId}`)(reply).pipe(
      Effect.catchIf(isWrongType, (error) => damaged(runId, what, error.cause)),
      Effect.flatMap((reply) => decoded(runId, what, () => decode(reply)))
    )

/** Decodes an answer that concerns no single run. */
export const answer = <A>(operation: string, decode: (reply: unknown) => A) =>
(
  reply: Effect.Effect<unknown, RedisError>
): Effect.Effect<A, StoreUnavailable> =>
  answered(operation, (reply) => Effect.fromResult(Result.try(() => decode(reply))))(reply)

/**
 * Reads up to `limit` runs in pages, so that no script scans many runs at once. Damaged runs are left out and logged
 * once.
 */
export const makeCollect = <A>(decode: (runId: string, fields: unknown) => A) => {
  const known = new Set<string>()
  return Effect.fnUntraced(function*(
    operation: string,
    { first, limit }: { readonly first: string; readonly limit: number },
    page: (at: string, limit: number) => Effect.Effect<unknown, RedisError>
  ) {
    const found: Array<A> = []
    let at = first
    while (found.length < limit && at !== "") {
      const { next, runs } = yield* answer(operation, Values.toPage)(page(at, limit - found.length))
      for (const { fields, runId } of runs) {
        const run = Result.try(() => decode(runId, fields))
        if (Result.isSuccess(run)) found.push(run.success)
        else if (!known.has(runId)) yield* logDamaged(runId, "record", run.failure)
        if (Result.isFailure(run)) known.add(runId)
      }
      at = next
    }
    return found
  })
}
