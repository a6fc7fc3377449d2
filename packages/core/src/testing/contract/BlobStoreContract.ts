// Contract of a `BlobStore`. A test file of the implementation calls `suite` once. The store may be shared with other
// suites: every test has bytes of its own.
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { BlobStore, type Listed } from "../../store/BlobStore.ts"

const uniquely = globalThis.crypto.randomUUID()

const bytesOf = (text: string) => new TextEncoder().encode(`${uniquely} ${text}`)

const random = (length: number) => {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at += 65_536) {
    globalThis.crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65_536, length)))
  }
  return bytes
}

/**
 * Declares the tests that every blob store passes, in a store that earlier suites may have used.
 *
 * @category contracts
 * @since 0.1.0
 */
export const suite = (name: string, store: Layer.Layer<BlobStore, unknown>) =>
  layer(store, { excludeTestServices: true, timeout: "60 seconds" })(name, (it) => {
    it.effect("gives back what was put, under the hash of it", () =>
      Effect.gen(function*() {
        const store = yield* BlobStore
        const key = yield* store.put(new TextEncoder().encode("abc"))
        assert.strictEqual(key, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        assert.strictEqual(new TextDecoder().decode(yield* store.get(key)), "abc")
        assert.isTrue(yield* store.has(key))
      }))

    it.effect("takes nothing, every byte, and megabytes", () =>
      Effect.gen(function*() {
        const store = yield* BlobStore
        const every = Uint8Array.from({ length: 256 }, (_, byte) => byte)
        for (const bytes of [new Uint8Array(0), every, random(3 * 1024 * 1024)]) {
          const key = yield* store.put(bytes)
          const found = yield* store.get(key)
          assert.strictEqual(found.length, bytes.length)
          assert.isTrue(found.every((byte, at) => byte === bytes[at]))
        }
      }))

    it.effect("the same bytes are one blob, also when they come together", () =>
      Effect.gen(function*() {
        const store = yield* BlobStore
        const bytes = bytesOf("same")
        const keys = yield* Effect.forEach(Array.from({ length: 20 }), () => store.put(bytes), {
          concurrency: "unbounded"
        })
        assert.strictEqual(new Set(keys).size, 1)
        const [key = ""] = keys
        assert.deepStrictEqual(Uint8Array.from(yield* store.get(key)), bytes)
        yield* store.remove(key)
        assert.isFalse(yield* store.has(key))
        assert.strictEqual(yield* store.put(bytes), key)
        assert.isTrue(yield* store.has(key))
      }))

    it.effect("cannot be changed from outside", () =>
      Effect.gen(function*() {
        const store = yield* BlobStore
        const bytes = bytesOf("immutable")
        const before = bytes.slice()
        const wide = new Uint8Array(bytes.length + 20)
        wide.set(bytes, 10)
        const key = yield* store.put(wide.subarray(10, 10 + bytes.length))
        wide.fill(0)
        const found = yield* store.get(key)
        assert.deepStrictEqual(Uint8Array.from(found), before)
        found.fill(0)
        assert.deepStrictEqual(Uint8Array.from(yield* store.get(key)), before)
      }))

    it.effect("lists what is there, with size and time, and shows the beginning of it", () =>
      Effect.gen(function*() {
        const store = yield* BlobStore
        const all = Array.from({ length: 30 }, (_, index) => bytesOf(`listed ${index} ${"x".repeat(index)}`))
        const keys = yield* Effect.forEach(all, (bytes) => store.put(bytes), { concurrency: 4 })
        const gone = yield* store.put(bytesOf("gone"))
        yield* store.remove(gone)
        const found: Array<Listed> = []
        for (let page = yield* store.list(""); page.length > 0; page = yield* store.list(page.at(-1)?.key ?? "")) {
          found.push(...page)
        }
        assert.deepStrictEqual(found.map(({ key }) => key), [...new Set(found.map(({ key }) => key))].sort())
        const sizes = new Map(found.map(({ bytes, key }) => [key, bytes]))
        assert.deepStrictEqual(keys.map((key) => sizes.get(key)), all.map(({ length }) => length))
        assert.isFalse(sizes.has(gone))
        assert.isTrue(found.every(({ at }) => Math.abs(Date.now() - at) < 600_000))
        const [key = ""] = keys
        assert.deepStrictEqual(Uint8Array.from((yield* store.start(key, 5)) ?? []), all[0]?.slice(0, 5))
        assert.deepStrictEqual(Uint8Array.from((yield* store.start(key, 5_000)) ?? []), all[0])
        const empty = yield* store.put(new Uint8Array())
        assert.strictEqual((yield* store.start(empty, 5))?.length ?? 0, 0)
      }))

    it.effect("what is not there is BlobNotFound, and what is no key as well", () =>
      Effect.gen(function*() {
        const store = yield* BlobStore
        const key = yield* store.put(bytesOf("to be removed"))
        yield* store.remove(key)
        yield* store.remove(key)
        const odd = [
          "",
          ".",
          "../../etc/passwd",
          "a".repeat(63),
          "A".repeat(64),
          `${key}/x`,
          `${key}\n`,
          "żółw 🐢 %00\0"
        ]
        for (const missing of [key, "0".repeat(64), ...odd]) {
          assert.containSubset(yield* Effect.flip(store.get(missing)), { _tag: "BlobNotFound", key: missing })
          assert.isFalse(yield* store.has(missing))
          assert.isUndefined(yield* store.start(missing, 10))
          yield* store.remove(missing)
        }
      }))
  })
