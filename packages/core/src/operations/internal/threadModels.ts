// The requests about threads and the answers to them, as callers of the runtime see them. Runtime.ts exports them.
import type * as Message from "../../thread/Message.ts"
import type { ThreadCursor, ThreadRecord } from "../../thread/ThreadStore.ts"

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
