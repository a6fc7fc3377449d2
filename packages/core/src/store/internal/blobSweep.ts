// Removes blobs that no run refers to; RunBlobs runs it. It never removes a blob that a commit may still refer to, nor a file
// that a run holds.
import { Effect } from "effect"
import type { BlobStore, Listed } from "../BlobStore.ts"
import type { RunStore } from "../RunStore.ts"
import { keyIn, type Values } from "./blobValues.ts"
import { threadIn } from "./fileBlob.ts"

interface Parts {
  readonly store: RunStore["Service"]
  readonly blobs: BlobStore["Service"]
  readonly values: Values
}

/** The blobs that a run refers to, `gone` when there is no such run or thread; `unknown` when it cannot be read. */
const usedBy = Effect.fnUntraced(
  function*(store: RunStore["Service"], runId: string) {
    const thread = threadIn(runId)
    if (thread !== undefined) return (yield* store.threads.get(thread)) === undefined ? "gone" : new Set<string>()
    const run = yield* store.get(runId)
    if (run === undefined) return "gone"
    const steps = yield* store.steps(runId)
    return new Set([run.payload, run.output, ...steps.map(({ value }) => value)].flatMap(keyIn))
  },
  Effect.catchTag("JournalDamaged", () => Effect.succeed("unknown" as const))
)

/**
 * An old blob without a reference never gets one: a blob is written once, just before the commit that refers to it.
 * Runs that are not there are asked for by this store alone: others may keep their blobs in the same place. A file may get
 * a hold at any time, so that the holds are read again before files are removed.
 */
export const sweepBlobs = Effect.fnUntraced(function*(
  { blobs, store, values }: Parts,
  { dryRun = false, writtenBefore }: { readonly writtenBefore: number; readonly dryRun?: boolean }
) {
  const identity = yield* store.identity
  const swept = { blobs: 0, bytes: 0 }

  const remove = Effect.fnUntraced(function*(unused: ReadonlyArray<Listed>) {
    swept.blobs += unused.length
    swept.bytes += unused.reduce((sum, { bytes }) => sum + bytes, 0)
    if (!dryRun) yield* values.remove(unused.map(({ key }) => key))
  })

  const ownersOf = (page: ReadonlyArray<Listed>) =>
    Effect.forEach(
      page,
      (listed) => Effect.map(values.ownerOf(listed.key), (owner) => ({ listed, owner })),
      { concurrency: 8 }
    )

  const usedByAll = (runIds: Iterable<string>) =>
    Effect.map(
      Effect.forEach(runIds, (runId) => Effect.map(usedBy(store, runId), (keys) => [runId, keys] as const), {
        concurrency: 8
      }),
      (entries) => new Map(entries)
    )

  /** The old files of this store; all other old blobs without a reference are removed. */
  const oldFiles = Effect.fnUntraced(function*(page: ReadonlyArray<Listed>) {
    const old = yield* ownersOf(page.filter(({ at }) => at < writtenBefore))
    const used = yield* usedByAll(
      new Set(old.flatMap(({ owner }) => owner === undefined || owner.run === "" ? [] : [owner.run]))
    )
    yield* remove(
      old.filter(({ listed, owner }) => {
        if (owner === undefined || owner.run === "") return false
        const keys = used.get(owner.run) ?? "unknown"
        if (keys === "gone") return owner.store === identity
        return owner.holds === undefined && keys !== "unknown" && !keys.has(listed.key)
      }).map(({ listed }) => listed)
    )
    return old.flatMap(({ listed, owner }) => owner?.run === "" && owner.store === identity ? [listed.key] : [])
  })

  /** The files of a page that are as old as they were; those that runs hold are taken off `files`. */
  const stillOld = Effect.fnUntraced(function*(page: ReadonlyArray<Listed>, files: Set<string>) {
    const holds = (yield* ownersOf(page.filter(({ key }) => !files.has(key)))).flatMap(({ owner }) =>
      owner?.holds !== undefined && files.has(owner.holds) ? [{ run: owner.run, file: owner.holds }] : []
    )
    const used = yield* usedByAll(new Set(holds.map(({ run }) => run)))
    for (const { file, run } of holds) if (used.get(run) !== "gone") files.delete(file)
    return page.filter(({ at, key }) => at < writtenBefore && files.has(key))
  })

  const eachPage = Effect.fnUntraced(function*<A>(
    use: (page: ReadonlyArray<Listed>) => Effect.Effect<ReadonlyArray<A>, Effect.Error<typeof store.identity>>
  ) {
    const found: Array<A> = []
    for (let page = yield* blobs.list(""); page.length > 0; page = yield* blobs.list(page.at(-1)?.key ?? "")) {
      for (const one of yield* use(page)) found.push(one)
    }
    return found
  })

  const files = new Set(yield* eachPage(oldFiles))
  if (files.size === 0) return swept
  const old = yield* eachPage((page) => stillOld(page, files))
  yield* remove(old.filter(({ key }) => files.has(key)))
  return swept
})
