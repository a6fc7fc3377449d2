// The file of stored tokens: only its user reads it, and it is never there in part.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { TokenStore } from "../../src/mcp/index.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "fastagentic-tokens-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

describe("tokens in a file", () => {
  it.effect("are readable by their user only, whatever an older file or a remainder of a crash allows", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "deep", "tokens")
      const store = TokenStore.file(path)
      assert.isUndefined(yield* store.load)
      yield* store.save(Uint8Array.of(1))
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      chmodSync(path, 0o644)
      writeFileSync(`${path}.${process.pid}.tmp`, "", { mode: 0o644 })
      yield* store.save(Uint8Array.of(2))
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      assert.deepStrictEqual([...(yield* store.load) ?? []], [2])
    }))

  it.effect("are those of one of the writers that save at the same moment, and nothing else is left", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const store = TokenStore.file(join(home, "tokens"))
      const records = Array.from({ length: 20 }, (_, index) => new Uint8Array(50_000).fill(index))
      yield* Effect.forEach(records, store.save, { concurrency: "unbounded" })
      const kept = yield* store.load
      assert.isTrue(kept?.length === 50_000 && kept.every((byte) => byte === kept[0]))
      assert.deepStrictEqual(readdirSync(home), ["tokens"])
    }))

  it.effect("that cannot be written leave no part of them beside", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const isFolder = TokenStore.file(home)
      yield* Effect.flip(isFolder.save(Uint8Array.of(1)))
      assert.deepStrictEqual(
        readdirSync(join(home, "..")).filter((name) => name.startsWith(`${home.split("/").at(-1)}.`)),
        []
      )
    }))
})
