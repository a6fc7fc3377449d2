// Threads in memory, for memoryRunStore.ts: `add` is called with the commit of a turn, so both happen or neither.
import { Effect } from "effect"
import type { Fact } from "../../store/RunStore.ts"
import type { Stored } from "../Message.ts"
import type {
  MessageQuery,
  ThreadFork,
  ThreadKey,
  ThreadQuery,
  ThreadRecord,
  ThreadStore,
  Turn
} from "../ThreadStore.ts"

interface Thread {
  record: ThreadRecord
  readonly messages: Array<Stored>
}

interface Options {
  readonly retain: number
  /** Whether a thread has a run that has not ended. */
  readonly isOpen: (key: ThreadKey) => boolean
  /** Keeps the facts of a change. */
  readonly note: (facts: ReadonlyArray<Fact> | undefined) => void
}

/** Keeps the `retain` threads that changed last. */
export const makeMemoryThreads = ({ isOpen, note, retain }: Options) => {
  const threads = new Map<string, Thread>()

  const keep = (key: string, thread: Thread) => {
    threads.delete(key)
    threads.set(key, thread)
    for (const oldest of threads.keys()) {
      if (threads.size <= retain) return
      threads.delete(oldest)
    }
  }

  const add = ({ messages, owner, tenant, threadId }: Turn, runId: string, ts: number) => {
    const key = nameOf({ owner, tenant, threadId })
    const thread = threads.get(key) ?? {
      record: { tenant, owner, threadId, createdAt: ts, updatedAt: ts, messages: 0 },
      messages: []
    }
    for (const message of messages) {
      thread.messages.push({ ...message, position: thread.messages.length + 1, runId, at: ts })
    }
    const updatedAt = Math.max(thread.record.updatedAt, ts)
    thread.record = { ...thread.record, updatedAt, messages: thread.messages.length }
    keep(key, thread)
  }

  const fork = ({ at, facts, now, owner, tenant, threadId, to }: ThreadFork) => {
    const thread = threads.get(nameOf({ tenant, owner, threadId }))
    const last = thread?.messages[at - 1]
    if (thread === undefined || last === undefined) return undefined
    const copied = { tenant, owner, threadId: to }
    const known = threads.get(nameOf(copied))
    if (known !== undefined) return known.record
    const next = thread.messages.findIndex(({ position, runId }) => position > at && runId !== last.runId)
    const messages = thread.messages.slice(0, next === -1 ? undefined : next)
    const forkedFrom = { threadId, at: messages.length }
    const record = { ...copied, createdAt: now, updatedAt: now, messages: messages.length, forkedFrom }
    keep(nameOf(copied), { record, messages })
    note(facts)
    return record
  }

  const store: ThreadStore = {
    get: (key) => Effect.sync(() => threads.get(nameOf(key))?.record),
    list: (query) =>
      Effect.sync(() =>
        Array.from(threads.values(), ({ record }) => record)
          .filter((record) => isListed(record, query))
          .sort(newestFirst)
          .slice(0, query.limit)
      ),
    messages: (query) => Effect.sync(() => pageOf(threads.get(nameOf(query))?.messages ?? [], query)),
    fork: (request) => Effect.sync(() => fork(request)),
    remove: (key, facts) =>
      Effect.sync(() => {
        note(facts)
        return threads.delete(nameOf(key))
      }),
    removeIdle: ({ exceptTenants = [], limit, tenant, updatedBefore }) =>
      Effect.sync(() => {
        const idle = [...threads].filter(([, { record }]) =>
          record.updatedAt < updatedBefore && (tenant === undefined || record.tenant === tenant) &&
          !exceptTenants.includes(record.tenant) && !isOpen(record)
        ).slice(0, limit)
        for (const [key] of idle) threads.delete(key)
        return idle.length
      })
  }

  return { add, store }
}

const nameOf = ({ owner, tenant, threadId }: ThreadKey) => JSON.stringify([tenant, owner, threadId])

const isListed = (record: ThreadRecord, { before, owner, tenant }: ThreadQuery) =>
  record.tenant === tenant && (owner === undefined || record.owner === owner) &&
  (before === undefined || newestFirst(record, before) > 0)

const newestFirst = (
  a: Pick<ThreadRecord, "owner" | "threadId" | "updatedAt">,
  b: Pick<ThreadRecord, "owner" | "threadId" | "updatedAt">
) => b.updatedAt - a.updatedAt || compare(b.owner, a.owner) || compare(b.threadId, a.threadId)

const compare = (a: string, b: string) => a < b ? -1 : a > b ? 1 : 0

const pageOf = (all: ReadonlyArray<Stored>, { bytes, from, limit, order }: MessageQuery): ReadonlyArray<Stored> => {
  const start = order === "oldest" ? from ?? 0 : Math.min(from ?? Infinity, all.length + 1) - 2
  const step = order === "oldest" ? 1 : -1
  const page: Array<Stored> = []
  let size = 0
  for (let index = start; page.length < limit; index += step) {
    const message = all[index]
    if (message === undefined || (page.length > 0 && size >= bytes)) break
    page.push(message)
    size += JSON.stringify(message).length
  }
  return page
}
