// Carries entries about changes from the outbox of the run store into the audit log. StoreWriter hands them over once their
// write is committed. A fact leaves the outbox only after its entry is committed, so that a killed process loses none.
import { Cause, Clock, type Context, Effect, Fiber, Option, type Scope, Semaphore } from "effect"
import { randomHex } from "../../base/internal/randomBytes.ts"
import * as Timings from "../../base/Timings.ts"
import type { StoreUnavailable } from "../../run/RunError.ts"
import type { Fact, RunStore } from "../../store/RunStore.ts"
import type { Audit, Entry, Noted } from "../Audit.ts"
import { NotedFact, readable } from "./notedFact.ts"
import { writeDown } from "./writeDown.ts"

/** How many facts are entered, or read from the outbox, in one go. */
const most = 500

/** Entered facts are removed from the outbox once there are so many, and when a node looks for those of others. */
const removeAfter = 256

/** How many facts wait in memory at most: the others are read from the outbox later. */
const mostInMemory = 10_000

export class AuditOutbox {
  private readonly store: Pick<RunStore["Service"], "facts" | "removeFacts">
  private readonly audit: Audit["Service"]
  private readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  private readonly prefix = randomHex(12)
  private made = 0
  private waiting: Array<NotedFact> = []
  /** Facts of this process that are still in the outbox: nothing reads them from there. */
  private readonly own = new Set<string>()
  private entered: Array<string> = []
  /** Entries that no outbox keeps, while they are written. */
  private readonly writing = new Map<Fact, Fiber.Fiber<void>>()
  private readonly turn = Semaphore.makeUnsafe(1)
  private wake: (() => void) | undefined

  constructor(
    store: Pick<RunStore["Service"], "facts" | "removeFacts">,
    audit: Audit["Service"],
    services: Context.Context<never>
  ) {
    this.store = store
    this.audit = audit
    this.fork = Effect.runForkWith(services)
  }

  /** Whether the log outlives this process: a store keeps facts only for such a log. */
  get isLasting(): boolean {
    return this.audit.enter !== undefined
  }

  note(entry: Entry): NotedFact {
    return new NotedFact(`${this.prefix}-${(this.made++).toString(36).padStart(8, "0")}`, entry)
  }

  /** Takes the facts of a write that is committed; `kept` says that they are in the outbox. */
  committed(facts: ReadonlyArray<Fact>, kept: boolean) {
    for (const fact of facts) {
      if (!(fact instanceof NotedFact)) continue
      fact.isCommitted = true
      if (!kept) this.write(fact)
      else if (this.waiting.length < mostInMemory) {
        this.own.add(fact.id)
        this.waiting.push(fact)
      }
    }
    if (kept) this.wake?.()
  }

