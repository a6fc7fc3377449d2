// The open decisions of a `useApprovals`, which it asks for every five seconds while the page can be seen, and at once when a
// run of this page has paused or a decision was taken.
import type { Answer, Summary } from "@fastagentic/core/run/Interrupt"
import { Effect } from "effect"
import type { Connection } from "./Connection.ts"
import * as External from "./External.ts"

/** The decisions as a page shows them. */
export interface ApprovalsView {
  readonly approvals: ReadonlyArray<Summary>
  readonly isLoading: boolean
  /** Whether there are more than the 100 that are shown. */
  readonly hasMore: boolean
  readonly error: unknown
}

export interface WatchedApprovals extends External.External<ApprovalsView> {
  readonly reload: () => void
  readonly answer: (approval: Pick<Summary, "id" | "runId">, answer: Answer) => void
}

const empty: ApprovalsView = { approvals: [], isLoading: true, hasMore: false, error: undefined }
const page = { limit: 100, fields: ["arguments", "responseSchema"] as const }
const everyMillis = 5_000

export const make = (connection: Connection): WatchedApprovals => {
  const answered = new Set<string>()
  let stop = () => {}
  let ignore = () => {}
  let timer: ReturnType<typeof setInterval> | undefined

  const read = () => {
    stop()
    stop = connection.fork(
      Effect.match(connection.runs.pending(page), {
        onFailure: (error) => set({ error, isLoading: false }),
        onSuccess: ({ items, next }) =>
          set({
            approvals: items.filter(({ id }) => !answered.has(id)),
            hasMore: next !== null,
            isLoading: false,
            error: undefined
          })
      })
    )
  }

  const readIfSeen = () => {
    if (globalThis.document?.visibilityState !== "hidden") read()
  }

  const store = External.make(empty, {
    begin: () => {
      ignore = connection.onChange(read)
      timer = setInterval(readIfSeen, everyMillis)
      read()
    },
    end: () => {
      ignore()
      clearInterval(timer)
      stop()
    }
  })
  const { set, snapshot } = store

  return {
    ...store,
    reload: read,
    answer: ({ id, runId }, answer) => {
      if (answered.has(id)) return
      answered.add(id)
      connection.fork(
        Effect.match(connection.runs.answer(runId, id, answer), {
          onFailure: (error) => {
            answered.delete(id)
            set({ error })
          },
          onSuccess: () => {
            set({ approvals: snapshot().approvals.filter((one) => one.id !== id), error: undefined })
            connection.announce()
          }
        })
      )
    }
  }
}
