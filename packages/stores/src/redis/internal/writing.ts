// Writes of runs: a batch is one script, and each write has its answer, also one that cannot be stored. RedisRunStore uses it.
import { StoreUnavailable } from "@fastagentic/core/run/RunError"
import type { Write, Written } from "@fastagentic/core/store/RunStore"
import { Effect, Result } from "effect"
import type { RedisClient } from "../RedisClient.ts"
import * as Reads from "./reads.ts"
import * as Writes from "./writes.ts"
import * as WriteScript from "./writeScript.ts"

export const makeWrite = ({ prefix, redis }: RedisClient["Service"], node: string) => {
  const evalWrite = redis.eval(WriteScript.write)
  return Effect.fnUntraced(function*(writes: ReadonlyArray<Write>) {
    const encoded = writes.map((write) => Result.try(() => Writes.argumentsOf(prefix, node, write)))
    const batch = encoded.flatMap((one) => Result.isSuccess(one) ? one.success : [])
    const replies = batch.length === 0
      ? []
      : yield* Reads.answer("write", Writes.decodeAnswers)(evalWrite(prefix, batch))
    const answers = replies.values()
    return yield* Effect.forEach(writes, (write, index) => {
      const one = encoded[index]
      return one === undefined || Result.isFailure(one)
        ? notKept(write, one?.failure)
        : toWritten(write, answers.next().value ?? [])
    })
  })
}

const toWritten = (
  write: Write,
  [tag, first = "", ...rest]: ReadonlyArray<string>
): Effect.Effect<Written, StoreUnavailable> => {
  if (tag === "Admitted" && write._tag === "Admit") return Effect.succeed(Writes.admitted(write))
  if (tag === "Committed" && write._tag === "Commit") return Effect.succeed(Writes.committed(write, Number(first)))
  if (tag === "Refused") return Effect.succeed(Writes.refused)
  if (tag === "Attached") return another("Attached", first, rest)
  if (tag === "Busy") return another("Busy", first, rest)
  if (tag === "Damaged") return notKept(write, first)
  return Effect.fail(
    new StoreUnavailable({ operation: "write", cause: new Error("Redis gave an answer of an unknown kind") })
  )
}

/** Answers with the other run. If it cannot be read, only this write of the batch is refused. */
const another = (
  tag: "Attached" | "Busy",
  runId: string,
  fields: ReadonlyArray<string>
): Effect.Effect<Written> =>
  Reads.record(runId, fields).pipe(
    Effect.map((run): Written => ({ _tag: tag, run })),
    Effect.orElseSucceed(() => Writes.refused)
  )

/** Refuses one write that cannot be stored; the other writes of the batch are not affected. */
const notKept = (write: Write, cause: unknown): Effect.Effect<Written> =>
  Effect.logError("A write is refused because it cannot be stored", cause).pipe(
    Effect.annotateLogs({ runId: write._tag === "Admit" ? write.run.runId : write.runId }),
    Effect.as(Writes.refused)
  )
