// Stores and reads single large values as blobs; RunBlobs uses it. Each blob belongs to one run.
import { Effect, Option, Schema } from "effect"
import { isAbove, Lines, sliceLimit, toLines } from "../../base/internal/jsonSlices.ts"
import { JournalDamaged, type StoreUnavailable } from "../../run/RunError.ts"
import { BlobDamaged, type BlobStore } from "../BlobStore.ts"
import type { ReadError } from "../RunStore.ts"
import { lineLimit } from "./fileBlob.ts"

/** The only key of what stands for a value: where the value is, or the value, where it has such a key itself. */
const mark = "@fastagentic/blob"

const Mark = Schema.Struct({
  [mark]: Schema.Union([Schema.Struct({ key: Schema.String }), Schema.Struct({ value: Schema.Json })])
})
const decodeMark = Schema.decodeUnknownEffect(Mark)

/**
 * A blob names its run and its store, and none is written twice: no two runs share one, so it goes when its run goes, and
 * one that nothing refers to after a time never will be referred to.
 */
const decodeBlob = Schema.decodeUnknownEffect(
  Schema.fromJsonString(Schema.Struct({ run: Schema.String, value: Schema.Json }))
)

const decodeHeader = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Struct({ run: Schema.String })))

/** The first bytes of a blob. */
const Owner = Schema.fromJsonString(
  Schema.Struct({
    run: Schema.String,
    store: Schema.optionalKey(Schema.String),
    holds: Schema.optionalKey(Schema.String)
  })
)
const decodeOwner = Schema.decodeUnknownOption(Owner)
const ownerText = /^(\{"run":"(?:[^"\\]|\\.)*"(?:,"store":"(?:[^"\\]|\\.)*")?(?:,"holds":"[0-9a-f]{64}")?),/u

/** How much text of blobs that were read is at hand. */
const cacheSize = 8 * 1_048_576

export const isMarked = (value: Schema.Json | undefined): boolean =>
  typeof value === "object" && value !== null && Object.hasOwn(value, mark)

/** Whether a value has more JSON than this, about; it is looked at only as far as that takes. */
export const isLarger = (value: Schema.Json, limit: number): boolean => {
  if (limit === Infinity) return false
  const open: Array<Schema.Json> = [value]
  let left = limit
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    left -= 2
    if (typeof one === "string") left -= one.length
    else if (Array.isArray(one)) {
      if (one.length > left) return true
      for (const member of one) open.push(member)
    } else if (typeof one === "object" && one !== null) {
      for (const [key, member] of Object.entries(one)) {
        left -= key.length + 4
        if (left < 0) return true
        open.push(member)
      }
    }
    if (left < 0) return true
  }
  return false
}

interface Header {
  readonly run: string
  readonly store: string
  readonly id: string
}

/** The bytes of a blob: one JSON text, or for a large value its header and then a line for each slice of it. */
const encoded = (header: Header, value: Schema.Json) =>
  isAbove(value, sliceLimit)
    ? Effect.suspend(() => {
      const encoder = new TextEncoder()
      const lines = [encoder.encode(`${JSON.stringify({ ...header, sliced: true })}\n`)]
      const write = (line: string) => void lines.push(encoder.encode(`${line}\n`))
      return Effect.andThen(toLines(value, write), Effect.suspend(() => joined(lines)))
    })
    : Effect.try({
      try: () => new TextEncoder().encode(JSON.stringify({ ...header, value })),
      catch: () => undefined
    })

const joined = Effect.fnUntraced(function*(lines: ReadonlyArray<Uint8Array>) {
  const bytes = new Uint8Array(lines.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const [index, line] of lines.entries()) {
    if (index % 16 === 0) yield* Effect.yieldNow
    bytes.set(line, at)
    at += line.length
  }
  return bytes
})

/** The run and the value of a blob. A JSON text has no line breaks. */
const decoded = (bytes: Uint8Array) => bytes.includes(10) ? decodedLines(bytes) : decodeBlob(decoder.decode(bytes))

const decoder = new TextDecoder()

