/**
 * The runtime: the one door that protocols, schedules and delegation go through.
 *
 * @since 0.1.0
 */
import { Context, Duration, Effect, Layer, Option, type Schema, type Scope, type Stream } from "effect"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type * as Agent from "../app/Agent.ts"
import type * as App from "../app/App.ts"
import * as Fusion from "../app/Fusion.ts"
import type * as PromptTemplate from "../app/PromptTemplate.ts"
import type * as Resource from "../app/Resource.ts"
import type * as Schedule from "../app/Schedule.ts"
import { Audit, type Query as AuditQuery, type Recorded } from "../audit/Audit.ts"
import { handlerOf } from "../base/internal/handlerOf.ts"
import * as Timings from "../base/Timings.ts"
import { Budget, type LimitUsage } from "../budget/Budget.ts"
import type { Query as UsageQuery, Row as UsageRow } from "../budget/BudgetStore.ts"
import { ApiKeyStore, makeMemory as makeKeys } from "../door/ApiKeys.ts"
import { Auth } from "../door/Auth.ts"
import type { Caller } from "../door/Caller.ts"
import { makeAuditThrottle } from "../door/internal/auditThrottle.ts"
import { makeAuthority } from "../door/internal/authority.ts"
import { CredentialWatch } from "../door/internal/credentialWatch.ts"
import { makeDoor } from "../door/internal/door.ts"
import { makeForeignReads } from "../door/internal/foreignReads.ts"
import { checkRules, makeLimiter } from "../door/internal/limiter.ts"
import { makeToolDoor } from "../door/internal/toolDoor.ts"
import { OpenLimits } from "../door/OpenLimits.ts"
import { PolicyRules } from "../door/PolicyRules.ts"
import { makeMemory, RateCounters } from "../door/RateCounters.ts"
import { RateLimit } from "../door/RateLimit.ts"
import { TenantWeights } from "../door/TenantWeights.ts"
import { CurrentToolPolicy } from "../door/ToolPolicy.ts"
import type { CurrentClient } from "../run/ClientRequest.ts"
import type { NewFile } from "../run/File.ts"
import type * as Interrupt from "../run/Interrupt.ts"
import type { Principal } from "../run/Principal.ts"
import { type ReadFailed, RunError, type StoreUnavailable } from "../run/RunError.ts"
import type { RunRecord } from "../run/RunRecord.ts"
import { backgroundLoops } from "../runtime/internal/backgroundLoops.ts"
import { cancelAbandoned } from "../runtime/internal/cancel.ts"
import { checkAdapter, withAdapters } from "../runtime/internal/checkAdapters.ts"
import { checkModel } from "../runtime/internal/checkModel.ts"
import { makeDueRuns } from "../runtime/internal/dueRuns.ts"
import { makeEngineClaim } from "../runtime/internal/engineClaim.ts"
import type { FollowError, Page, Until } from "../runtime/internal/hub.ts"
import { reconcile } from "../runtime/internal/reconcile.ts"
import { resolveHandlers } from "../runtime/internal/resolveHandlers.ts"
import { RunSupervisor } from "../runtime/internal/runSupervisor.ts"
import { makeSchedules } from "../runtime/internal/schedules.ts"
import { makeScheduleTicks } from "../runtime/internal/scheduleTicks.ts"
import { makeStart } from "../runtime/internal/start.ts"
import { makeStoreWatch, type Readiness } from "../runtime/internal/storeWatch.ts"
import { compileSchedules } from "../runtime/internal/timedSchedules.ts"
import { upgradeAll } from "../runtime/internal/upgradeAll.ts"
import { RunEngine } from "../runtime/RunEngine.ts"
import { makeMemory as makeMarks, ScheduleStore } from "../runtime/ScheduleStore.ts"
import * as Files from "../store/Files.ts"
import { makeMemoryRunStore } from "../store/internal/memoryRunStore.ts"
import { makeMemory as makePushes, PushStore, type PushTarget } from "../store/PushStore.ts"
import type { LargeField, RunSummary } from "../store/RecordFields.ts"
import { type Query, type Recent, type RecentQuery, RunStore } from "../store/RunStore.ts"
import { makeMemory as makeSharedNotes, SharedNotes } from "../store/SharedNotes.ts"
import type * as Message from "../thread/Message.ts"
import type { ThreadCursor, ThreadRecord } from "../thread/ThreadStore.ts"
import { makeAuditReads } from "./internal/auditReads.ts"
import { makeConnect, makeOpenStream } from "./internal/connections.ts"
import { makeDecisions } from "./internal/decisions.ts"
import { makeFiles } from "./internal/files.ts"
import { makeForks } from "./internal/forks.ts"
import { makeNotes } from "./internal/notes.ts"
import { makePrincipalCalls } from "./internal/principalCalls.ts"
import { makePushTargets } from "./internal/pushTargets.ts"
import { makeRecent } from "./internal/recentRuns.ts"
import { makeResourceReads } from "./internal/resourceReads.ts"
import { makeRuns } from "./internal/runs.ts"
import { makeScheduleCalls } from "./internal/scheduleCalls.ts"
import { makeSignals } from "./internal/signals.ts"
import { makeThreadCalls } from "./internal/threadCalls.ts"
import { makeUsage } from "./internal/usage.ts"
import { makeVisibleTo } from "./internal/visibleTo.ts"
import type { Change, Changed } from "./Principals.ts"

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

