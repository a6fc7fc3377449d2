// The transcript of a session: Claude Code keeps one on its disk and mirrors it here, so that another node can resume it.
// session.ts stores it with the step of a query that waits for a human.
import { Schema } from "effect"

/** The parts of a transcript by their keys. */
export const Transcript = Schema.Array(Schema.Tuple([Schema.String, Schema.Array(Schema.Json)]))

export type Transcript = typeof Transcript.Type

/** The folder of a session, which is a part of its key, is another one on another node. */
const decodeKey = Schema.decodeUnknownSync(
  Schema.Struct({ sessionId: Schema.String, subpath: Schema.optionalKey(Schema.String) })
)

const nameOf = (key: unknown) => {
  const { sessionId, subpath = "" } = decodeKey(key)
  return `${sessionId} ${subpath}`
}

const decodeEntries = Schema.decodeUnknownSync(Schema.Array(Schema.Json))

/** The `SessionStore` of one query. */
export const make = (before: Transcript) => {
  const parts = new Map(before.map(([key, entries]) => [key, [...entries]]))
  return {
    store: {
      append: async (key: unknown, entries: unknown) => {
        const name = nameOf(key)
        parts.set(name, [...parts.get(name) ?? [], ...decodeEntries(entries)])
      },
      load: async (key: unknown) => parts.get(nameOf(key)) ?? null
    },
    content: (): Transcript => [...parts]
  }
}