const decodedLines = Effect.fnUntraced(function*(bytes: Uint8Array) {
  const first = bytes.indexOf(10)
  const { run } = yield* decodeHeader(decoder.decode(bytes.subarray(0, first)))
  const lines = new Lines()
  for (let at = first + 1; at < bytes.length;) {
    const end = bytes.indexOf(10, at)
    const until = end === -1 ? bytes.length : end
    yield* Effect.try({
      try: () => lines.add(decoder.decode(bytes.subarray(at, until))),
      catch: () => new BlobDamaged({ key: "" })
    })
    if (until - at > 1_000) yield* Effect.yieldNow
    at = until + 1
  }
  // cast: the value of lines of JSON is JSON.
  return { run, value: lines.value as Schema.Json }
})

/** Values of runs, and what is kept for them. */
export const makeValues = (
  blobs: BlobStore["Service"],
  identity: Effect.Effect<string, StoreUnavailable>,
  threshold: number
) => {
  const cache = new Map<string, { readonly run: string; readonly value: Schema.Json; readonly size: number }>()
  let cached = 0

  const remember = (key: string, run: string, value: Schema.Json, size: number) => {
    if (size > cacheSize / 4 || cache.has(key)) return
    cache.set(key, { run, value, size })
    cached += size
    for (const [oldest, { size }] of cache) {
      if (cached <= cacheSize) return
      cache.delete(oldest)
      cached -= size
    }
  }

  const needs = (value: Schema.Json | undefined): boolean =>
    value !== undefined && (isMarked(value) || isLarger(value, threshold))

  /** The stored form of a value, once its blob is written. */
  const keep = (runId: string, value: Schema.Json): Effect.Effect<Schema.Json, StoreUnavailable> =>
    isLarger(value, threshold)
      ? Effect.flatMap(identity, (store) => encoded({ run: runId, store, id: globalThis.crypto.randomUUID() }, value))
        .pipe(
          Effect.flatMap(blobs.put),
          Effect.map((key) => ({ [mark]: { key } })),
          // The store refuses a value without a JSON form.
          Effect.catchIf((error) => error === undefined, () => Effect.succeed(value))
        )
      : Effect.succeed(escape(value))

  /** The value that something stands for. */
  const take = (runId: string, what: string, kept: Schema.Json): Effect.Effect<Schema.Json, ReadError> => {
    if (!isMarked(kept)) return Effect.succeed(kept)
    const damaged = () => Effect.fail(new JournalDamaged({ runId, what }))
    return Effect.gen(function*() {
      const { [mark]: found } = yield* decodeMark(kept)
      if ("value" in found) return found.value
      const known = cache.get(found.key)
      // A cached value answers only the run that owns it, as the blob itself would.
      if (known !== undefined) return known.run === runId ? known.value : yield* damaged()
      const bytes = yield* blobs.get(found.key)
      const { run, value } = yield* decoded(bytes)
      if (run !== runId) return yield* damaged()
      remember(found.key, run, value, bytes.length)
      return value
    }).pipe(Effect.catchTag(["SchemaError", "BlobNotFound", "BlobDamaged"], damaged))
  }

  const remove = (keys: Iterable<string>) =>
    Effect.forEach(keys, (key) => blobs.remove(key), { concurrency: 8, discard: true })

  /** The run that a blob belongs to, and the file that it holds for it. A file itself has an empty run. */
  const ownerOf = (key: string) =>
    Effect.map(blobs.start(key, lineLimit), (bytes) => {
      const [, text] = ownerText.exec(new TextDecoder().decode(bytes ?? new Uint8Array())) ?? []
      return text === undefined ? undefined : Option.getOrUndefined(decodeOwner(`${text}}`))
    })

  return { needs, keep, take, remove, ownerOf }
}

export type Values = ReturnType<typeof makeValues>

/** A value as it is kept beside its run. */
export const escape = (value: Schema.Json): Schema.Json => isMarked(value) ? { [mark]: { value } } : value

/** The key of the blob that something stands for, if it stands for one. */
export const keyIn = (kept: Schema.Json | undefined): ReadonlyArray<string> => {
  if (typeof kept !== "object" || kept === null || !(mark in kept)) return []
  const found: unknown = kept[mark]
  return typeof found === "object" && found !== null && "key" in found && typeof found.key === "string"
    ? [found.key]
    : []
}
