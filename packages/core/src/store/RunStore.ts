/**
 * The port to where runs live. Every write is a batch that is committed as a whole.
 *
 * @since 0.1.0
 */
import { Context, type Effect, Layer, type Schema } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Event, RunEvent } from "../run/Event.ts"
import type { Interrupt, Resolution } from "../run/Interrupt.ts"
import type { JournalDamaged, StoreUnavailable } from "../run/RunError.ts"
import type { Phase, RunFilter, RunRecord, RunState } from "../run/RunRecord.ts"
import type { ThreadStore, Turn } from "../thread/ThreadStore.ts"
import { makeMemoryRunStore } from "./internal/memoryRunStore.ts"
import type { ChangeableField, RunSummary } from "./RecordFields.ts"

/**
 * Admits a run with its first events. When another run of the same tenant, owner and agent holds the idempotency key,
 * nothing is written and that run is the answer. A fork brings the steps and interrupts that it goes on from.
 *
 * `alone` writes nothing while another run of its thread is queued, running or suspended: that run is the
 * answer. A thread is the owner's in its tenant.
 *
 * @category models
 * @since 0.1.0
 */
export interface Admit {
  readonly _tag: "Admit"
  readonly run: RunRecord
  readonly events: ReadonlyArray<Event>
  readonly steps?: ReadonlyArray<Step>
  readonly interrupts?: ReadonlyArray<Interrupt>
  readonly alone?: boolean
  readonly facts?: ReadonlyArray<Fact>
}

/**
 * Text for the audit log that is kept with the change that it records, in the same transaction, until it is entered there.
 * When nothing is written, no fact is kept. `at` is Unix milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fact {
  readonly id: string
  readonly at: number
  readonly body: string
}

/** Facts from before a time, oldest first. @category models @since 0.1.0 */
export interface FactQuery {
  readonly before: number
  readonly limit: number
}

/**
 * Appends to a run's journal and changes its record, if the run is still of this attempt and in one of the states
 * `from`, and the interrupt to be resolved is open, and there is room for it `within` the limits. Otherwise nothing is
 * written. A `turn` is appended to its thread.
 *
 * @category models
 * @since 0.1.0
 */
export interface Commit {
  readonly _tag: "Commit"
  readonly runId: string
  readonly attempt: number
  readonly from: ReadonlyArray<RunState>
  readonly ts: number
  readonly events: ReadonlyArray<Event>
  readonly set?: Changes
  readonly steps?: ReadonlyArray<Step>
  readonly open?: ReadonlyArray<Interrupt>
  readonly resolve?: { readonly id: string; readonly resolution: Resolution }
  readonly within?: Limits
  readonly facts?: ReadonlyArray<Fact>
  readonly turn?: Turn
  /** Refused unless the run's last event has this number: nobody has written an event that the writer does not know of. */
  readonly ifSeq?: number
}

/**
 * How many other runs may be running, of the same kind and agent, and of those in the same tenant. With `thread`, no other
 * run of the thread may be running or suspended, nor an older one queued; a run that another run has started is a part of
 * that run's turn and waits for none.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  readonly agent?: number
  readonly tenant?: number
  readonly thread?: boolean
}

/**
 * The changes that a commit makes to a record. A change of state clears `wakeAt` and `waitsFor` unless the same change
 * sets them. `recordFields` says which fields a commit may change.
 *
 * @category models
 * @since 0.1.0
 */
export type Changes = Partial<Pick<RunRecord, ChangeableField>>

/** The stored result of a step. @category models @since 0.1.0 */
export interface Step {
  readonly name: string
  readonly value: Schema.Json
}

/** A step as it is kept: `seq` is the number of the run's last event when it was committed. @category models @since 0.1.0 */
export interface StoredStep extends Step {
  readonly seq: number
}

/** @category models @since 0.1.0 */
export type Write = Admit | Commit

/** The outcome of one write; `events` carry the numbers that the store gave them. @category models @since 0.1.0 */
export type Written =
  | { readonly _tag: "Admitted"; readonly run: RunRecord; readonly events: ReadonlyArray<RunEvent> }
  | { readonly _tag: "Attached"; readonly run: RunRecord }
  | { readonly _tag: "Busy"; readonly run: RunRecord }
  | { readonly _tag: "Committed"; readonly events: ReadonlyArray<RunEvent> }
  | { readonly _tag: "Refused" }

/** Runs newest first; `before` is the run id that the previous page ended with. @category models @since 0.1.0 */
export interface Query extends RunFilter {
  readonly tenant: string
  readonly owner?: string
  readonly before?: string
  readonly limit: number
}

/**
 * The runs of a list: those of a query, or of these only those that are named.
 *
 * @category models
 * @since 0.1.0
 */
export interface SummaryQuery extends Query {
  readonly runIds?: ReadonlyArray<string>
}

