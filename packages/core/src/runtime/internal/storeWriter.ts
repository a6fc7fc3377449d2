// Commits the waiting writes of a node in batches, in order; one writer for each store. A write is answered after its commit.
import { Cause, type Context, Effect, type Scope, Semaphore, type Tracer } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { AuditOutbox } from "../../audit/internal/auditOutbox.ts"
import { StoreUnavailable } from "../../run/RunError.ts"
import type { MemoryRunStore } from "../../store/internal/memoryRunStore.ts"
import type { Commit, Fact, RunStore, Write, Written } from "../../store/RunStore.ts"
import type { Metrics } from "../../telemetry/internal/metrics.ts"
import * as Tracing from "../../telemetry/Tracing.ts"

interface Pending {
  readonly write: Write
  readonly facts: ReadonlyArray<Fact> | undefined
  readonly done: (written: Written | StoreUnavailable) => void
  /** The span of the caller that waits for the write. */
  readonly span: Tracer.AnySpan | undefined
}

/** Work of somebody else's that shares a transaction with a write. */
interface Transaction {
  readonly run: Effect.Effect<void>
}

/** How long a commit that failed keeps a node from being ready, in milliseconds. */
const failureMillis = 10_000

/** How many writes may wait before whoever emits has to wait as well. */
const backlogLimit = 256

/**
 * The one writer of a store: it commits whatever waits in one transaction, so a busy node pays for few commits.
 *
 * A store in memory has nothing to wait for: its writes are made at the end of the current task, without a fiber.
 */
export class StoreWriter {
  readonly store: RunStore["Service"]
  /** Takes the entries about committed writes; nothing for runs that are only replayed. */
  readonly outbox: AuditOutbox | undefined
  /** Whether the store keeps facts until they are entered: not in memory, and not for a log in memory. */
  readonly keepsFacts: boolean
  /** Grows when the waiting writes are taken: what was put in line under an older turn cannot be added to. */
  turn = 0
  private pending: Array<Pending | Transaction> = []
  private wake: (() => void) | undefined
  private closed = false
  /** Set while the store is not the one that was opened: nothing is written to another one. */
  private refusal: StoreUnavailable | undefined
  private failedAt: number | undefined
  /** The connections that side effects may take, so that the line always finds one. */
  private readonly apart = Semaphore.makeUnsafe(4)
  private readonly waitingForRoom = new Set<() => void>()
  private readonly writeNow: MemoryRunStore["writeNow"] | undefined
  private readonly metrics: Metrics

  constructor(store: RunStore["Service"] | MemoryRunStore, metrics: Metrics, outbox?: AuditOutbox) {
    this.store = store
    this.outbox = outbox
    this.keepsFacts = outbox?.isLasting === true && !("writeNow" in store)
    this.metrics = metrics
    this.writeNow = "writeNow" in store ? store.writeNow : undefined
  }

  /** Puts a write in line. `done` is called after its commit, before that of any later write. */
  enqueue(write: Write, done: Pending["done"], span?: Tracer.AnySpan) {
    if (this.closed) return done(stopped)
    if (this.refusal !== undefined) return done(this.refusal)
    this.pending.push({ write: this.kept(write), facts: write.facts, done, span })
    if (this.writeNow === undefined) this.wake?.()
    else if (this.pending.length === 1) queueMicrotask(() => this.flushNow())
  }

  /** Takes a write out of the line again; false when the writer has taken it. */
  withdraw(write: Write): boolean {
    const at = this.pending.findLastIndex((one) => "write" in one && one.write === write)
    if (at !== -1) this.pending.splice(at, 1)
    return at !== -1
  }

  /** The write as the store keeps it. */
  private kept(write: Write): Write {
    if (write.facts === undefined || this.keepsFacts) return write
    const { facts: _facts, ...rest } = write
    return rest
  }

