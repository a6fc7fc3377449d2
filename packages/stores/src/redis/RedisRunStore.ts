/**
 * Runs in Redis: one script for each batch of writes.
 *
 * @since 0.1.0
 */
import { StoreUnavailable } from "@fastagentic/core/RunError"
import type { RunRecord } from "@fastagentic/core/RunRecord"
import { RunStore, type Write, type Written } from "@fastagentic/core/RunStore"
import { Duration, Effect, Layer, Result, type Scope } from "effect"
import type { RedisError } from "effect/persistence/Redis"
import { holdLease } from "./internal/lease.ts"
import * as Scripts from "./internal/scripts.ts"
import * as Values from "./internal/values.ts"
import * as Writes from "./internal/writes.ts"
import * as RedisClient from "./RedisClient.ts"

/**
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * How long after its last sign of life a node still has its runs, 3 seconds by default. It gives three signs in that
   * time. A node that closes gives its runs back at once. A longer lease suits agents that keep their process busy for
   * seconds without a pause.
   */
  readonly lease?: Duration.Input | undefined
}

/**
 * A run store on whatever `RedisClient` is there.
 *
 * **Details**
 *
 * A batch is one script, and Redis runs one script at a time: nobody sees half of it, and no other node comes between
 * its writes. With each commit the script publishes `"<run id> <seq>"` on the channel `<prefix>changes`.
 *
 * A journal is a list, and the place of an event in it is its number. Runs are listed from sorted sets, by thread,
 * state, owner, agent or tenant, whichever a query names first in this order.
 *
 * `unfinished` are runs that no other node has: their node is this one, or gave no sign of life within its lease. Who
 * takes a run becomes its node with the commit that sets the attempt. After a time in which Redis could not be
 * reached the others have one lease to come back before their runs are taken.
 *
 * **Gotchas**
 *
 * After `StoreUnavailable` a write may have been committed all the same: the connection can be lost before the answer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options = {}
): Effect.Effect<RunStore["Service"], RedisError, RedisClient.RedisClient | Scope.Scope> =>
  Effect.gen(function*() {
    const client = yield* RedisClient.RedisClient
    const { prefix, redis } = client
    const { node, steady } = yield* holdLease(client, Duration.fromInputUnsafe(options.lease ?? "3 seconds"))
    const evalWrite = redis.eval(Scripts.write)
    const evalPage = redis.eval(Scripts.page)
    const nodeName = JSON.stringify(node)

    const write = Effect.fnUntraced(function*(writes: ReadonlyArray<Write>) {
      const encoded = writes.map((write) => Result.try(() => Writes.argumentsOf(prefix, node, write)))
      const batch = encoded.flatMap((one) => Result.isSuccess(one) ? one.success : [])
      const reply = batch.length === 0 ? [] : yield* RedisClient.unavailable("write")(evalWrite(prefix, batch))
      const answers = (yield* decoded("write", () => Writes.decodeAnswers(reply))).values()
      return yield* Effect.forEach(writes, (write, index) => {
        const one = encoded[index]
        return one === undefined || Result.isFailure(one)
          ? notKept(write, one?.failure)
          : toWritten(write, answers.next().value ?? [])
      })
    })

    /** Up to so many runs of an index, however many Redis has to look at: it never looks at many at once. */
    const runs = Effect.fnUntraced(function*(operation: string, index: string, at: {
      readonly order: "newest" | "oldest"
      readonly bound: string
      readonly limit: number
      readonly whose?: "all" | "own" | "others"
      readonly filters: ReadonlyArray<string>
    }) {
      const found: Array<RunRecord> = []
      let bound = at.bound
      while (found.length < at.limit) {
        const args = [index, at.order, bound, `${at.limit - found.length}`, nodeName, at.whose ?? "", ...at.filters]
        const reply = yield* RedisClient.unavailable(operation)(evalPage(prefix, args))
        const { last, runs } = yield* decoded(operation, () => Values.toPage(reply))
        for (const { fields, runId } of runs) found.push(yield* record(runId, fields))
        if (last === "") break
        bound = `(${last}`
      }
      return found
    })

    const unfinished = (whose: "all" | "own" | "others") =>
      runs("unfinished runs", `${prefix}unfinished`, {
        order: "oldest",
        bound: "-",
        limit: Number.MAX_SAFE_INTEGER,
        whose,
        filters: ["0"]
      })

    const reading =
      <A>(operation: string, decode: (reply: unknown) => A) => (reply: Effect.Effect<unknown, RedisError>) =>
        Effect.flatMap(RedisClient.unavailable(operation)(reply), (reply) => decoded(operation, () => decode(reply)))

    return RunStore.of({
      write,

      get: (runId) =>
        redis.send("HGETALL", `${prefix}run:${runId}`).pipe(
          reading(`record of run ${runId}`, (fields) =>
            Values.isEmpty(fields) ? undefined : Values.toRecord(runId, fields))
        ),

      list: (query) =>
        runs("list runs", Writes.indexFor(prefix, query), {
          order: "newest",
          bound: query.before === undefined ? "+" : `(${query.before}`,
          limit: query.limit,
          filters: Writes.filtersOf(query)
        }),

      events: (runId, after, limit) =>
        redis.send("LRANGE", `${prefix}events:${runId}`, `${after}`, `${after + Math.max(limit, 1) - 1}`).pipe(
          reading(`events of run ${runId}`, (events) =>
            Values.toEvents(runId, events, after))
        ),

      steps: (runId) =>
        redis.send("HGETALL", `${prefix}steps:${runId}`).pipe(reading(`steps of run ${runId}`, Values.toSteps)),

      interrupts: (runId) =>
        redis.send("HGETALL", `${prefix}interrupts:${runId}`).pipe(
          reading(`interrupts of run ${runId}`, (interrupts) => Values.toInterrupts(runId, interrupts))
        ),

      unfinished: Effect.suspend(() => unfinished(steady() ? "all" : "own")),
      abandoned: Effect.suspend(() => steady() ? unfinished("others") : Effect.succeed([]))
    })
  })

