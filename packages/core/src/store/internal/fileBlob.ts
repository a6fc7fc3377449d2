// The form of a stored file as a blob: one line of JSON about it, then its bytes. Files writes and reads it; the sweep of
// unused blobs reads the line. The same bytes of the same owner under the same name are the same blob.
import { Option, Schema } from "effect"
import type { ThreadKey } from "../../thread/ThreadStore.ts"

/** The longest line, and with it the most bytes that are read to learn about a file. */
export const lineLimit = 8_192

const About = Schema.Struct({
  tenant: Schema.String,
  owner: Schema.String,
  mediaType: Schema.String,
  name: Schema.optionalKey(Schema.String),
  size: Schema.Int
})

export type About = typeof About.Type

const decodeLine = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ run: Schema.Literal(""), store: Schema.String, file: About }))
)

/** A file belongs to no run: `run` is empty, and holds say which runs need it. */
export const toBlob = (store: string, about: About, bytes: Uint8Array): Uint8Array | undefined => {
  const line = new TextEncoder().encode(`${JSON.stringify({ run: "", store, file: about })}\n`)
  if (line.length > lineLimit) return undefined
  const blob = new Uint8Array(line.length + bytes.length)
  blob.set(line)
  blob.set(bytes, line.length)
  return blob
}

/** The description of the file in a blob, and where its bytes begin; nothing for another blob or another store's file. */
export const fromBlob = (
  store: string,
  blob: Uint8Array
): { readonly about: About; readonly at: number } | undefined => {
  const end = blob.subarray(0, lineLimit).indexOf(10)
  if (end === -1) return undefined
  const line = Option.getOrUndefined(decodeLine(new TextDecoder().decode(blob.subarray(0, end))))
  return line === undefined || line.store !== store ? undefined : { about: line.file, at: end + 1 }
}

/** A blob that says that a run or a thread needs a file. It belongs to its holder, and is of no use after it. */
export const holdOf = (store: string, run: string, fileId: string): Uint8Array =>
  new TextEncoder().encode(JSON.stringify({ run, store, holds: fileId, value: null }))

const threadPrefix = "thread "
const decodeThread = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Tuple([Schema.String, Schema.String, Schema.String]))
)

/** A thread as a holder. No run has such an id. */
export const holderOf = ({ owner, tenant, threadId }: ThreadKey): string =>
  threadPrefix + JSON.stringify([tenant, owner, threadId])

/** The thread that a holder is, if it is one. */
export const threadIn = (holder: string): ThreadKey | undefined =>
  holder.startsWith(threadPrefix)
    ? Option.getOrUndefined(
      Option.map(
        decodeThread(holder.slice(threadPrefix.length)),
        ([tenant, owner, threadId]) => ({ tenant, owner, threadId })
      )
    )
    : undefined
