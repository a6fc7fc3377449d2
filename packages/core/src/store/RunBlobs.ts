/**
 * Large values of runs, kept in a blob store instead of the database.
 *
 * @since 0.1.0
 */
import { Clock, Context, Effect, Layer, Result, type Schema } from "effect"
import type { RunEvent } from "../run/Event.ts"
import { type JournalDamaged, StoreUnavailable } from "../run/RunError.ts"
import type { RunRecord } from "../run/RunRecord.ts"
import { BlobStore } from "./BlobStore.ts"
import * as Files from "./Files.ts"
import { sweepBlobs } from "./internal/blobSweep.ts"
import { isMarked, keyIn, makeValues } from "./internal/blobValues.ts"
import { concerns, keepCommit, keepWrite, keysOf, restored } from "./internal/blobWrites.ts"
import {
  type Commit,
  type Query,
  type ReadError,
  RunStore,
  type ScanQuery,
  type StoredStep,
  type Write,
  type Written
} from "./RunStore.ts"

/**
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** Payloads, outputs and step values with about this many characters of JSON or more, 65,536 by default, are blobs. */
  readonly threshold?: number | undefined
}

/**
 * A run store that keeps large values in the blob store and the rest where it was kept before.
 *
 * **Details**
 *
 * A blob is written before the commit that refers to it, and names its run: runs share no blobs, so those of a run are
 * removed just before it. Readers get whole values. A value that cannot be read, because its blob is missing
 * or is not what was written, makes its run `JournalDamaged` and no other.
 *
 * **Gotchas**
 *
 * A commit waits for its blobs, and the commits that wait with it. When they take more than ten minutes it is not made:
 * blobs of commits that were never made, and of values that were written anew, are removed later (`Retention`).
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(options: Options = {}) {
  const store = yield* RunStore
  const blobs = yield* BlobStore
  let identity: string | undefined
  const values = makeValues(
    blobs,
    Effect.suspend(() =>
      identity === undefined
        ? Effect.map(store.identity, (known) => identity = known)
        : Effect.succeed(identity)
    ),
    options.threshold ?? 65_536
  )
  const { take } = values

  // reading

  const whole = Effect.fnUntraced(function*(run: RunRecord): Effect.fn.Return<RunRecord, ReadError> {
    if (!isMarked(run.payload) && !isMarked(run.output)) return run
    const payload = yield* take(run.runId, "payload", run.payload)
    return run.output === undefined
      ? { ...run, payload }
      : { ...run, payload, output: yield* take(run.runId, "output", run.output) }
  })

  const known = new Set<string>()
  const log = ({ runId, what }: JournalDamaged) => {
    if (known.has(runId)) return Effect.void
    known.add(runId)
    return Effect.annotateLogs(Effect.logError("A value of a run is missing in the blob store"), { runId, what })
  }

  const each = <A>(runs: ReadonlyArray<RunRecord>, otherwise: (run: RunRecord) => A) =>
    Effect.forEach(
      runs,
      (run) => Effect.catchTag(whole(run), "JournalDamaged", (error) => Effect.as(log(error), otherwise(run))),
      { concurrency: 8 }
    )

  /** Runs that somebody takes over: one that is damaged is found to be so by whoever takes it, and ends. */
  const toBeTaken = (runs: ReadonlyArray<RunRecord>) => each(runs, bare)

  /** Others take the place of what is damaged, so that only the last page is a short one. */
  const paged = <Q extends Query | ScanQuery>(
    read: (query: Q) => Effect.Effect<ReadonlyArray<RunRecord>, StoreUnavailable>
  ) =>
    Effect.fnUntraced(function*(query: Q): Effect.fn.Return<ReadonlyArray<RunRecord>, StoreUnavailable> {
      const found: Array<RunRecord> = []
      let { before } = query
      while (true) {
        const limit = query.limit - found.length
        const page = yield* read(before === undefined ? { ...query, limit } : { ...query, before, limit })
        for (const run of yield* each(page, () => undefined)) if (run !== undefined) found.push(run)
        if (page.length < limit || found.length >= query.limit) return found
        before = page.at(-1)?.runId
      }
    })

  const events: RunStore["Service"]["events"] = (runId, after, limit) =>
    Effect.flatMap(store.events(runId, after, limit), (events) =>
      events.some(isKept)
        ? Effect.forEach(events, (event): Effect.Effect<RunEvent, ReadError> =>
          event.type === "done"
            ? Effect.map(
              take(runId, `event ${event.seq}`, event.data.output),
              (output) => ({ ...event, data: { ...event.data, output } })
            )
            : Effect.succeed(event))
        : Effect.succeed(events))

  const steps = (runId: string) =>
    Effect.flatMap(
      store.steps(runId),
      Effect.forEach((step): Effect.Effect<StoredStep, ReadError> =>
        isMarked(step.value)
          ? Effect.map(take(runId, `step ${step.name}`, step.value), (value) => ({ ...step, value }))
          : Effect.succeed(step), { concurrency: 8 })
    )

  // writing

  /** The outcome of a write. A run of another writer is read here; its failure must not fail the batch. */
  const answer = (write: Write, kept: Write, written: Written): Effect.Effect<Written> => {
    if (written._tag === "Refused") return Effect.succeed(written)
    if (written._tag === "Committed") {
      return Effect.succeed({ ...written, events: restored(written.events, write.events) })
    }
    if (write._tag === "Commit") return Effect.succeed(written)
    if (written._tag === "Admitted") {
      const run = { ...write.run, seq: written.run.seq }
      return Effect.succeed({ ...written, run, events: restored(written.events, write.events) })
    }
    const { _tag, run } = written
    const unused = run.runId === write.run.runId ? Effect.void : Effect.ignore(values.remove(keysOf(kept)))
    return whole(run).pipe(
      Effect.map((run): Written => ({ _tag, run })),
      Effect.catch((error) =>
        Effect.as(Effect.logError("The run that is in the way of another cannot be read", error), refused)
      ),
      Effect.tap(() => unused)
    )
  }

  const writeKept = Effect.fnUntraced(function*(writes: ReadonlyArray<Write>) {
    const startedAt = yield* Clock.currentTimeMillis
    const kept = yield* Effect.forEach(
      writes,
      (write) =>
        concerns(values, write) ? Effect.result(keepWrite(values, write)) : Effect.succeed(Result.succeed(write)),
      { concurrency: 8 }
    )
    const [first] = kept
    if (kept.length === 1 && first !== undefined && Result.isFailure(first)) return yield* Effect.fail(first.failure)
    // A blob that cannot be written is the trouble of its run alone, which then gets no further either.
    const lost = new Set<string>()
    const batch = kept.flatMap((one, index) => {
      const write = writes[index]
      if (write === undefined || lost.has(runOf(write))) return []
      if (Result.isSuccess(one)) return [{ index, write, kept: one.success }]
      lost.add(runOf(write))
      return []
    })
    if (lost.size > 0) yield* Effect.logError("Runs are held up because their blobs cannot be written", [...lost])
    yield* inTime(startedAt)
    const answers = yield* store.write(batch.map(({ kept }) => kept))
    const outcomes = new Map<number, Written>()
    for (const [at, { index, kept, write }] of batch.entries()) {
      outcomes.set(index, yield* answer(write, kept, answers[at] ?? refused))
    }
    return writes.map((_, index) => outcomes.get(index) ?? refused)
  })

  const write: RunStore["Service"]["write"] = (writes) =>
    writes.some((write) => concerns(values, write))
      ? writeKept(writes)
      : Effect.flatMap(store.write(writes), (answers) =>
        answers.some(({ _tag }) =>
            _tag === "Attached" || _tag === "Busy"
          )
          ? Effect.forEach(answers, (written, index) => {
            const write = writes[index]
            return write === undefined ? Effect.succeed(written) : answer(write, write, written)
          })
          : Effect.succeed(answers))

  // removing

  const blobsOf = (run: RunRecord) =>
    Effect.map(
      Effect.catchTag(store.steps(run.runId), "JournalDamaged", () => Effect.succeed([])),
      (steps) => [run.payload, run.output, ...steps.map(({ value }) => value)].flatMap(keyIn)
    )

  const remove: RunStore["Service"]["remove"] = Effect.fnUntraced(function*(query) {
    const found = yield* store.remove({ ...query, dryRun: true })
    if (query.dryRun === true || found.length === 0) return found.map(bare)
    // First the blobs: what is left half done here is done again.
    const keys = yield* Effect.forEach(found, blobsOf, { concurrency: 8 })
    yield* values.remove(keys.flat())
    return (yield* store.remove({ ...query, runIds: found.map(({ runId }) => runId) })).map(bare)
  })

  const { transact } = store
  const keepInTime = Effect.fnUntraced(function*(write: Commit) {
    const startedAt = yield* Clock.currentTimeMillis
    return yield* Effect.tap(keepCommit(values, write), () => inTime(startedAt))
  })
  // Each named, so that a new operation of the port has to be thought of here.
  return RunStore.of({
    identity: store.identity,
    bind: store.bind,
    app: store.app,
    write,
    facts: store.facts,
    removeFacts: store.removeFacts,
    get: (runId) => Effect.flatMap(store.get(runId), (run) => run === undefined ? Effect.undefined : whole(run)),
    threads: store.threads,
    list: paged(store.list),
    summaries: store.summaries,
    recent: store.recent,
    pending: store.pending,
    scan: paged(store.scan),
    events,
    steps,
    interrupts: store.interrupts,
    unfinished: Effect.flatMap(store.unfinished, toBeTaken),
    abandoned: Effect.flatMap(store.abandoned, toBeTaken),
    due: (query) => Effect.flatMap(store.due(query), toBeTaken),
    countDue: store.countDue,
    overdue: (query) => Effect.flatMap(store.overdue(query), toBeTaken),
    remove,
    // A reference is data of an event like any other.
    compact: store.compact,
    sweepBlobs: (query) => sweepBlobs({ store, blobs, values }, query),
    ...(transact === undefined ? {} : {
      transactsApart: store.transactsApart === true,
      transact: (body, commit) =>
        Effect.flatMap(
          transact(
            Effect.flatMap(body, (value) => {
              const write = commit(value)
              return Effect.map(keepInTime(write), (kept) => ({ value, write, kept }))
            }),
            ({ kept }) => kept
          ),
          ([{ kept, value, write }, written]) =>
            Effect.map(answer(write, kept, written), (written) => [value, written] as const)
        )
    })
  })
})