  /** The commit of a transaction, made once, since making it takes what it brings from the run. */
  private transaction<A>(commit: (value: A) => Commit, done: (write: Commit, written: Written) => void) {
    let made: Commit | undefined
    return {
      commit: (value: A): Commit => {
        made ??= commit(value)
        if (made.facts === undefined || this.keepsFacts) return made
        const { facts: _facts, ...rest } = made
        return rest
      },
      done: (written: Written) => {
        if (made === undefined) return
        this.noted(made.facts, written)
        done(made, written)
      }
    }
  }

  private noted(facts: ReadonlyArray<Fact> | undefined, written: Written) {
    if (facts === undefined || facts.length === 0) return
    if (written._tag === "Admitted" || written._tag === "Committed") this.outbox?.committed(facts, this.keepsFacts)
  }

  /** Writes and waits for the commit. */
  write(write: Write, committed: (written: Written) => void = () => {}): Effect.Effect<Written, StoreUnavailable> {
    return Effect.flatMap(Tracing.current, (span) =>
      Effect.callback<Written, StoreUnavailable>((resume) => {
        this.enqueue(write, (written) => {
          if (written instanceof StoreUnavailable) return resume(Effect.fail(written))
          committed(written)
          resume(Effect.succeed(written))
        }, span)
      }))
  }

  /**
   * Runs an effect and commits what follows from it in one transaction, after all that is in line already. Everything that
   * comes later waits for it.
   */
  transact<A, E, R>(
    body: Effect.Effect<A, E, R | SqlClient>,
    commit: (value: A) => Commit,
    done: (write: Commit, written: Written) => void
  ): Effect.Effect<A, E | StoreUnavailable, Exclude<R, SqlClient>> {
    const { transact } = this.store
    if (transact === undefined) return Effect.die(new NoTransactions())
    const transaction = this.transaction(commit, done)
    if (this.store.transactsApart === true) return this.transactApart(transact, body, transaction)
    return Effect.contextWith((context: Context.Context<Exclude<R, SqlClient>>) =>
      Effect.callback<A, E | StoreUnavailable>((resume) => {
        if (this.closed) return resume(Effect.fail(stopped))
        if (this.refusal !== undefined) return resume(Effect.fail(this.refusal))
        const run = transact(body, transaction.commit).pipe(
          Effect.provideContext(context),
          Effect.map(([value, written]) => {
            transaction.done(written)
            return value
          }),
          Effect.exit,
          Effect.map((exit) => resume(exit))
        )
        this.pending.push({ run })
        this.wake?.()
      })
    )
  }

  /** The same beside the line, on a connection of its own, once all that was in line before is written. */
  private transactApart<A, E, R>(
    transact: NonNullable<RunStore["Service"]["transact"]>,
    body: Effect.Effect<A, E, R | SqlClient>,
    { commit, done }: { readonly commit: (value: A) => Commit; readonly done: (written: Written) => void }
  ): Effect.Effect<A, E | StoreUnavailable, Exclude<R, SqlClient>> {
    const refusal = this.closed ? stopped : this.refusal
    if (refusal !== undefined) return Effect.fail(refusal)
    // The commit and the news of it belong together; the body can be interrupted.
    const transacted = Effect.uninterruptibleMask((restore) =>
      Effect.map(transact(restore(body), commit), ([value, written]) => {
        done(written)
        return value
      })
    )
    return this.apart.withPermits(1)(Effect.andThen(this.written, transacted))
  }

  /** Waits until everything is written that is in line now. */
  private readonly written: Effect.Effect<void> = Effect.callback<void>((resume) => {
    this.pending.push({ run: Effect.sync(() => resume(Effect.void)) })
    this.wake?.()
  })

  /** Refuses all writes from now on, or takes them again. */
  refuse(reason: StoreUnavailable | undefined) {
    this.refusal = reason
  }

  /** Whether the last commit failed, and not long ago: without a commit to try, a store has to be trusted again. */
  get isFailing(): boolean {
    return this.refusal !== undefined ||
      (this.failedAt !== undefined && performance.now() - this.failedAt < failureMillis)
  }

  /** Waits until the line is short. */
  readonly room: Effect.Effect<void> = Effect.suspend(() =>
    this.pending.length < backlogLimit ? Effect.void : Effect.callback<void>((resume) => {
      const notify = () => resume(Effect.void)
      this.waitingForRoom.add(notify)
      return Effect.sync(() => {
        this.waitingForRoom.delete(notify)
      })
    })
  )