  /** The entry of an action: where its change was not committed with it, or not kept with it, it is written now. */
  ensure(fact: NotedFact): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!fact.isCommitted) return this.writeOnce(fact)
      const fiber = this.writing.get(fact)
      return fiber === undefined ? Effect.void : Effect.asVoid(Fiber.await(fiber))
    })
  }

  /** Writes an entry that no change brings, after those that wait, which then share its commit. */
  record(entry: Entry): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.moveFirst()
      return this.audit.record(entry)
    })
  }

  /** Writes a fact under its id: a write that failed without an answer may have been made, and its fact be in the outbox. */
  private writeOnce(fact: NotedFact): Effect.Effect<void> {
    const { enter } = this.audit
    if (enter === undefined) return writeDown(this, fact.entry)
    return writeDown({
      record: () =>
        Effect.suspend(() => {
          this.moveFirst()
          return Effect.orDie(enter([fact], false))
        })
    }, fact.entry)
  }

  private moveFirst() {
    if (this.waiting.length > 0) this.fork(this.attempt(this.moveAll))
  }

  private write(fact: NotedFact) {
    const fiber = this.fork(writeDown(this, fact.entry))
    if (fiber.pollUnsafe() !== undefined) return
    this.writing.set(fact, fiber)
    fiber.addObserver(() => this.writing.delete(fact))
  }

  /** Enters all that was committed before, by any node. A log that cannot be written leaves it where it is. */
  readonly flush: Effect.Effect<void> = Effect.suspend(() =>
    Effect.andThen(
      Fiber.awaitAll([...this.writing.values()]),
      this.isLasting ? this.attempt(Effect.andThen(this.moveAll, this.sweep(Number.MAX_SAFE_INTEGER))) : Effect.void
    )
  )

  /** Enters what is committed here and removes it from the outbox: nothing is committed after this. */
  readonly finish: Effect.Effect<void> = Effect.suspend(() =>
    Effect.andThen(
      Fiber.awaitAll([...this.writing.values()]),
      this.isLasting ? this.attempt(Effect.andThen(this.moveAll, this.remove)) : Effect.void
    )
  )

  /** Enters what is committed here, and looks for what others have left behind: those that were killed, or cannot. */
  readonly run: Effect.Effect<void, never, Scope.Scope> = Effect.suspend(() => {
    const closing = Effect.addFinalizer(() => this.finish)
    if (!this.isLasting) return closing
    const moving = Effect.forever(
      this.awaitWork.pipe(
        Effect.andThen(Effect.sleep(Timings.auditCollectMillis)),
        Effect.andThen(this.attempt(this.moveAll))
      )
    )
    const older = Effect.flatMap(Clock.currentTimeMillis, (now) => this.sweep(now - Timings.auditOutboxMillis))
    const looking = Effect.forever(
      Effect.andThen(Effect.sleep(Timings.auditOutboxMillis), this.attempt(Effect.andThen(this.remove, older)))
    )
    return closing.pipe(
      Effect.andThen(Effect.forkScoped(moving)),
      Effect.andThen(Effect.forkScoped(
        Effect.andThen(this.attempt(this.sweep(Number.MAX_SAFE_INTEGER)), looking)
      )),
      Effect.asVoid
    )
  })

  private readonly awaitWork = Effect.callback<void>((resume) => {
    if (this.waiting.length > 0) return resume(Effect.void)
    this.wake = () => {
      this.wake = undefined
      resume(Effect.void)
    }
  })

  /** One at a time; a failure is logged, and what was to be entered is in the outbox. */
  private attempt(work: Effect.Effect<void, StoreUnavailable>): Effect.Effect<void> {
    return Effect.uninterruptible(this.turn.withPermit(Effect.catchCause(work, (cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.void
        : Effect.logError("Entries wait in the outbox, since the audit log cannot be written", cause))))
  }

  private enter(noted: ReadonlyArray<Noted>, mayBeThere: boolean): Effect.Effect<void, StoreUnavailable> {
    return noted.length === 0 ? Effect.void : this.audit.enter?.(noted, mayBeThere) ?? Effect.void
  }

  /** Enters what waits now. What comes meanwhile is collected for the next time, however busy the node is. */
  private readonly moveAll: Effect.Effect<void, StoreUnavailable> = Effect.suspend(() => {
    const batch = this.waiting.splice(0, most)
    if (batch.length === 0) return Effect.void
    const ids = batch.map(({ id }) => id)
    return this.enter(batch, false).pipe(
      // They may be in the log all the same: they are read from the outbox and looked up.
      Effect.onError(() => Effect.sync(() => ids.forEach((id) => this.own.delete(id)))),
      Effect.andThen(Effect.suspend(() => {
        this.entered.push(...ids)
        return this.entered.length < removeAfter ? Effect.void : this.remove
      })),
      Effect.andThen(batch.length < most ? Effect.void : this.moveAll)
    )
  })

  /** Removes what is entered from the outbox. */
  private readonly remove: Effect.Effect<void, StoreUnavailable> = Effect.suspend(() => {
    const ids = this.entered
    if (ids.length === 0) return Effect.void
    this.entered = []
    return Effect.ensuring(
      this.store.removeFacts(ids),
      Effect.sync(() => ids.forEach((id) => this.own.delete(id)))
    )
  })

  /** Enters the facts from before a time that this process does not know, page by page. */
  private sweep(before: number): Effect.Effect<void, StoreUnavailable> {
    return Effect.suspend(() =>
      Effect.flatMap(this.store.facts({ before, limit: most }), (found) => {
        const others = found.filter(({ id }) => !this.own.has(id))
        if (others.length === 0) return Effect.void
        return Effect.flatMap(Effect.forEach(others, readable), (read) => {
          const noted = read.flatMap(Option.toArray)
          if (noted.length === 0) return Effect.void
          return this.enter(noted, true).pipe(
            Effect.andThen(this.store.removeFacts(noted.map(({ id }) => id))),
            Effect.andThen(found.length < most ? Effect.void : this.sweep(before))
          )
        })
      })
    )
  }
}