/** A page of runs, how many there are on all pages, and the `before` of the next page. @category models @since 0.1.0 */
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

/** A request for usage and its grouping; the tenant's usage needs the scope `usage:tenant`. @category models @since 0.1.0 */
export interface UsageRequest extends Omit<UsageQuery, "tenant" | "user"> {
  readonly of: "me" | "tenant"
}

/** Usage and its cost, in dollars. @category models @since 0.1.0 */
export interface UsageReport {
  readonly items: ReadonlyArray<Omit<UsageRow, "cost"> & { readonly costUsd: number }>
  readonly totalUsd: number
  readonly budgets: ReadonlyArray<LimitUsage>
}

/** The content of a resource, encoded. @category models @since 0.1.0 */
export interface Content {
  readonly uri: string
  readonly mimeType: string
  readonly content: Schema.Json
}

/** One resource of a template, with its URI. @category models @since 0.1.0 */
export interface Instance extends Omit<Resource.Instance<never>, "params"> {
  readonly uri: string
  readonly resource: string
}

/** The text that a user has typed for a parameter, and the parameters that are known. @category models @since 0.1.0 */
export interface CompletionRequest {
  readonly kind: "prompt" | "resource"
  readonly identifier: string
  readonly argument: string
  readonly value: string
  readonly known: { readonly [name: string]: string }
}

/** The way to ask a client, see `ClientRequest`. @category models @since 0.1.0 */
export type Asked = typeof CurrentClient["Service"]

/** A stored file with its bytes. @category models @since 0.1.0 */
export interface FileContent extends Files.Stored {
  readonly bytes: Uint8Array
}

/** The threads to list; `owner` names another one, for callers who see the runs of the tenant. @category models @since 0.1.0 */
export interface ThreadsRequest {
  readonly owner?: string | undefined
  readonly before?: ThreadCursor | undefined
  readonly limit: number
}

/** A page of threads; `next` is the `before` of the page that follows, if there is one. @category models @since 0.1.0 */
export interface ThreadPage {
  readonly items: ReadonlyArray<ThreadRecord>
  readonly next: ThreadCursor | undefined
}

/** The messages to read: in their order from after a number, or the newest first from before it. @category models @since 0.1.0 */
export interface MessagesRequest {
  readonly owner?: string | undefined
  readonly order?: "oldest" | "newest" | undefined
  readonly from?: number | undefined
  readonly limit: number
}

/** A page of messages; `next` is the `from` of the page that follows, if there is one. @category models @since 0.1.0 */
export interface MessagePage {
  readonly items: ReadonlyArray<Message.Stored>
  readonly next: number | undefined
}