/**
 * Runs in the order of their last change, newest first; `before` is the last run of the previous page as it was then, and
 * `since` leaves out runs that changed earlier.
 *
 * @category models
 * @since 0.1.0
 */
export interface RecentQuery extends Pick<RunFilter, "agent" | "kind" | "threadId"> {
  readonly tenant: string
  readonly owner?: string
  readonly phase?: Phase
  readonly since?: number
  readonly before?: Recent
  readonly limit: number
}

/** A run, and when it last changed. @category models @since 0.1.0 */
export interface Recent {
  readonly runId: string
  readonly changedAt: number
}

/** A page of runs, and how many there are on all pages, `mostCounted` at most. @category models @since 0.1.0 */
export interface RecentPage {
  readonly runs: ReadonlyArray<Recent>
  readonly total: number
}

/**
 * Runs of a tenant with an open interrupt that a principal may decide, newest first; `before` is the run id that the
 * previous page ended with. Runs that have ended have none.
 *
 * An interrupt without approvers is decided by those who see its run: of `owner`, or of every owner when there is none. For
 * one with approvers, `decides` says whether the principal holds their scopes, and `requester` is left out as the owner of
 * a run whose interrupt excludes its requester.
 *
 * @category models
 * @since 0.1.0
 */
export interface PendingQuery {
  readonly tenant: string
  readonly owner?: string
  readonly decides: (scopes: ReadonlyArray<string>) => boolean
  readonly requester: string
  readonly before?: string
  readonly limit: number
}

/**
 * Runs of these agents, queued or suspended, whose time has come, by turns of their tenants: the first run of every tenant,
 * then the second of every tenant. In a turn the oldest come first; of one tenant the highest priority comes first, then
 * the oldest. Those for which there is no room `within` the limits of each agent are left out, so that a full line does
 * not hide what stands behind it; what waits for a decision needs no room.
 *
 * @category models
 * @since 0.1.0
 */
export interface DueQuery {
  readonly now: number
  readonly agents: ReadonlyArray<string>
  readonly limit: number
  readonly within?: Limits
}

/**
 * Runs of all tenants in these states, newest first; `before` is the run id that the previous page ended with. `except`
 * leaves out runs with one of these fingerprints, unless they wait for a migration.
 *
 * @category models
 * @since 0.1.0
 */
export interface ScanQuery {
  readonly states: ReadonlyArray<RunState>
  readonly agent?: string
  readonly except?: ReadonlyArray<string>
  readonly before?: string
  readonly limit: number
}

/**
 * Runs that ended in one of these states before a time, oldest first: of these that are named, or of all whose parent is
 * gone already. The children of a run are kept at least as long as the run.
 *
 * @category models
 * @since 0.1.0
 */
export interface RemoveQuery {
  readonly runIds?: ReadonlyArray<string>
  readonly states: ReadonlyArray<RunState>
  readonly tenant?: string
  readonly exceptTenants?: ReadonlyArray<string>
  readonly finishedBefore: number
  readonly limit: number
}

/**
 * Runs that ended before a time and whose journals are kept as they were written, those that ended first first.
 *
 * @category models
 * @since 0.1.0
 */
export interface CompactQuery {
  readonly finishedBefore: number
  readonly limit: number
}

/** How many rows of a journal have become how many; a long journal has several. @category models @since 0.1.0 */
export interface Compacted {
  readonly runId: string
  readonly before: number
  readonly after: number
}

/** Blobs that nobody refers to, and their size. @category models @since 0.1.0 */
export interface Swept {
  readonly blobs: number
  readonly bytes: number
}

/** The errors of reading a run. @category models @since 0.1.0 */
export type ReadError = StoreUnavailable | JournalDamaged