/**
 * Puts itself before the run store that is there, and keeps the files of its callers and runs (`Files`).
 *
 * **Example** (Keeping large values in files)
 *
 * ```ts
 * import { RunBlobs } from "@fastagentic/core"
 * import { FileBlobStore } from "@fastagentic/stores/blob"
 * import { Sqlite } from "@fastagentic/stores/sqlite"
 * import { Layer } from "effect"
 *
 * const Stores = RunBlobs.layer().pipe(
 *   Layer.provide(FileBlobStore.layer({ folder: "./data/acme.blobs" })),
 *   Layer.provideMerge(Sqlite.layer({ filename: "./data/acme.db" }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<RunStore | Files.Files, never, RunStore | BlobStore> =>
  Layer.effectContext(Effect.gen(function*() {
    const blobs = yield* BlobStore
    const store = yield* make(options)
    return Context.make(RunStore, store).pipe(Context.add(Files.Files, Files.make(blobs, store.identity)))
  }))

/** A writer that was stopped for long must not refer to a blob that may be gone. */
const inTime = (startedAt: number) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    now - startedAt <= 600_000
      ? Effect.void
      : Effect.fail(new StoreUnavailable({ operation: "write: its blobs took more than ten minutes" })))

const refused: Written = { _tag: "Refused" }

const runOf = (write: Write) => write._tag === "Admit" ? write.run.runId : write.runId

/** A record without the values that are not at hand. */
const bare = (run: RunRecord): RunRecord => {
  const { output, ...rest } = run
  const payload: Schema.Json = isMarked(run.payload) ? null : run.payload
  return output === undefined || isMarked(output) ? { ...rest, payload } : { ...rest, payload, output }
}

const isKept = (event: RunEvent) => event.type === "done" && isMarked(event.data.output)
