// The settings of the sessions of clients of 2025, shared by all nodes: the level of logs, and subscriptions. A node reads a
// level once, and hears of changes then.
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import { Effect } from "effect"
import { type Level, levelOf } from "./Report.ts"

/** The time for which a setting is kept after it was made. */
const keptMillis = 86_400_000

/** Sessions that a node remembers; the others are read again. */
const limit = 10_000

export class Sessions {
  private readonly levels = new Map<string, Level | undefined>()
  private readonly ended = new Map<string, true>()
  private readonly notes: Runtime["Service"]["notes"]

  constructor({ notes }: Runtime["Service"]) {
    this.notes = notes
  }

  level(session: string): Effect.Effect<Level | undefined> {
    return Effect.suspend(() =>
      this.levels.has(session)
        ? Effect.succeed(this.levels.get(session))
        : Effect.tap(Effect.map(this.notes.get(keyOf(session)), levelOf), (level) =>
          Effect.sync(() => remember(this.levels, session, level)))
    )
  }

  /** Whether its client has ended a session, on whatever node; one that goes on is asked for each time. */
  isEnded(session: string): Effect.Effect<boolean> {
    return Effect.suspend(() =>
      this.ended.has(session)
        ? Effect.succeed(true)
        : Effect.map(this.notes.get(endOf(session)), (note) => note === true)
    )
  }

  end(session: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      remember(this.ended, session, true)
      return this.notes.put(endOf(session), true, keptMillis)
    })
  }

  setLevel(session: string, level: Level): Effect.Effect<void> {
    return Effect.suspend(() => {
      remember(this.levels, session, level)
      return this.notes.put(keyOf(session), level, keptMillis)
    })
  }

  subscribe(session: string, uri: string, wanted: boolean): Effect.Effect<void> {
    return this.notes.put(subscriptionOf(session, uri), wanted, keptMillis)
  }

  isSubscribed(session: string, uri: string): Effect.Effect<boolean> {
    return Effect.map(this.notes.get(subscriptionOf(session, uri)), (wanted) => wanted === true)
  }

  /** A fact that a node has shared. */
  noted(key: string, value: unknown): void {
    if (!key.startsWith(prefix)) return
    const session = key.slice(prefix.length)
    if (this.levels.has(session)) this.levels.set(session, levelOf(value))
  }
}

const remember = <A>(map: Map<string, A>, session: string, value: A) => {
  for (const oldest of map.keys()) {
    if (map.size < limit) break
    map.delete(oldest)
  }
  map.set(session, value)
}

const prefix = "mcp/level/"
const keyOf = (session: string) => `${prefix}${session}`

const subscriptionOf = (session: string, uri: string) => `mcp/subscribed/${session}/${uri}`

const endOf = (session: string) => `mcp/ended/${session}`