/** @category services @since 0.1.0 */
export class RunStore extends Context.Service<RunStore, {
  /** Which store this is: the same over restarts and on all its nodes, and no other's. */
  readonly identity: Effect.Effect<string, StoreUnavailable>
  /** Binds the store to an app, unless it is bound already, and answers with the app that it is bound to. */
  readonly bind: (app: string) => Effect.Effect<string, StoreUnavailable>
  /** The app that the store is bound to, if it is bound. */
  readonly app: Effect.Effect<string | undefined, StoreUnavailable>
  readonly threads: ThreadStore
  /** Commits all writes in one transaction, in order; the answers are in the same order. */
  readonly write: (writes: ReadonlyArray<Write>) => Effect.Effect<ReadonlyArray<Written>, StoreUnavailable>
  /** The facts of all tenants that wait to be entered into the audit log. */
  readonly facts: (query: FactQuery) => Effect.Effect<ReadonlyArray<Fact>, StoreUnavailable>
  /** Removes facts that are in the audit log; of those that are gone already nothing is said. */
  readonly removeFacts: (ids: ReadonlyArray<string>) => Effect.Effect<void, StoreUnavailable>
  readonly get: (runId: string) => Effect.Effect<RunRecord | undefined, ReadError>
  /** Lists leave out damaged runs and log them. */
  readonly list: (query: Query) => Effect.Effect<ReadonlyArray<RunRecord>, StoreUnavailable>
  /** As `list`, without the fields that may be large, which are not read either. */
  readonly summaries: (query: SummaryQuery) => Effect.Effect<ReadonlyArray<RunSummary>, StoreUnavailable>
  /** Reads the runs that have not ended, and of those that have ended the page: how many there are does not matter. */
  readonly recent: (query: RecentQuery) => Effect.Effect<RecentPage, StoreUnavailable>
  /** The ids of the runs. They are found by an index, however many runs there are. */
  readonly pending: (query: PendingQuery) => Effect.Effect<ReadonlyArray<string>, StoreUnavailable>
  /** Events with `seq > after`, in order, at least one if there is one, about `limit` at most. */
  readonly events: (runId: string, after: number, limit: number) => Effect.Effect<ReadonlyArray<RunEvent>, ReadError>
  readonly steps: (runId: string) => Effect.Effect<ReadonlyArray<StoredStep>, ReadError>
  readonly interrupts: (runId: string) => Effect.Effect<ReadonlyArray<Interrupt>, ReadError>
  /** Running runs that no other living node has, oldest first; those that this process drives included. */
  readonly unfinished: Effect.Effect<ReadonlyArray<RunRecord>, StoreUnavailable>
  /** Those of the unfinished runs that another node had, which is gone; none where one process has the store. */
  readonly abandoned: Effect.Effect<ReadonlyArray<RunRecord>, StoreUnavailable>
  /** Runs of all tenants, for the upkeep of the store: no caller sees the answer. */
  readonly scan: (query: ScanQuery) => Effect.Effect<ReadonlyArray<RunRecord>, StoreUnavailable>
  readonly due: (query: DueQuery) => Effect.Effect<ReadonlyArray<RunRecord>, StoreUnavailable>
  /** How many are due, with room or without: on Redis those of a node whose clock is ahead as well. */
  readonly countDue: (query: Pick<DueQuery, "now" | "agents">) => Effect.Effect<number, StoreUnavailable>
  /** Queued and suspended runs whose deadline has come, the earliest first. */
  readonly overdue: (
    query: { readonly now: number; readonly limit: number }
  ) => Effect.Effect<ReadonlyArray<RunRecord>, StoreUnavailable>
  /** Removes runs with all that belongs to them, and says which. With `dryRun` it only says which. */
  readonly remove: (
    query: RemoveQuery & { readonly dryRun?: boolean }
  ) => Effect.Effect<ReadonlyArray<RunRecord>, StoreUnavailable>
  /**
   * Keeps journals in less room, each once, and says which: whoever reads them gets every event as before, under the same
   * number. The work is done when it returns none. With `dryRun` it only says which.
   */
  readonly compact: (
    query: CompactQuery & { readonly dryRun?: boolean }
  ) => Effect.Effect<ReadonlyArray<Compacted>, StoreUnavailable>
  /**
   * Removes blobs written before a time that nothing of a run refers to; with `dryRun` it only says how many. Others may
   * write meanwhile, if nobody needs longer than until that time from a blob to its commit. A store that keeps everything
   * itself does not have it.
   */
  readonly sweepBlobs?: (
    query: { readonly writtenBefore: number; readonly dryRun?: boolean }
  ) => Effect.Effect<Swept, StoreUnavailable>
  /**
   * Runs an effect and commits what follows from it in one transaction of the store's own database: both are there
   * afterwards, or neither. A store without SQL does not have it.
   */
  /** Whether `transact` has a connection of its own, so that other writes need not wait for it. */
  readonly transactsApart?: boolean
  readonly transact?: <A, E, R>(
    body: Effect.Effect<A, E, R | SqlClient>,
    commit: (value: A) => Commit
  ) => Effect.Effect<readonly [A, Written], E | StoreUnavailable, Exclude<R, SqlClient>>
}>()("@fastagentic/core/store/RunStore") {
  /** Everything in memory; of the finished runs the last 1,000 are kept. */
  static readonly layerMemory: Layer.Layer<RunStore> = Layer.sync(RunStore, () => {
    const { writeNow: _writeNow, ...store } = makeMemoryRunStore(1_000)
    return store
  })
}

/** The order in which `due` answers. @category combinators @since 0.1.0 */
export { inTenantTurns } from "./internal/tenantTurns.ts"

/** A page of runs by their last change, from all runs that may be of it; and their order. @category combinators @since 0.1.0 */
export { mostCounted, newestFirst, recentPage } from "./internal/recentPage.ts"

/** A record after a commit. @category combinators @since 0.1.0 */
export { applyChanges as changed } from "./internal/applyChanges.ts"
