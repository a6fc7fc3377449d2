// Runs of a version without the indexes of lists are added to them once, at the first start; `RedisRunStore` calls it.
import { Array as Arr, Effect, Result } from "effect"
import type { RedisError } from "effect/persistence/Redis"
import type { RedisClient } from "../RedisClient.ts"
import * as Keys from "./keys.ts"
import * as ReadScripts from "./readScripts.ts"
import * as Values from "./values.ts"
import * as Writes from "./writes.ts"

/** Names the indexes that a version of this package makes; another value leads to one more pass over all runs. */
const current = Keys.json(Keys.listIndexes)

export const reindex = Effect.fnUntraced(function*(
  { prefix, redis }: RedisClient["Service"]
): Effect.fn.Return<void, RedisError> {
  const marker = `${prefix}list-indexes`
  if ((yield* redis.send("GET", marker)) === current) return
  const evaluate = redis.eval(ReadScripts.reindex)

  const audiencesOf = (runId: string) =>
    Effect.map(
      Effect.result(redis.send("HGETALL", `${prefix}interrupts:${runId}`)),
      // A damaged interrupt cannot be decided.
      (reply) =>
        Result.getOrElse(
          Result.flatMap(reply, (reply) => Result.try(() => Writes.audiences(Values.toInterrupts(runId, reply)))),
          () => []
        )
    )

  let cursor = "0"
  do {
    const page = Values.toScan(yield* redis.send("SCAN", cursor, "MATCH", Keys.runsPattern(prefix), "COUNT", "1000"))
    for (const keys of Arr.chunksOf(page.found, 200)) {
      const runs = yield* Effect.forEach(keys, (key) => {
        const runId = key.slice(`${prefix}run:`.length)
        return Effect.map(audiencesOf(runId), (audiences) => [runId, ...Keys.list(audiences)])
      }, { concurrency: 50 })
      yield* evaluate(prefix, runs.flat())
    }
    cursor = page.next
  } while (cursor !== "0")
  yield* redis.send("SET", marker, current)
})
