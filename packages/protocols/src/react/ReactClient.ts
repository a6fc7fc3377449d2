/**
 * React hooks over the typed client: runs that outlive a reload of their page, threads, and decisions.
 *
 * @since 0.1.0
 */
import type * as Agent from "@fastagentic/core/app/Agent"
import type * as App from "@fastagentic/core/app/App"
import { Effect } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { useMemo, useSyncExternalStore } from "react"
import * as Client from "../http/Client.ts"
import type { ClientError } from "../http/ClientError.ts"
import * as Connection from "./internal/Connection.ts"
import type { External } from "./internal/External.ts"
import * as WatchedApprovals from "./internal/WatchedApprovals.ts"
import * as WatchedRun from "./internal/WatchedRun.ts"
import * as WatchedThread from "./internal/WatchedThread.ts"

/** @category models @since 0.1.0 */
export interface Options extends Client.Options {
  /** Sends the requests, for headers that change; that of the page by default. */
  readonly fetch?: typeof globalThis.fetch
}

/** @category models @since 0.1.0 */
export interface RunOptions {
  /** Tells apart several runs of one agent in a tab. */
  readonly id?: string
  /** The thread that the run belongs to. */
  readonly threadId?: string
  /** Shows this run, which may have been started elsewhere. */
  readonly runId?: string
}

/** A run of an agent, as it stands. @category models @since 0.1.0 */
export interface UseRun<A extends Agent.Any> extends WatchedRun.RunView {
  readonly output: A["successSchema"]["Type"] | undefined
  /** The failure of the run, or of a request; while it is `Disconnected` the page looks for its server again. */
  readonly error: A["errorSchema"]["Type"] | ClientError | undefined
  /** Starts a run; while there is one that has not ended, nothing happens. */
  readonly start: (...args: Client.Args<A["payloadSchema"]["Type"], []>) => void
  readonly cancel: WatchedRun.WatchedRun["cancel"]
  readonly answer: WatchedRun.WatchedRun["answer"]
  /** Forgets the run, which continues on its server. */
  readonly reset: () => void
}

/** The messages of a thread, oldest first. @category models @since 0.1.0 */
export interface UseThread extends WatchedThread.ThreadView {
  readonly error: ClientError | undefined
  readonly reload: () => void
  /** Adds the messages before the first one. */
  readonly older: () => void
}

/** The open decisions that the caller may take, of all runs of the tenant. @category models @since 0.1.0 */
export interface UseApprovals extends WatchedApprovals.ApprovalsView {
  readonly error: ClientError | undefined
  readonly reload: () => void
  readonly answer: WatchedApprovals.WatchedApprovals["answer"]
}

/** @category models @since 0.1.0 */
export interface ReactClient<A extends App.Any> {
  readonly useRun: <const Name extends A["agents"][number]["identifier"]>(
    agent: Name,
    options?: RunOptions
  ) => UseRun<Extract<A["agents"][number], { readonly identifier: Name }>>
  readonly useThread: (threadId: string) => UseThread
  readonly useApprovals: () => UseApprovals
}

/**
 * Makes the hooks of an app; call it once, outside of components.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A extends App.Any>(app: A, { fetch, ...options }: Options): ReactClient<A> => {
  const provide = <B>(effect: Effect.Effect<B>) =>
    fetch === undefined ? effect : Effect.provideService(effect, FetchHttpClient.Fetch, fetch)
  // @effect-diagnostics-next-line strictEffectProvide:off - a page has no other entry point
  const client = Effect.runSync(Effect.provide(Client.make<App.Any>(app, options), FetchHttpClient.layer))
  const connection = Connection.make(client, provide)
  const watchedRuns = new Map<string, WatchedRun.WatchedRun>()
  const watchedThreads = new Map<string, WatchedThread.WatchedThread>()
  const approvals = WatchedApprovals.make(connection)

  const runOf = (name: string, { id = "", runId, threadId }: RunOptions) => {
    const key = JSON.stringify(["fastagentic", options.url, app.identifier, name, id, threadId ?? null])
    return shared(watchedRuns, runId === undefined ? key : JSON.stringify([name, runId]), (onEnd) => {
      const target = app.agents.find(({ identifier }) => identifier === name)
      const calls = client.agents[name]
      if (target === undefined || calls === undefined) {
        throw new Error(`The app "${app.identifier}" has no agent "${name}". Check its name.`)
      }
      return WatchedRun.make(connection, {
        target,
        start: calls.start,
        place: runId === undefined ? { key } : { runId },
        threadId,
        onEnd
      })
    })
  }

  const hooks = {
    useRun: (name: string, options: RunOptions = {}) => {
      const run = runOf(name, options)
      const { answer, cancel, reset, start } = run
      const view = useView(run)
      return useMemo(() => ({ ...view, answer, cancel, reset, start }), [view, answer, cancel, reset, start])
    },
    useThread: (threadId: string) => {
      const thread = shared(
        watchedThreads,
        threadId,
        (onEnd) => WatchedThread.make(connection, threadId, onEnd)
      )
      const { older, reload } = thread
      const view = useView(thread)
      return useMemo(() => ({ ...view, older, reload }), [view, older, reload])
    },
    useApprovals: () => {
      const { answer, reload } = approvals
      const view = useView(approvals)
      return useMemo(() => ({ ...view, answer, reload }), [view, answer, reload])
    }
  }
  // cast: the declarations are erased here; each run decodes with the schemas that its type is made of.
  return hooks as unknown as ReactClient<A>
}

/** Components that show the same thing share it; a server that renders pages keeps nothing. */
const shared = <A>(all: Map<string, A>, key: string, make: (onEnd: () => void) => A): A => {
  const known = all.get(key)
  if (known !== undefined) return known
  const one = make(() => {
    if (all.get(key) === one) all.delete(key)
  })
  if (typeof globalThis.document !== "undefined") all.set(key, one)
  return one
}

const useView = <View>({ initial, snapshot, subscribe }: External<View>): View =>
  useSyncExternalStore(subscribe, snapshot, initial)
