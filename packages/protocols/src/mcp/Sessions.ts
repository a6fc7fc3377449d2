// The settings of the sessions of clients of 2025, shared by all nodes: the level of logs, and subscriptions. A node reads a
// level once, and hears of changes then. A session belongs to the principal that uses its id: for another one it is another.
import type { NoteOwner, Runtime, SharedFact } from "@fastagentic/core/operations/Runtime"
import type { RunError } from "@fastagentic/core/run/RunError"
import { Effect } from "effect"
import { digestOf } from "./digest.ts"
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

  level(owner: NoteOwner, session: string): Effect.Effect<Level | undefined> {
    return Effect.suspend(() => {
      const key = memoryKey(owner, session)
      return this.levels.has(key)
        ? Effect.succeed(this.levels.get(key))
        : Effect.tap(
          Effect.map(this.notes.get(owner, levelKey(session)), levelOf),
          (level) => Effect.sync(() => remember(this.levels, key, level))
        )
    })
  }

  /** Whether its client has ended a session, on whatever node; one that goes on is asked for each time. */
  isEnded(owner: NoteOwner, session: string): Effect.Effect<boolean> {
    return Effect.suspend(() =>
      this.ended.has(memoryKey(owner, session))
        ? Effect.succeed(true)
        : Effect.map(this.notes.get(owner, endKey(session)), (note) => note === true)
    )
  }

  end(owner: NoteOwner, session: string): Effect.Effect<void, RunError> {
    return Effect.andThen(
      this.notes.put(owner, endKey(session), true, keptMillis),
      Effect.sync(() => remember(this.ended, memoryKey(owner, session), true))
    )
  }

  setLevel(owner: NoteOwner, session: string, level: Level): Effect.Effect<void, RunError> {
    return Effect.andThen(
      this.notes.put(owner, levelKey(session), level, keptMillis),
      Effect.sync(() => remember(this.levels, memoryKey(owner, session), level))
    )
  }

  subscribe(owner: NoteOwner, session: string, uri: string, wanted: boolean): Effect.Effect<void, RunError> {
    return Effect.flatMap(
      subscriptionKey(session, uri),
      (key) => this.notes.put(owner, key, wanted, keptMillis)
    )
  }

  isSubscribed(owner: NoteOwner, session: string, uri: string): Effect.Effect<boolean> {
    return Effect.flatMap(
      subscriptionKey(session, uri),
      (key) => Effect.map(this.notes.get(owner, key), (wanted) => wanted === true)
    )
  }

  /** A fact that a node has shared. */
  noted({ key, owner, value }: SharedFact): void {
    if (!key.startsWith(prefix)) return
    const known = memoryKey(owner, key.slice(prefix.length))
    if (this.levels.has(known)) this.levels.set(known, levelOf(value))
  }
}

const remember = <A>(map: Map<string, A>, key: string, value: A) => {
  for (const oldest of map.keys()) {
    if (map.size < limit) break
    map.delete(oldest)
  }
  map.set(key, value)
}

const memoryKey = ({ id, tenant }: NoteOwner, session: string) => JSON.stringify([tenant, id, session])

const prefix = "mcp/level/"
const levelKey = (session: string) => `${prefix}${session}`

/** A URI may be as long as a request: its digest is not. */
const subscriptionKey = (session: string, uri: string) =>
  Effect.map(digestOf(uri), (digest) => `mcp/subscribed/${session}/${digest}`)

const endKey = (session: string) => `mcp/ended/${session}`