/** Up to which message to fork a thread, whole turns only; up to the last one by default. @category models @since 0.1.0 */
export interface ForkThreadRequest {
  readonly owner?: string | undefined
  readonly at?: number | undefined
  readonly idempotencyKey?: string | undefined
}

/** A schedule as it stands: when it starts a run next, and when it did last. @category models @since 0.1.0 */
export interface ScheduleStatus {
  readonly id: string
  readonly agent: string
  readonly cron: string
  readonly timeZone: string
  readonly missed: Schedule.Missed
  readonly overlap: Schedule.Overlap
  /** The principal that the runs act for. */
  readonly owner: string
  /** Whether the app declares it: then callers cannot change or remove it. */
  readonly declared: boolean
  readonly paused: boolean
  readonly next?: number
  readonly last?: number
  readonly lastRunId?: string
  /** How many ticks wait for the end of the last run. */
  readonly waiting?: number
  /** The reason why it can start no run. */
  readonly problem?: string
}

/** A schedule with the payload of its runs and the scopes that they have. @category models @since 0.1.0 */
export interface ScheduleDetails extends ScheduleStatus {
  readonly payload: Schema.Json
  readonly scopes: ReadonlyArray<string>
}

/**
 * A schedule to make. Its runs act for the caller, with all scopes of the caller or with those named here.
 *
 * @category models
 * @since 0.1.0
 */
export interface ScheduleRequest {
  readonly agent: string
  readonly cron: string
  readonly timeZone?: string
  readonly payload: unknown
  readonly missed?: Schedule.Missed
  readonly overlap?: Schedule.Overlap
  readonly scopes?: ReadonlyArray<string>
}

/** A schedule after it was written, and whether there was none before. @category models @since 0.1.0 */
export interface WrittenSchedule {
  readonly schedule: ScheduleDetails
  readonly created: boolean
}

/** The principal whose requests share a note: no other principal reads it. @category models @since 0.1.0 */
export type NoteOwner = Pick<Principal, "id" | "tenant">

/** A note as it reaches a node. @category models @since 0.1.0 */
export interface SharedFact {
  readonly owner: NoteOwner
  readonly key: string
  readonly value: Schema.Json
}

/** Notes between the nodes of an app: small facts, each for a time. @category models @since 0.1.0 */
export interface NodeNotes {
  /** Shares a fact of a principal with the other nodes; refused when it has shared as many as `OpenLimits` allow. */
  readonly put: (owner: NoteOwner, key: string, value: Schema.Json, forMillis: number) => Effect.Effect<void, RunError>
  /** The fact of a principal under a key, if there is one. */
  readonly get: (owner: NoteOwner, key: string) => Effect.Effect<Schema.Json | undefined>
  /** The facts of principals that nodes share from now on, this one included, within a second. */
  readonly follow: Stream.Stream<SharedFact>
  /** The URIs of resources that have changed on any node, see `Resource.changed`. */
  readonly changes: Stream.Stream<string>
}

/** An address to be notified of a run, with a configuration of the protocol's own. @category models @since 0.1.0 */
export interface PushRequest extends Pick<PushTarget, "runId" | "id" | "config"> {
  /** The event after which a new target is notified; the last one by default. */
  readonly cursor?: number
}

/**
 * The addresses that are notified of runs. Callers set, list and remove those of their own runs; the protocol that serves
 * delivers to those that are due, with the rights of the owner of each run.
 *
 * @category models
 * @since 0.1.0
 */
