// A cached blob answers only the run that owns it.
import { assert, describe, it } from "@effect/vitest"
import { BlobStore, layerMemory } from "@fastagentic/core/store/BlobStore"
import { Effect } from "effect"
import { makeValues } from "../../../src/store/internal/blobValues.ts"

describe("values in blobs", () => {
  it.effect("a value of one run that was read does not answer another run that names its blob", () =>
    Effect.gen(function*() {
      const { keep, take } = makeValues(yield* BlobStore, Effect.succeed("store"), 10)
      const kept = yield* keep("run-1", "a value that is longer than ten characters")
      const before = yield* Effect.flip(take("run-2", "payload", kept))
      assert.strictEqual(yield* take("run-1", "payload", kept), "a value that is longer than ten characters")
      const after = yield* Effect.flip(take("run-2", "payload", kept))
      assert.deepStrictEqual([before._tag, after._tag], ["JournalDamaged", "JournalDamaged"])
    }).pipe(Effect.provide(layerMemory)))
})
