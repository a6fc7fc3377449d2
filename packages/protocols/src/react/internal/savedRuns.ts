// The run of a hook, kept for the tab: `WatchedRun` finds it again after a reload. A browser that stores nothing, or whose
// storage is full, keeps it until the page is left.
import { Schema } from "effect"

/** Before the server has answered, a run is its request; then it is its id. */
const Saved = Schema.Union([
  Schema.Struct({ runId: Schema.String }),
  Schema.Struct({ idempotencyKey: Schema.String, payload: Schema.Json })
])

export type Saved = typeof Saved.Type

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Saved))

const memory = new Map<string, Saved>()

/** A storage throws when the browser forbids it. */
const withStorage = <A>(use: (storage: Storage) => A): A | undefined => {
  try {
    return typeof sessionStorage === "undefined" ? undefined : use(sessionStorage)
  } catch {
    return undefined
  }
}

export const load = (key: string): Saved | undefined => {
  const text = withStorage((storage) => storage.getItem(key)) ?? undefined
  const saved = text === undefined ? undefined : decode(text)
  return saved?._tag === "Some" ? saved.value : memory.get(key)
}

export const save = (key: string, saved: Saved): void => {
  memory.set(key, saved)
  // An earlier run must not stay where this one does not fit.
  withStorage((storage) => storage.removeItem(key))
  withStorage((storage) => storage.setItem(key, JSON.stringify(saved)))
}

export const remove = (key: string): void => {
  memory.delete(key)
  withStorage((storage) => storage.removeItem(key))
}
