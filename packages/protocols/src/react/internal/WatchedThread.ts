// The messages of a `useThread`: the newest ones, older ones when they are asked for, and what a run of this page adds.
import type * as ThreadMessage from "@fastagentic/core/thread/Message"
import { Effect } from "effect"
import { type Connection, isAbsent, persist } from "./Connection.ts"
import * as External from "./External.ts"

/** A thread as a page shows it. */
export interface ThreadView {
  readonly messages: ReadonlyArray<ThreadMessage.Stored>
  readonly isLoading: boolean
  /** Whether there are messages before the first one that is shown. */
  readonly hasOlder: boolean
  readonly error: unknown
}

export interface WatchedThread extends External.External<ThreadView> {
  readonly reload: () => void
  readonly older: () => void
}

const empty: ThreadView = { messages: [], isLoading: true, hasOlder: false, error: undefined }

export const make = (connection: Connection, threadId: string, onEnd: () => void): WatchedThread => {
  let next: string | null = null
  let stop = () => {}
  let ignore = () => {}

  const read = (after?: string) => {
    stop()
    set({ isLoading: true })
    const page = { limit: 50, order: "newest" as const, ...(after === undefined ? {} : { after }) }
    const reading = Effect.map(connection.threads.messages(threadId, page), (found) => {
      const { messages } = snapshot()
      const news = found.items.toReversed()
      const first = news[0]?.position ?? Infinity
      const last = news.at(-1)?.position ?? 0
      const known = messages.filter(({ position }) => position < first)
      // The page stands alone when messages between it and those that are shown are not known.
      const joins = after !== undefined || known.at(-1)?.position === first - 1
      if (after !== undefined || !joins || known.length === 0) next = found.next
      set({
        messages: after === undefined
          ? [...(joins ? known : []), ...news]
          : [...news, ...messages.filter(({ position }) => position > last)],
        isLoading: false,
        hasOlder: next !== null,
        error: undefined
      })
    })
    stop = connection.fork(
      persist(reading, (error) => set(isAbsent(error) ? {} : { error })).pipe(
        // A thread begins with its first run.
        Effect.catch((error) =>
          Effect.sync(() => set(isAbsent(error) ? { ...empty, isLoading: false } : { isLoading: false, error }))
        )
      )
    )
  }

  const store = External.make(empty, {
    begin: () => {
      ignore = connection.onChange(() => read())
      read()
    },
    end: () => {
      ignore()
      stop()
      onEnd()
    }
  })
  const { set, snapshot } = store

  return {
    ...store,
    reload: () => read(),
    older: () => {
      if (next !== null) read(next)
    }
  }
}
