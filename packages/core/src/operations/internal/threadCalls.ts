// Calls that read, fork and erase threads, for the runtime: every call passes the door first. A thread is its owner's in a
// tenant, so another caller's thread of the same id is another thread.
import { Effect } from "effect"
import { refusalOf } from "../../audit/internal/refusalOf.ts"
import { sha256 } from "../../base/internal/secrets.ts"
import * as Authorization from "../../door/Authorization.ts"
import type { Caller } from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import { filterText } from "../../door/internal/foreignReads.ts"
import * as Content from "../../run/Content.ts"
import { asRunError } from "../../run/internal/runErrors.ts"
import type { Principal } from "../../run/Principal.ts"
import {
  fail,
  Forbidden,
  IdempotencyConflict,
  InvalidCursor,
  RunError,
  ThreadBusy,
  ThreadNotFound
} from "../../run/RunError.ts"
import { isFinal } from "../../run/RunRecord.ts"
import { cancelWhole } from "../../runtime/internal/cancel.ts"
import type { RunSupervisor } from "../../runtime/internal/runSupervisor.ts"
import { threadHolder } from "../../store/Files.ts"
import type { RunSummary } from "../../store/RecordFields.ts"
import type { Fact } from "../../store/RunStore.ts"
import type { ThreadKey, ThreadRecord } from "../../thread/ThreadStore.ts"
import type { ForkThreadRequest, MessagesRequest, ThreadPage, ThreadsRequest } from "../Runtime.ts"

/** About how many characters of JSON one page of messages has; it has at least one message. */
const pageBytes = 1_048_576
const acting = "runs:act:tenant"

