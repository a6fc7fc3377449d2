/**
 * The port to small facts that the nodes of a store share, each for a time.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Schema } from "effect"
import * as Present from "../base/Present.ts"
import type { StoreUnavailable } from "../run/RunError.ts"

/** A fact under a key: the last one that was put counts. Times are Unix milliseconds. @category schemas @since 0.1.0 */
export const Note = Schema.Struct({ key: Schema.String, value: Schema.Json, expiresAt: Schema.Int })

/** @category models @since 0.1.0 */
export type Note = typeof Note.Type

/** The notes that were put after a cursor, oldest first, and the cursor to go on from. @category models @since 0.1.0 */
export interface Page {
  readonly notes: ReadonlyArray<Note>
  readonly cursor: string
}

/**
 * Notes of one store. A note that has expired is not found any more. Without this service no other node sees the notes of a
 * node.
 *
 * @category services
 * @since 0.1.0
 */
export class SharedNotes extends Context.Service<SharedNotes, {
  readonly put: (note: Note) => Effect.Effect<void, StoreUnavailable>
  readonly get: (key: string) => Effect.Effect<Note | undefined, StoreUnavailable>
  /** The notes after a cursor; without one none, and the cursor of now. */
  readonly since: (cursor: string | undefined) => Effect.Effect<Page, StoreUnavailable>
}>()("@fastagentic/core/store/SharedNotes") {
  static readonly layerMemory: Layer.Layer<SharedNotes> = Layer.sync(SharedNotes, () => makeMemory())
}

/** Notes of this process alone. @category constructors @since 0.1.0 */
export const makeMemory = (): SharedNotes["Service"] => {
  const notes = new Map<string, { readonly note: Note; readonly seq: number }>()
  let last = 0
  return {
    put: (note) =>
      Effect.map(Present.millis, (now) => {
        for (const [key, { note: { expiresAt } }] of notes) if (expiresAt <= now) notes.delete(key)
        notes.delete(note.key)
        notes.set(note.key, { note, seq: ++last })
      }),
    get: (key) =>
      Effect.map(Present.millis, (now) => {
        const found = notes.get(key)?.note
        return found !== undefined && found.expiresAt > now ? found : undefined
      }),
    since: (cursor) =>
      Effect.map(Present.millis, (now) => ({
        notes: cursor === undefined ?
          [] :
          Array.from(notes.values()).flatMap(({ note, seq }) =>
            seq > Number(cursor) && note.expiresAt > now ? [note] : []
          ),
        cursor: `${last}`
      }))
  }
}
