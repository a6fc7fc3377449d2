/**
 * Runs in Redis: one script for each batch of writes.
 *
 * @since 0.1.0
 */
import * as Timings from "@fastagentic/core/base/Timings"
import { inTenantTurns, RunStore } from "@fastagentic/core/store/RunStore"
import { Duration, Effect, Layer, type Scope } from "effect"
import type { RedisError } from "effect/persistence/Redis"
import * as Keys from "./internal/keys.ts"
import { holdLease } from "./internal/lease.ts"
import { makeLists } from "./internal/lists.ts"
import * as Reads from "./internal/reads.ts"
import * as ReadScripts from "./internal/readScripts.ts"
import { reindex } from "./internal/reindex.ts"
import * as RemoveScript from "./internal/removeScript.ts"
import { makeRetention } from "./internal/retention.ts"
import { makeThreads } from "./internal/threads.ts"
import * as Values from "./internal/values.ts"
import * as Writes from "./internal/writes.ts"
import { makeWrite } from "./internal/writing.ts"
import * as RedisClient from "./RedisClient.ts"

/**
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * How long a node keeps its runs after it last renewed its lease, 3 seconds by default. It renews three times in that
   * time. A node that closes releases its runs at once. A longer lease suits agents that block the event loop for
   * seconds.
   */
  readonly lease?: Duration.Input | undefined
}

/**
 * A run store on a given `RedisClient`.
 *
 * **Details**
 *
 * A batch is one script, and Redis runs one script at a time, so that a batch is atomic. With each commit the script
 * publishes `"<run id> <seq>"` on the channel `<prefix>changes`.
 *
 * A journal is a list; the index of an event in it gives its number. Runs are listed from sorted sets, by parent,
 * thread, state, owner, agent or tenant: the first of these that a query names.
 *
 * `unfinished` are running runs that no other living node owns: their node is this one, or its lease has ended. A node
 * owns a run from the commit that sets the attempt. After a time in which Redis could not be reached, the other nodes
 * have one lease to come back before their runs are claimed.
 *
 * Waiting runs are indexed by the time that they wait for. `due` moves due runs to indexes by priority, one for each
 * tenant, and so never reads runs that are not due. `remove` starts with the runs that ended first.
 *
 * **Gotchas**
 *
 * After `StoreUnavailable` a write may have been committed all the same: the connection can be lost before the answer.
 *
 * A run that was written by a version without limits, timers and retention is limited, due and removable from its next
 * change of state on, and its steps have the number 0. A run that had ended before that version is not compacted.
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
    const { canTakeOver, node } = yield* holdLease(
      client,
      Duration.fromInputUnsafe(options.lease ?? Timings.leaseMillis)
    )
    yield* reindex(client)
    const collect = Reads.makeCollect(Values.toRecord)
    const evalPage = redis.eval(ReadScripts.page)
    const evalDue = redis.eval(ReadScripts.due)
    const evalOverdue = redis.eval(ReadScripts.overdue)
    const evalFacts = redis.eval(ReadScripts.facts)
    const evalRemoveFacts = redis.eval(RemoveScript.removeFacts)

    const get = (runId: string) =>
      redis.send("HGETALL", `${prefix}run:${runId}`).pipe(
        Reads.part(runId, "record", (fields) => Values.isEmpty(fields) ? undefined : Values.toRecord(runId, fields))
      )

    const running = (whose: "orphans" | "own" | "others") =>
      collect(
        "unfinished runs",
        { first: "-", limit: Number.MAX_SAFE_INTEGER },
        (at, limit) =>
          evalPage(prefix, [
            ...Keys.list([`${prefix}unfinished`]),
            "oldest",
            at,
            `${limit}`,
            JSON.stringify(node),
            whose,
            ...Keys.list(["state", JSON.stringify("running")]),
            ...Keys.list([])
          ])
      )

    /** Events of a compacted journal. */
    const packedEvents = (runId: string, after: number, limit: number) => {
      const { first, last } = Values.chunksWith(after, limit)
      return redis.send("LRANGE", `${prefix}packed:${runId}`, `${first}`, `${last}`).pipe(
        Reads.part(runId, "events", (chunks) => Values.toPackedEvents(runId, chunks, after, limit))
      )
    }

    return RunStore.of({
      identity: Effect.andThen(
        redis.send("SET", `${prefix}identity`, node, "NX"),
        redis.send("GET", `${prefix}identity`)
      ).pipe(Reads.answer("identity of the store", String)),
      bind: (app) =>
        Effect.andThen(
          redis.send("SET", `${prefix}app`, app, "NX"),
          redis.send("GET", `${prefix}app`)
        ).pipe(Reads.answer("app of the store", String)),
      app: redis.send("GET", `${prefix}app`).pipe(
        Reads.answer("app of the store", (reply) => reply === null ? undefined : String(reply))
      ),
      write: makeWrite(client, node),
      ...makeLists(client),
      ...makeRetention(client, get),
      facts: ({ before, limit }) =>
        Reads.answer("facts that wait", Values.toFacts)(evalFacts(prefix, [`${before}`, `${limit}`])),
      removeFacts: (ids) =>
        Reads.answer("remove facts", (reply) => reply)(evalRemoveFacts(prefix, ids)).pipe(Effect.asVoid),
      threads: makeThreads(client),
      get,

      events: (runId, after, limit) =>
        redis.send("LRANGE", `${prefix}events:${runId}`, `${after}`, `${after + Math.max(limit, 1) - 1}`).pipe(
          Reads.part(runId, "events", (events) => Values.toEvents(runId, events, after)),
          Effect.flatMap((events) => events.length === 0 ? packedEvents(runId, after, limit) : Effect.succeed(events))
        ),

      steps: (runId) =>
        redis.send("HGETALL", `${prefix}steps:${runId}`).pipe(Reads.part(runId, "steps", Values.toSteps)),

      interrupts: (runId) =>
        redis.send("HGETALL", `${prefix}interrupts:${runId}`).pipe(
          Reads.part(runId, "interrupts", (interrupts) => Values.toInterrupts(runId, interrupts))
        ),

      unfinished: Effect.suspend(() => running(canTakeOver() ? "orphans" : "own")),

      abandoned: Effect.suspend(() => canTakeOver() ? running("others") : Effect.succeed([])),

      due: Effect.fnUntraced(function*({ agents, limit, now, within }) {
        const found = yield* Effect.forEach(new Set(agents), (agent) =>
          collect(
            "due runs",
            { first: "0", limit },
            (at, limit) =>
              evalDue(prefix, [JSON.stringify(agent), `${now}`, at, `${limit}`, ...Writes.limitsOf(within)])
          ), { concurrency: "unbounded" })
        return inTenantTurns(found.flat()).slice(0, limit)
      }),

      overdue: ({ limit, now }) =>
        collect(
          "overdue runs",
          { first: "0", limit },
          (at, limit) => evalOverdue(prefix, [`${now}`, at, `${limit}`])
        ),

      countDue: ({ agents, now }) =>
        Effect.forEach(new Set(agents), (name) => {
          const agent = JSON.stringify(name)
          return Effect.all([
            redis.send("ZCARD", `${prefix}ready:${agent}`),
            redis.send("ZCOUNT", `${prefix}wake:${agent}`, "-inf", `${now}`)
          ])
        }).pipe(
          Reads.answer(
            "count due runs",
            (counts: unknown) => [counts].flat(3).reduce((sum: number, one) => sum + Number(one), 0)
          )
        )
    })
  })

/**
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient = (options: Options = {}): Layer.Layer<RunStore, RedisError, RedisClient.RedisClient> =>
  Layer.effect(RunStore, make(options))