/**
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient = (options: Options = {}): Layer.Layer<RunStore, RedisError, RedisClient.RedisClient> =>
  Layer.effect(RunStore, make(options))

const decoded = <A>(operation: string, decode: () => A): Effect.Effect<A, StoreUnavailable> =>
  Effect.try({ try: decode, catch: (cause) => new StoreUnavailable({ operation, cause }) })

const record = (runId: string, fields: unknown) =>
  decoded(`record of run ${runId}`, () => Values.toRecord(runId, fields))

// answers

const toWritten = (
  write: Write,
  [tag, first = "", ...rest]: ReadonlyArray<string>
): Effect.Effect<Written, StoreUnavailable> => {
  if (tag === "Admitted" && write._tag === "Admit") return Effect.succeed(Writes.admitted(write))
  if (tag === "Committed" && write._tag === "Commit") return Effect.succeed(Writes.committed(write, Number(first)))
  if (tag === "Refused") return Effect.succeed(Writes.refused)
  if (tag === "Attached") return attached(first, rest)
  if (tag === "Damaged") return notKept(write, first)
  return Effect.fail(new StoreUnavailable({ operation: "write", cause: new Error("Redis answered something else") }))
}

/** A run that cannot be read must not take the other writes of the batch with it. */
const attached = (runId: string, fields: ReadonlyArray<string>): Effect.Effect<Written> =>
  Effect.map(record(runId, fields), (run): Written => ({ _tag: "Attached", run })).pipe(
    Effect.catchTag(
      "StoreUnavailable",
      (error) =>
        Effect.as(Effect.logError("The run that holds an idempotency key cannot be read", error), Writes.refused)
    )
  )

/** A write that no store could keep, or that a damaged run cannot take, is the fault of its run alone. */
const notKept = (write: Write, cause: unknown): Effect.Effect<Written> =>
  Effect.logError("A write is refused because it cannot be stored", cause).pipe(
    Effect.annotateLogs({ runId: write._tag === "Admit" ? write.run.runId : write.runId }),
    Effect.as(Writes.refused)
  )