  /** Runs the writer until the scope closes; what waits then is still written. */
  readonly run: Effect.Effect<void, never, Scope.Scope> = Effect.suspend(() =>
    Effect.addFinalizer(() => this.close).pipe(
      Effect.andThen(Effect.forkScoped(Effect.forever(Effect.andThen(this.awaitWork, this.flush)))),
      Effect.asVoid
    )
  )

  private readonly close = Effect.suspend(() => {
    this.closed = true
    return this.flush
  })

  private readonly awaitWork = Effect.callback<void>((resume) => {
    if (this.pending.length > 0) return resume(Effect.void)
    this.wake = () => {
      this.wake = undefined
      resume(Effect.void)
    }
  })

  private readonly flush: Effect.Effect<void> = Effect.uninterruptible(Effect.suspend(() => {
    const [first] = this.pending
    if (first === undefined) return Effect.void
    this.turn++
    if ("run" in first) {
      this.pending.shift()
      return Effect.andThen(first.run, this.flush)
    }
    const batch = this.takeWrites()
    const since = performance.now()
    const counted = () => this.metrics.transaction(batch.length, performance.now() - since)
    return Effect.matchCause(traced(this.store.write(batch.map((one) => one.write)), batch), {
      onFailure: (cause) => {
        counted()
        this.failedAt = performance.now()
        this.settle(batch, () => unavailable(cause))
      },
      onSuccess: (written) => {
        counted()
        this.failedAt = undefined
        this.settle(batch, (index) => written[index] ?? missing)
      }
    })
  }))

  /** The writes in line, up to the first transaction. */
  private takeWrites(): ReadonlyArray<Pending> {
    const batch: Array<Pending> = []
    for (const one of this.pending) {
      if ("run" in one) break
      batch.push(one)
    }
    this.pending = this.pending.slice(batch.length)
    return batch
  }

  private flushNow() {
    const batch = this.takeWrites()
    if (batch.length === 0 || this.writeNow === undefined) return
    this.turn++
    const written = this.writeNow(batch.map((one) => one.write))
    this.settle(batch, (index) => written[index] ?? missing)
  }

  private settle(batch: ReadonlyArray<Pending>, answer: (index: number) => Written | StoreUnavailable) {
    let events = 0
    for (const [index, one] of batch.entries()) {
      const written = answer(index)
      if (!(written instanceof StoreUnavailable)) this.noted(one.facts, written)
      if ("events" in written) events += written.events.length
      one.done(written)
    }
    if (events > 0) this.metrics.committed(events)
    for (const notify of this.waitingForRoom) notify()
    this.waitingForRoom.clear()
  }
}

/** One span for a transaction that somebody waits for: it belongs to the first of them and names the others. */
const traced = <A, E>(write: Effect.Effect<A, E>, batch: ReadonlyArray<Pending>): Effect.Effect<A, E> => {
  const spans = new Set<Tracer.AnySpan>()
  for (const { span } of batch) if (span !== undefined) spans.add(span)
  const [parent, ...others] = spans
  if (parent === undefined) return Tracing.silently(write)
  return Tracing.within(Tracing.silently(write), "store.commit", () => ({
    kind: "client",
    parent,
    links: others.slice(0, 32).map((span) => ({ span, attributes: {} })),
    attributes: { "fastagentic.store.writes": batch.length }
  }))
}

/** A writer survives every failure of its store. */
const unavailable = (cause: Cause.Cause<StoreUnavailable>) => {
  const error = Cause.squash(cause)
  return error instanceof StoreUnavailable ? error : new StoreUnavailable({ operation: "write", cause: error })
}

/** Only a store that is a SQL database can take a run's side effect into its transaction. */
class NoTransactions extends Error {
  override readonly message = "Run.sideEffect needs a durable run and a store that is a SQL database"
}

const stopped = new StoreUnavailable({ operation: "write: the server has stopped" })

const missing = new StoreUnavailable({ operation: "write: fewer answers than writes" })
