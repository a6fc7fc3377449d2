// Removes blobs that no run refers to; RunBlobs runs it. It never removes a blob that a commit may still refer to.
import { Effect } from "effect"
import type { BlobStore, Listed } from "../BlobStore.ts"
import type { RunStore } from "../RunStore.ts"
import { keyIn, type Values } from "./blobValues.ts"

interface Parts {
  readonly store: RunStore["Service"]
  readonly blobs: BlobStore["Service"]
  readonly values: Values
}

/** The blobs that a run refers to, `gone` when there is no such run; `unknown` when it cannot be read. */
const usedBy = Effect.fnUntraced(
  function*(store: RunStore["Service"], runId: string) {
    const run = yield* store.get(runId)
    if (run === undefined) return "gone"
    const steps = yield* store.steps(runId)
    return new Set([run.payload, run.output, ...steps.map(({ value }) => value)].flatMap(keyIn))
  },
  Effect.catchTag("JournalDamaged", () => Effect.succeed("unknown" as const))
)

/**
 * An old blob without a reference never gets one: a blob is written once, just before the commit that refers to it.
 * Runs that are not there are asked for by this store alone: others may keep their blobs in the same place.
 */
export const sweepBlobs = Effect.fnUntraced(function*(
  { blobs, store, values }: Parts,
  { dryRun = false, writtenBefore }: { readonly writtenBefore: number; readonly dryRun?: boolean }
) {
  const identity = yield* store.identity

  const unusedIn = Effect.fnUntraced(function*(page: ReadonlyArray<Listed>) {
    const old = page.filter(({ at }) => at < writtenBefore)
    const owners = yield* Effect.forEach(old, ({ key }) => values.ownerOf(key), { concurrency: 8 })
    const runIds = new Set(owners.flatMap((owner) => owner === undefined ? [] : [owner.run]))
    const used = new Map(
      yield* Effect.forEach(
        runIds,
        (runId) => Effect.map(usedBy(store, runId), (keys) => [runId, keys] as const),
        { concurrency: 8 }
      )
    )
    return old.filter(({ key }, index) => {
      const owner = owners[index]
      const keys = owner === undefined ? "unknown" : used.get(owner.run) ?? "unknown"
      return keys === "gone" ? owner?.store === identity : keys !== "unknown" && !keys.has(key)
    })
  })

  const swept = { blobs: 0, bytes: 0 }
  for (let page = yield* blobs.list(""); page.length > 0; page = yield* blobs.list(page.at(-1)?.key ?? "")) {
    const unused = yield* unusedIn(page)
    swept.blobs += unused.length
    swept.bytes += unused.reduce((sum, { bytes }) => sum + bytes, 0)
    if (!dryRun) yield* values.remove(unused.map(({ key }) => key))
  }
  return swept
})
