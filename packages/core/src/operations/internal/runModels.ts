// The requests about runs and the answers to them, as callers of the runtime see them. Runtime.ts exports them.
import type { Effect, Schema, Stream } from "effect"
import type * as Interrupt from "../../run/Interrupt.ts"
import type { RunError } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import type { FollowError, Page, Until } from "../../runtime/internal/hub.ts"
import type { LargeField } from "../../store/RecordFields.ts"
import type { Query, Recent, RecentQuery } from "../../store/RunStore.ts"

/** A request to start an agent or a tool of the app, with its payload as received. @category models @since 0.1.0 */
export interface StartRequest {
  readonly kind: "agent" | "tool"
  readonly identifier: string
  readonly payload: unknown
  readonly idempotencyKey?: string | undefined
  readonly threadId?: string | undefined
  /** Unix milliseconds: the run is admitted now, and starts then. */
  readonly startAt?: number | undefined
  /** Queued runs of a higher priority start first. Default 0. */
  readonly priority?: number | undefined
  /** How long the run may take at most, in milliseconds from its start; the agent's own timeout may be shorter. */
  readonly timeout?: number | undefined
  /** The message that the payload was read from, as its protocol delivered it: it is kept with the run (`Run.message`). */
  readonly message?: Schema.Json | undefined
}

/** A declaration of the app. @category models @since 0.1.0 */
export interface Target {
  readonly kind: "agent" | "tool" | "resource" | "prompt"
  readonly identifier: string
}

/** A page of what waits for decisions; `before` is the `next` of the page before. @category models @since 0.1.0 */
export interface PendingRequest {
  readonly before?: string | undefined
  readonly limit: number
  /** Fields whose values are shown even if they are large. */
  readonly fields?: ReadonlyArray<typeof Interrupt.largeFields[number]> | undefined
}

/** The event after which to fork, by default the last one. @category models @since 0.1.0 */
export interface ForkRequest {
  readonly after?: number | undefined
  readonly idempotencyKey?: string | undefined
}

/** A message for a run, by the name that its agent declares. @category models @since 0.1.0 */
export interface SignalRequest {
  readonly signal: string
  readonly payload: unknown
  readonly idempotencyKey?: string | undefined
  /** The message that the payload was read from, as its protocol delivered it. */
  readonly message?: Schema.Json | undefined
}

/** A step that was committed with an event of this number: a run can be forked after it. @category models @since 0.1.0 */
export interface Checkpoint {
  readonly name: string
  readonly seq: number
}

/**
 * A run that its caller was admitted to: following it authenticates and looks up nothing again, so a caller whose
 * credentials expire meanwhile still sees the end of what it has begun.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunHandle {
  /** The record as it was when the handle was made. */
  readonly run: RunRecord
  /** The record as it stands. */
  readonly current: Effect.Effect<RunRecord, RunError>
  /** The run once it has ended or pauses. Interrupting the wait does not touch the run. */
  readonly settled: Effect.Effect<RunRecord, RunError>
  /**
   * The journal after an event number: what is stored, then what comes, without gap or duplicate, until the run has
   * ended (`"final"`), or also when it pauses (`"settled"`), or when it waits for somebody (`"somebody"`).
   */
  readonly follow: (
    options: { readonly after: number; readonly until: Until }
  ) => Effect.Effect<Stream.Stream<Page, FollowError>, RunError>
  /** One page of what is stored. */
  readonly events: (options: {
    readonly after: number
    readonly limit: number
  }) => Effect.Effect<Page["events"], RunError>
  readonly interrupts: Effect.Effect<ReadonlyArray<Interrupt.Interrupt>, RunError>
  readonly signals: Effect.Effect<RunSignals, RunError>
}

/**
 * The signals that a run waits for, and the messages that were sent to it: `id` names a message in its journal, `key` is
 * the one under which it was sent.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunSignals {
  readonly awaited: ReadonlyArray<string>
  readonly sent: ReadonlyArray<{ readonly id: string; readonly key: string }>
}

/** `attached` says that the run was there before, under the same idempotency key. @category models @since 0.1.0 */
export interface Started extends RunHandle {
  readonly attached: boolean
}

/**
 * The runs to list: those that the caller may see. `fields` names fields that are left out otherwise because they may be
 * large.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListRequest extends Omit<Query, "tenant" | "owner"> {
  readonly fields?: ReadonlyArray<LargeField> | undefined
  /** Only the caller's own runs, also for callers who may see those of the tenant. */
  readonly mine?: boolean | undefined
}

/**
 * The runs to list by their last change. Of those that wait, `asks` leaves those that wait for a permission alone, or the
 * others.
 *
 * @category models
 * @since 0.1.0
 */
export interface RecentRequest extends Omit<RecentQuery, "tenant" | "owner"> {
  readonly asks?: "permission" | "input"
}

/**
 * A page of runs, how many there are on all pages, and the `before` of the next page. With `asks` only the 1,000 runs that wait
 * and changed last are counted, so that `total` may be too low when more wait; the pages have all of them.
 *
 * @category models
 * @since 0.1.0
 */
export interface RecentHandles {
  readonly items: ReadonlyArray<RunHandle>
  readonly total: number
  readonly next: Recent | undefined
}

/**
 * A page of a list; `next` is the `before` of the page that follows, if there is one. A page ends early once it is large.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListPage<Item> {
  readonly items: ReadonlyArray<Item>
  readonly next: string | undefined
}