export interface PushTargets {
  /** A target of the same id is replaced, and keeps how far it has come. */
  readonly set: (caller: Caller, request: PushRequest) => Effect.Effect<PushTarget, RunError>
  readonly list: (caller: Caller, runId: string) => Effect.Effect<ReadonlyArray<PushTarget>, RunError>
  readonly remove: (caller: Caller, runId: string, id: string) => Effect.Effect<void, RunError>
  /** Targets that are due, which no other node takes for the time of the lease. */
  readonly take: (
    options: { readonly lease: number; readonly limit: number }
  ) => Effect.Effect<ReadonlyArray<PushTarget>, RunError>
  /** The run of a target as its owner sees it; `Held` while the owner may not act. */
  readonly open: (target: PushTarget) => Effect.Effect<
    | { readonly _tag: "Open"; readonly handle: RunHandle }
    | { readonly _tag: "Held"; readonly why: string }
    | { readonly _tag: "Gone" },
    RunError
  >
  /** Changes a target that nobody has changed since; nothing otherwise. */
  readonly move: (target: PushTarget, changes: Partial<PushTarget>) => Effect.Effect<PushTarget | undefined, RunError>
  readonly drop: (target: PushTarget) => Effect.Effect<void, RunError>
  readonly now: Effect.Effect<number>
}

/** A page of a journal, and when its reader has seen enough, see `RunHandle.follow`. @category models @since 0.1.0 */
export type { FollowError, Page, Until }

/** Why a server takes no new work, if it takes none. @category models @since 0.1.0 */
export type { Readiness }

/**
 * Every call names its caller, and every call is authenticated and authorised before anything else.
 *
 * @category services
 * @since 0.1.0
 */