export const makeThreadCalls = (node: RunSupervisor, door: Door) => {
  const { threads } = node.durable.store

  /** A log in memory lives no longer than this process, so that nothing is kept for it. */
  const kept = (fact: Fact) => node.outbox.isLasting ? [fact] : []

  const unknown = (threadId: string) => fail(new ThreadNotFound({ threadId }))

  /** The thread that a caller names: the caller's own, or for those who see all runs of the tenant another owner's. */
  const enter = Effect.fnUntraced(function*(caller: Caller, threadId: string, owner?: string, acts = false) {
    const principal = yield* door.enter(caller, "threads", [])
    const key = { tenant: principal.tenant, owner: owner ?? principal.id, threadId }
    const owned = { ...key, runId: "" }
    if (!Authorization.sees(principal, owned)) return yield* unknown(threadId)
    if (acts && !Authorization.acts(principal, owned)) {
      const refusal = new Forbidden({ rule: "scopes", missing: [acting] })
      yield* door.audit(caller, principal, "call", `thread/${threadId}`, refusalOf(refusal))
      return yield* fail(refusal)
    }
    return { key, principal }
  })

  const found = Effect.fnUntraced(function*(key: ThreadKey): Effect.fn.Return<ThreadRecord, RunError> {
    return (yield* asRunError(threads.get(key))) ?? (yield* unknown(key.threadId))
  })

  const list = Effect.fnUntraced(function*(caller: Caller, { before, limit, owner }: ThreadsRequest) {
    const principal = yield* door.enter(caller, "threads", [])
    const visible = Authorization.visibleRuns(principal)
    if (owner !== undefined && visible.owner !== undefined && owner !== visible.owner) {
      return { items: [], next: undefined }
    }
    const items = yield* asRunError(threads.list({
      ...visible,
      limit,
      ...(owner === undefined ? {} : { owner }),
      ...(before === undefined ? {} : { before })
    }))
    if (items.some((thread) => thread.owner !== principal.id)) {
      yield* door.saw(caller, principal, "threads", filterText({ owner }))
    }
    const last = items.at(-1)
    return { items, next: items.length < limit ? undefined : last } satisfies ThreadPage
  })

  /** The thread, for a caller who looks at it. */
  const look = Effect.fnUntraced(function*(caller: Caller, threadId: string, owner?: string) {
    const { key, principal } = yield* enter(caller, threadId, owner)
    const thread = yield* found(key)
    yield* door.saw(caller, principal, `thread/${threadId}`, { owner: key.owner })
    return { key, thread }
  })

  const get = (caller: Caller, threadId: string, owner?: string) =>
    Effect.map(look(caller, threadId, owner), ({ thread }) => thread)

  const messages = Effect.fnUntraced(function*(caller: Caller, threadId: string, request: MessagesRequest) {
    const { from, limit, order = "oldest", owner } = request
    const { key, thread: { messages } } = yield* look(caller, threadId, owner)
    const query = { ...key, order, limit, bytes: pageBytes, ...(from === undefined ? {} : { from }) }
    const items = yield* asRunError(threads.messages(query))
    const last = items.at(-1)?.position
    const isLast = last === undefined || last === (order === "oldest" ? messages : 1)
    return { items, next: isLast ? undefined : last }
  })

  /** The id of a fork follows from its key, so that a repeat finds it. */
  const fork = Effect.fnUntraced(function*(
    caller: Caller,
    threadId: string,
    { at, idempotencyKey, owner }: ForkThreadRequest
  ): Effect.fn.Return<ThreadRecord, RunError> {
    const { key, principal } = yield* enter(caller, threadId, owner, true)
    const thread = yield* found(key)
    const from = at ?? thread.messages
    if (!Number.isSafeInteger(from) || from < 1 || from > thread.messages) {
      return yield* fail(
        new InvalidCursor({ cursor: String(from), reason: `the thread has the messages 1 to ${thread.messages}` })
      )
    }
    const to = idempotencyKey === undefined
      ? globalThis.crypto.randomUUID()
      : uuidOf(yield* sha256(JSON.stringify(["fork of a thread", key.tenant, key.owner, threadId, idempotencyKey])))
    const fact = node.outbox.note(door.entry(caller, principal, "fork", `thread/${threadId}`, onBehalf(principal, key)))
    const forked = yield* asRunError(threads.fork({ ...key, at: from, to, now: node.now(), facts: kept(fact) }))
    if (forked === undefined) return yield* unknown(threadId)
    const isRepeat = forked.forkedFrom?.threadId === threadId &&
      (at === undefined || (forked.forkedFrom.at >= at && (yield* startOf(key, forked.forkedFrom.at)) <= at))
    if (!isRepeat) return yield* fail(new IdempotencyConflict({ key: idempotencyKey ?? to, runId: to }))
    yield* node.outbox.ensure(fact)
    if (node.files.areKept) yield* holdFiles(forked)
    return forked
  }, Effect.uninterruptible)

  /** A fork needs the files of its messages, also when the thread that it is a copy of is gone. */
  const holdFiles = Effect.fnUntraced(function*(
    { owner, tenant, threadId }: ThreadRecord
  ): Effect.fn.Return<void, RunError> {
    const key = { tenant, owner, threadId }
    let from = 0
    while (true) {
      const page = yield* asRunError(
        threads.messages({ ...key, order: "oldest", from, limit: 200, bytes: pageBytes })
      )
      const last = page.at(-1)
      if (last === undefined) return
      const fileIds = new Set(page.flatMap(({ content }) => Content.fileIdsOf(content)))
      for (const fileId of fileIds) yield* asRunError(node.files.hold(threadHolder(key), fileId))
      from = last.position
    }
  })

  /** The number of the first message of the turn that ends with a message. */
  const startOf = Effect.fnUntraced(function*(key: ThreadKey, end: number): Effect.fn.Return<number, RunError> {
    let first = end
    let runId: string | undefined
    while (true) {
      const page = yield* asRunError(
        threads.messages({
          ...key,
          order: "newest",
          from: first + (runId === undefined ? 1 : 0),
          limit: 100,
          bytes: pageBytes
        })
      )
      if (page.length === 0) return first
      for (const message of page) {
        runId ??= message.runId
        if (message.runId !== runId) return first
        first = message.position
      }
    }
  })

  /**
   * Erases a thread: its runs are cancelled first, so that none of them writes to it again, then its messages go, then its
   * runs with all that they keep. A repeat continues what a crash has interrupted; a run that starts meanwhile begins a new
   * thread.
   */
  const erase = Effect.fnUntraced(function*(
    caller: Caller,
    threadId: string,
    owner?: string
  ): Effect.fn.Return<void, RunError> {
    const { key, principal } = yield* enter(caller, threadId, owner, true)
    const runs = yield* runsOf(key)
    if (runs.length === 0 && (yield* asRunError(threads.get(key))) === undefined) return yield* unknown(threadId)
    const fact = node.outbox.note(
      door.entry(caller, principal, "erase", `thread/${threadId}`, onBehalf(principal, key))
    )
    for (const { runId, state } of runs) {
      const run = isFinal(state) ? undefined : yield* asRunError(node.get(runId))
      const ended = run === undefined ? undefined : yield* asRunError(cancelWhole(node, run, "its thread is erased"))
      if (ended !== undefined && !isFinal(ended.state)) {
        return yield* Effect.fail(new RunError({ reason: new ThreadBusy({ threadId, runId }) }))
      }
    }
    yield* asRunError(threads.remove(key, kept(fact)))
    yield* node.outbox.ensure(fact)
    const known = new Set(runs.map(({ runId }) => runId))
    const isOfThread = ({ rootRunId = "", runId }: RunSummary) => known.has(runId) || known.has(rootRunId)
    for (const run of (yield* runsOf(key)).filter(isOfThread)) yield* asRunError(node.forget(run))
  })

  /** The runs of a thread, in both stores. */
  const runsOf = Effect.fnUntraced(function*(key: ThreadKey) {
    const found: Array<RunSummary> = []
    for (const { summaries } of [node.durable.store, node.ephemeral.store]) {
      let before: string | undefined
      while (true) {
        const query = { ...key, limit: runsPage, ...(before === undefined ? {} : { before }) }
        const page: ReadonlyArray<RunSummary> = yield* asRunError(summaries(query))
        found.push(...page)
        before = page.at(-1)?.runId
        if (page.length < runsPage) break
      }
    }
    return found
  })

  return { threads: list, thread: get, messages, forkThread: fork, eraseThread: erase }
}

const runsPage = 200

const onBehalf = (principal: Principal, key: ThreadKey) => Authorization.onBehalf(principal, { ...key, runId: "" })

const uuidOf = (hash: string) => hash.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/u, "$1-$2-$3-$4-$5")
