/**
 * The port to where threads are kept: the part of a run store that has the messages of conversations.
 *
 * @since 0.1.0
 */
import type { Effect } from "effect"
import type { JournalDamaged, StoreUnavailable } from "../run/RunError.ts"
import type { Fact } from "../store/RunStore.ts"
import type { Message, Stored } from "./Message.ts"

/** The identity of a thread: its owner's in a tenant. @category models @since 0.1.0 */
export interface ThreadKey {
  readonly tenant: string
  readonly owner: string
  readonly threadId: string
}

/**
 * The messages that a run adds to its thread. They are a part of the commit that completes the run: the store gives them
 * the numbers after the thread's last one, and the thread exists from its first turn.
 *
 * @category models
 * @since 0.1.0
 */
export interface Turn extends ThreadKey {
  readonly messages: ReadonlyArray<Message>
}

/** `messages` is the number of the last message. @category models @since 0.1.0 */
export interface ThreadRecord extends ThreadKey {
  readonly createdAt: number
  readonly updatedAt: number
  readonly messages: number
  readonly forkedFrom?: { readonly threadId: string; readonly at: number }
}

/** The place of a thread in a list. @category models @since 0.1.0 */
export type ThreadCursor = Pick<ThreadRecord, "owner" | "threadId" | "updatedAt">

/** Threads of a tenant, of one owner or of all, those that changed last first. @category models @since 0.1.0 */
export interface ThreadQuery {
  readonly tenant: string
  readonly owner?: string
  readonly before?: ThreadCursor
  readonly limit: number
}

/**
 * Messages in their order or the newest first, after or before a number, at least one if there is one, and no more once
 * they are together about as large as `bytes`.
 *
 * @category models
 * @since 0.1.0
 */
export interface MessageQuery extends ThreadKey {
  readonly order: "oldest" | "newest"
  readonly from?: number
  readonly limit: number
  readonly bytes: number
}

/**
 * A copy of a thread under another id: the turns up to the one that has the message `at`. Facts are kept when it is made.
 *
 * @category models
 * @since 0.1.0
 */
export interface ThreadFork extends ThreadKey {
  readonly at: number
  readonly to: string
  readonly now: number
  readonly facts?: ReadonlyArray<Fact>
}

/** Threads that did not change since a time and have no run that has not ended. @category models @since 0.1.0 */
export interface IdleQuery {
  readonly updatedBefore: number
  readonly tenant?: string
  readonly exceptTenants?: ReadonlyArray<string>
  readonly limit: number
}

/** Reading, forking and removing threads; turns are written with their runs. @category services @since 0.1.0 */
export interface ThreadStore {
  readonly get: (key: ThreadKey) => Effect.Effect<ThreadRecord | undefined, StoreUnavailable>
  readonly list: (query: ThreadQuery) => Effect.Effect<ReadonlyArray<ThreadRecord>, StoreUnavailable>
  readonly messages: (query: MessageQuery) => Effect.Effect<ReadonlyArray<Stored>, StoreUnavailable | JournalDamaged>
  /** The fork, or the thread that has its id already; nothing when there is no such message. */
  readonly fork: (fork: ThreadFork) => Effect.Effect<ThreadRecord | undefined, StoreUnavailable>
  /** Removes a thread with its messages, and says whether there was one. Its runs stay, and facts are kept in any case. */
  readonly remove: (key: ThreadKey, facts?: ReadonlyArray<Fact>) => Effect.Effect<boolean, StoreUnavailable>
  /** Removes such threads, and says how many. */
  readonly removeIdle: (query: IdleQuery) => Effect.Effect<number, StoreUnavailable>
}