export class Runtime extends Context.Service<Runtime, {
  readonly fusion: Fusion.Fusion
  /** Whether callers need no credentials: then all of them are one principal. */
  readonly isOpen: boolean
  /** Starts a run and returns at once: the run is committed, and nothing the caller does ends it but `cancel`. */
  readonly start: (caller: Caller, request: StartRequest) => Effect.Effect<Started, RunError>
  /** A run to be looked at more than once. `get`, `await`, `follow` and `events` each open it for one look. */
  readonly open: (caller: Caller, runId: string) => Effect.Effect<RunHandle, RunError>
  readonly get: (caller: Caller, runId: string) => Effect.Effect<RunRecord, RunError>
  /** Newest first. */
  readonly list: (caller: Caller, request: ListRequest) => Effect.Effect<ListPage<RunSummary>, RunError>
  /** The runs that the caller may see in the order of their last change, newest first, to be looked at. */
  readonly recent: (caller: Caller, request: RecentRequest) => Effect.Effect<RecentHandles, RunError>
  readonly await: (caller: Caller, runId: string) => Effect.Effect<RunRecord, RunError>
  readonly follow: (caller: Caller, runId: string, options: {
    readonly after: number
    readonly until: Until
  }) => Effect.Effect<Stream.Stream<Page, FollowError>, RunError>
  readonly events: (caller: Caller, runId: string, options: {
    readonly after: number
    readonly limit: number
  }) => Effect.Effect<Page["events"], RunError>
  /** Ends a run. A run that has ended stays as it is and is the answer. */
  readonly cancel: (caller: Caller, runId: string, reason?: string) => Effect.Effect<RunRecord, RunError>
  /** Continues a run that waits for no decision; one that is running or has ended is the answer as it is. */
  readonly resume: (caller: Caller, runId: string) => Effect.Effect<RunRecord, RunError>
  readonly interrupts: (caller: Caller, runId: string) => Effect.Effect<ReadonlyArray<Interrupt.Interrupt>, RunError>
  /** The open interrupts of a run that this caller may decide. */
  readonly decidable: (caller: Caller, runId: string) => Effect.Effect<ReadonlyArray<Interrupt.Interrupt>, RunError>
  /** The open interrupts that this caller may decide, on all runs of the tenant, newest first. */
  readonly pending: (caller: Caller, request: PendingRequest) => Effect.Effect<ListPage<Interrupt.Summary>, RunError>
  /**
   * Decides an interrupt; of several answers exactly one wins, and a repeat under its key decides nothing else. `message` is
   * what the answer was read from, as its protocol delivered it.
   */
  readonly answer: (
    caller: Caller,
    runId: string,
    id: string,
    answer: Interrupt.Answer,
    idempotencyKey?: string,
    message?: Schema.Json
  ) => Effect.Effect<RunRecord, RunError>
  /** Decides several interrupts of a run; nothing is decided when one of them cannot be. */
  readonly answerAll: (
    caller: Caller,
    runId: string,
    answers: ReadonlyArray<Interrupt.Answer & { readonly id: string }>,
    idempotencyKey?: string
  ) => Effect.Effect<RunRecord, RunError>
  /**
   * Sends a message to a run that has not ended: it is kept until the run takes it, and a run that waits for it resumes. A
   * repeated key is the same message.
   */
  readonly signal: (caller: Caller, runId: string, request: SignalRequest) => Effect.Effect<RunRecord, RunError>
  /** The checkpoints of a run from which it can be forked, oldest first. */
  readonly checkpoints: (caller: Caller, runId: string) => Effect.Effect<ReadonlyArray<Checkpoint>, RunError>
  /** Starts a run with the payload of another that goes on from what that one had committed by an event. */
  readonly fork: (caller: Caller, runId: string, request: ForkRequest) => Effect.Effect<Started, RunError>
  /** Forks a run that has failed or was cancelled from its last commit, once for a caller: its repeat is the same run. */
  readonly retry: (caller: Caller, runId: string) => Effect.Effect<Started, RunError>
  /** Stores a file for the caller. It is kept while a run holds it, and for some time when none does (`Retention`). */
  readonly upload: (caller: Caller, file: NewFile) => Effect.Effect<Files.Stored, RunError>
  /** A stored file of the caller, or of the tenant when the caller may see all of its runs. */
  readonly file: (caller: Caller, fileId: string) => Effect.Effect<FileContent, RunError>
  /** Reads a resource by its URI; `client` is the way to ask the client, if it can be asked. */
  readonly read: (caller: Caller, uri: string, client?: Asked) => Effect.Effect<Content, RunError | ReadFailed>
  readonly render: (
    caller: Caller,
    identifier: string,
    params: unknown,
    client?: Asked
  ) => Effect.Effect<ReadonlyArray<PromptTemplate.Message>, RunError>
  /** The resources of templates that their handlers list and the caller may read. */
  readonly instances: (caller: Caller) => Effect.Effect<ReadonlyArray<Instance>, RunError>
  /** The values that the handler of a prompt or resource offers for a parameter. */
  readonly complete: (
    caller: Caller,
    request: CompletionRequest
  ) => Effect.Effect<ReadonlyArray<string>, RunError>
  /** The caller's threads, those that changed last first. */
  readonly threads: (caller: Caller, request: ThreadsRequest) => Effect.Effect<ThreadPage, RunError>
  /** A thread of the caller, or of `owner` for callers who see the runs of the tenant. */
  readonly thread: (caller: Caller, threadId: string, owner?: string) => Effect.Effect<ThreadRecord, RunError>
  readonly messages: (
    caller: Caller,
    threadId: string,
    request: MessagesRequest
  ) => Effect.Effect<MessagePage, RunError>
  /** Copies the turns of a thread up to a message into a new thread of the same owner. */
  readonly forkThread: (
    caller: Caller,
    threadId: string,
    request: ForkThreadRequest
  ) => Effect.Effect<ThreadRecord, RunError>
  /** Erases a thread: its messages, and its runs with all that they keep. Forks of it stay. */
  readonly eraseThread: (caller: Caller, threadId: string, owner?: string) => Effect.Effect<void, RunError>
  /** The audit log of the caller's tenant, for callers with the scope `audit:read`. */
  readonly audit: (
    caller: Caller,
    query: Omit<AuditQuery, "tenant">
  ) => Effect.Effect<ReadonlyArray<Recorded>, RunError>
  /**
   * Changes a principal of the caller's tenant, for callers with the scope `principals:manage`. Its account is disabled or
   * enabled on every node within a second, and before any run of it continues.
   */
  readonly changePrincipal: (caller: Caller, id: string, change: Change) => Effect.Effect<Changed, RunError>
  readonly push: PushTargets
  /** The usage of model calls, and the state of the caller's budgets. */
  readonly usage: (caller: Caller, request: UsageRequest) => Effect.Effect<UsageReport, RunError>
  /** The schedules of the caller's tenant, for callers with the scope `schedules:manage`. */
  readonly schedules: (caller: Caller) => Effect.Effect<ReadonlyArray<ScheduleStatus>, RunError>
  readonly schedule: (caller: Caller, id: string) => Effect.Effect<ScheduleDetails, RunError>
  /** Makes a schedule for the caller's tenant; the same request again changes nothing. */
  readonly createSchedule: (
    caller: Caller,
    id: string,
    request: ScheduleRequest
  ) => Effect.Effect<WrittenSchedule, RunError>
  /** Makes a schedule, or replaces one that a caller has made: its runs act for this caller then. */
  readonly putSchedule: (
    caller: Caller,
    id: string,
    request: ScheduleRequest
  ) => Effect.Effect<WrittenSchedule, RunError>
  /** Removes a schedule that a caller has made; its runs stay. */
  readonly removeSchedule: (caller: Caller, id: string) => Effect.Effect<void, RunError>
  /** Starts the run of a schedule now; its ticks stay as they are. */
  readonly runSchedule: (caller: Caller, id: string, idempotencyKey?: string) => Effect.Effect<Started, RunError>
  /** Ticks that pass while a schedule is paused are not missed. */
  readonly pauseSchedule: (caller: Caller, id: string, paused: boolean) => Effect.Effect<ScheduleStatus, RunError>
  /**
   * Looks at the credentials once for all calls of a request: the runtime knows the caller that it returns, and does not
   * authenticate it again. A connection that lives on authenticates each of its requests.
   */
  readonly authenticate: (caller: Caller) => Effect.Effect<Caller, RunError>
  /** The principal of the caller: for protocols that keep something for it. */
  readonly principal: (caller: Caller) => Effect.Effect<Pick<Principal, "id" | "tenant">, RunError>
  /** Authenticates the caller of a connection that lives on, and counts it until the scope closes. */
  readonly connect: (caller: Caller) => Effect.Effect<Caller, RunError, Scope.Scope>
  /**
   * Counts a stream that follows no run among those of the caller, while it is read, and ends it with the caller's
   * credentials.
   */
  readonly openStream: (
    caller: Caller
  ) => Effect.Effect<<A, E, R>(stream: Stream.Stream<A, E, R>) => Stream.Stream<A, E, R>, RunError>
  /** Fails once the credentials of a connection that lives on are not valid any more. */
  readonly credentialsEnd: (caller: Caller) => Effect.Effect<never, RunError>
  /** The declarations whose scopes the caller holds: what lists show. It is `fusion` itself when these are all. */
  readonly visibleTo: (caller: Caller) => Effect.Effect<Fusion.Fusion, RunError>
  /** Refuses a call for its scopes, as the call itself would: for protocols that have to say so before they begin. */
  readonly checkScopes: (caller: Caller, target: Target) => Effect.Effect<void, RunError>
  /** Small facts between nodes, which protocols need whose requests meet on different nodes. */
  readonly notes: NodeNotes
  /** Turns new work away and ends all streams with the word that the server goes away. */
  readonly drain: Effect.Effect<void>
  /** The metrics of the process in Prometheus' text format, for callers with the scope `metrics:read`. */
  readonly metrics: (caller: Caller) => Effect.Effect<string, RunError>
  /** The runs whose code may have caused what the serving process just observed, the likeliest first. */
  readonly suspects: Effect.Effect<ReadonlyArray<Pick<RunRecord, "runId" | "agent">>>
  /** Whether new work is admitted. */
  readonly ready: Effect.Effect<boolean>
  /** Whether new work is admitted and could be stored; looks at the store at most once a second. */
  readonly readiness: Effect.Effect<Readiness>
}>()("@fastagentic/core/operations/Runtime") {}

