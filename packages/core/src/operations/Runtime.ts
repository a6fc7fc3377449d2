/**
 * The runtime: the one door that protocols, schedules and delegation go through.
 *
 * @since 0.1.0
 */
import { Context, type Duration, type Effect, Layer, type Schema, type Scope, type Stream } from "effect"
import type * as App from "../app/App.ts"
import type * as Fusion from "../app/Fusion.ts"
import type * as PromptTemplate from "../app/PromptTemplate.ts"
import type { Audit, Query as AuditQuery, Recorded } from "../audit/Audit.ts"
import type { Budget } from "../budget/Budget.ts"
import type { Auth } from "../door/Auth.ts"
import type { Caller } from "../door/Caller.ts"
import type { RateLimit } from "../door/RateLimit.ts"
import type { NewFile } from "../run/File.ts"
import type * as Interrupt from "../run/Interrupt.ts"
import type { Principal } from "../run/Principal.ts"
import type { ReadFailed, RunError, StoreUnavailable } from "../run/RunError.ts"
import type { RunRecord } from "../run/RunRecord.ts"
import type { FollowError, Page, Until } from "../runtime/internal/hub.ts"
import type { Readiness } from "../runtime/internal/storeWatch.ts"
import type * as Files from "../store/Files.ts"
import type { RunSummary } from "../store/RecordFields.ts"
import type * as Retention from "../store/Retention.ts"
import type { RunStore } from "../store/RunStore.ts"
import type { ThreadRecord } from "../thread/ThreadStore.ts"
import type { DeadTargetCalls } from "./internal/deadTargets.ts"
import { makeRuntime } from "./internal/makeRuntime.ts"
import type { NodeNotes } from "./internal/notes.ts"
import type { PushTargets } from "./internal/pushTargets.ts"
import type {
  Asked,
  CompletionRequest,
  Content,
  FileContent,
  Instance,
  UsageReport,
  UsageRequest
} from "./internal/readModels.ts"
import type {
  Checkpoint,
  ForkRequest,
  ListPage,
  ListRequest,
  PendingRequest,
  RecentHandles,
  RecentRequest,
  RunHandle,
  SignalRequest,
  Started,
  StartRequest,
  Target
} from "./internal/runModels.ts"
import type { ScheduleDetails, ScheduleRequest, ScheduleStatus, WrittenSchedule } from "./internal/scheduleModels.ts"
import type {
  ForkThreadRequest,
  MessagePage,
  MessagesRequest,
  ThreadPage,
  ThreadsRequest
} from "./internal/threadModels.ts"
import type { Change, Changed } from "./Principals.ts"

export type { NodeNotes, NoteOwner, SharedFact } from "./internal/notes.ts"
export type { PushRequest, PushTargets } from "./internal/pushTargets.ts"
export type {
  Asked,
  CompletionRequest,
  Content,
  FileContent,
  Instance,
  UsageReport,
  UsageRequest
} from "./internal/readModels.ts"
export type {
  Checkpoint,
  ForkRequest,
  ListPage,
  ListRequest,
  PendingRequest,
  RecentHandles,
  RecentRequest,
  RunHandle,
  RunSignals,
  SignalRequest,
  Started,
  StartRequest,
  Target
} from "./internal/runModels.ts"
export type { ScheduleDetails, ScheduleRequest, ScheduleStatus, WrittenSchedule } from "./internal/scheduleModels.ts"
export type {
  ForkThreadRequest,
  MessagePage,
  MessagesRequest,
  ThreadPage,
  ThreadsRequest
} from "./internal/threadModels.ts"

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
  /** The least time since it was made for which a run is kept, see `Retention`; nothing when it is kept for ever. */
  readonly keptMillis: (run: Parameters<typeof Retention.keptMillis>[1]) => number | undefined
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
  readonly push: PushTargets & DeadTargetCalls
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
  options: Options = {}
): Layer.Layer<
  Runtime,
  Fusion.FusionError | StoreUnavailable,
  App.Handlers<A> | RunStore | Auth | RateLimit | Budget | Audit
> => Layer.effect(Runtime, makeRuntime(app, options))