/** @category options @since 0.1.0 */
export interface Options {
  /** How long runs have to come to their next commit when the server stops, 5 seconds by default. */
  readonly grace?: Duration.Input | undefined
  /**
   * How often the credentials are looked at that have opened a stream or a WebSocket, 5 seconds by default: it ends when they
   * have expired or were revoked. With `"off"` it lasts until its run has ended.
   */
  readonly credentialCheck?: Duration.Input | "off" | undefined
  /** How far ahead `startAt` may be, 365 days by default. */
  readonly longestDelay?: Duration.Input | undefined
}

/**
 * Serves the declarations of an app. Fails to start when one of them cannot be served.
 *
 * **Details**
 *
 * Rate limits are counted in the `RateCounters` of the store, or in memory when the store brings none.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <A extends App.Any>(
  app: A,
  { credentialCheck = Timings.credentialCheckMillis, grace, longestDelay = Timings.longestDelayMillis }: Options = {}
): Layer.Layer<
  Runtime,
  Fusion.FusionError | StoreUnavailable,
  App.Handlers<A> | RunStore | Auth | RateLimit | Budget | Audit
> =>
  Layer.effect(
    Runtime,
    Effect.gen(function*() {
      const toolPolicy = yield* CurrentToolPolicy
      const services = yield* Effect.context<never>()
      const compiled = yield* Fusion.compile(app, { asksAnything: toolPolicy !== undefined })
      const fusion = withAdapters(compiled, (agent) => handlerOf<Agent.Handle>(services, agent).adapter)
      const bound = yield* resolveHandlers(fusion, services)
      const budget = yield* Budget
      for (const agent of fusion.app.agents) {
        const known = bound.agent.get(agent.identifier)
        if (known === undefined) continue
        const hooks = [...fusion.app.hooks, ...agent.hooks]
        yield* checkAdapter(known.callable, hooks, known.hooks, budget.limits)
        yield* checkModel(known.callable, handlerOf<Agent.Handle>(services, agent))
      }
      yield* bindStore(fusion.app.identifier)
      const timed = yield* compileSchedules(fusion.app, bound)
      const { rules } = yield* RateLimit
      yield* checkRules(rules, fusion)
      const rates = yield* counters
      const limit = makeLimiter(rules, rates)
      const auth = yield* Auth
      const keys = Option.getOrElse(yield* Effect.serviceOption(ApiKeyStore), makeKeys)
      const authority = makeAuthority(auth, keys)
      const credentials = authority === undefined || credentialCheck === "off"
        ? undefined
        : new CredentialWatch(auth, authority)
      const audit = yield* Audit
      const policy = yield* PolicyRules
      const engine = yield* RunEngine
      const options = {
        app: fusion.app.identifier,
        durable: yield* RunStore,
        ephemeral: makeMemoryRunStore(1_000),
        services,
        budget,
        audit,
        clock: yield* Effect.clockWith(Effect.succeed),
        grace: grace ?? Timings.graceMillis,
        open: yield* OpenLimits,
        files: yield* files,
        weightOf: yield* TenantWeights,
        authority,
        credentials,
        longestDelay: Duration.toMillis(Duration.fromInputUnsafe(longestDelay)),
        hooksOf: ({ agent, kind }: Pick<RunRecord, "agent" | "kind">) => bound[kind].get(agent)?.hooks ?? []
      }
      const { node, wired: { door, dueRuns, starts } } = yield* RunSupervisor.make(
        options,
        Effect.fnUntraced(function*(node) {
          const now = () => node.now()
          const { metrics, outbox } = node
          const throttle = yield* makeAuditThrottle(outbox, now)
          const reads = yield* makeForeignReads(outbox, now)
          const door = makeDoor({ auth, rules: policy, limit, audit: outbox, throttle, reads, metrics, authority, now })
          const starts = makeStart(node, door, bound)
          const dueRuns = makeDueRuns(node, bound)
          const scope = yield* Effect.scope
          yield* upgradeAll(node, bound)
          return {
            door,
            starts,
            dueRuns,
            tools: makeToolDoor(door, toolPolicy),
            children: {
              start: starts.startChild,
              settled: (run: RunRecord) => node.settled(run),
              ended: (run: RunRecord) => node.ended(run),
              abandon: (run: RunRecord) => Effect.asVoid(Effect.forkIn(cancelAbandoned(node, run), scope))
            },
            onSettled: dueRuns.onSettled,
            engineSchedule: yield* engine.join(makeEngineClaim(node, bound))
          }
        })
      )
      yield* reconcile(node, bound, node.durable.store.unfinished)
      yield* dueRuns.wakeAll(node.durable.store)
      yield* backgroundLoops(node, bound, dueRuns)
      if (credentials !== undefined && credentialCheck !== "off") {
        const spacing = Math.max(100, Duration.toMillis(Duration.fromInputUnsafe(credentialCheck)))
        const check = Effect.andThen(Effect.sleep(spacing), node.checkCredentials(credentials))
        yield* Effect.forkScoped(Effect.forever(check))
      }
      const watch = makeStoreWatch(node.durable)
      yield* watch.run
      const [name, store] = [fusion.app.identifier, yield* marks]
      const ticks = makeScheduleTicks(node, door, name, store, starts)
      const schedules = makeSchedules(node, name, bound, timed, store, ticks)
      yield* schedules.run
      const shared = Option.getOrElse(yield* Effect.serviceOption(SharedNotes), makeSharedNotes)
      const notes = yield* makeNotes(shared, fusion, { rates, limit: options.open.notes })
      const credentialsEnd: Runtime["Service"]["credentialsEnd"] = ({ credentials: shown }) =>
        credentials === undefined
          ? Effect.never
          : Effect.mapError(credentials.until(shown), (reason) => new RunError({ reason }))
      return {
        fusion,
        isOpen: auth.open,
        notes,
        start: starts.start,
        ...makeForks(node, door, bound, starts),
        ...makeRuns(node, door),
        recent: makeRecent(node, door),
        ...makeDecisions(node, door, bound, fusion, dueRuns),
        ...makeSignals(node, door, bound),
        ...makeResourceReads(fusion, door, services),
        ...makeScheduleCalls({ node, door, app: name, callables: bound, declared: timed, store, schedules, ticks }),
        ...makeThreadCalls(node, door),
        ...makeAuditReads(door, audit, node.outbox),
        ...makePrincipalCalls(node, door, keys, store, schedules),
        ...makeVisibleTo(fusion, door),
        ...makeFiles(door, node.files),
        push: makePushTargets(node, door, yield* pushStore),
        usage: makeUsage(budget, door),
        authenticate: door.identify,
        principal: door.authenticate,
        connect: makeConnect(door, options.open),
        openStream: makeOpenStream(node, door, credentialsEnd),
        credentialsEnd,
        drain: node.drain,
        metrics: (caller) =>
          Effect.andThen(door.enter(caller, "metrics", ["metrics:read"]), PrometheusMetrics.format()),
        suspects: Effect.sync(() => node.runs.suspects.map(({ agent, runId }) => ({ agent, runId }))),
        ready: Effect.sync(() => !node.closing),
        readiness: Effect.suspend(() => node.closing ? Effect.succeed("shutting down" as const) : watch.readiness)
      }
    })
  )

/** Two apps in one store would read each other's runs, accept each other's keys and run each other's queued work. */
const bindStore = Effect.fnUntraced(function*(app: string) {
  const { bind } = yield* RunStore
  const other = yield* bind(app)
  if (other === app) return
  const problem =
    `the store belongs to the app "${other}": use another database, ?schema= on PostgreSQL or ?prefix= on Redis`
  return yield* new Fusion.FusionError({ declaration: `app "${app}"`, problem })
})

const marks = Effect.map(Effect.serviceOption(ScheduleStore), Option.getOrElse(makeMarks))
const pushStore = Effect.map(Effect.serviceOption(PushStore), Option.getOrElse(makePushes))
const files = Effect.map(Effect.serviceOption(Files.Files), Option.getOrElse(() => Files.none))
const counters = Effect.map(Effect.serviceOption(RateCounters), Option.getOrElse(makeMemory))
