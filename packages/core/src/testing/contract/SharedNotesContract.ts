// Contract of `SharedNotes`. A test file of the implementation calls `suite` once.
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import { SharedNotes } from "../../store/SharedNotes.ts"

/**
 * Declares the tests that every store of notes passes; the layer of one call shares its notes with the other nodes.
 *
 * @category contracts
 * @since 0.1.0
 */
export const suite = <E>(name: string, makeLayer: Effect.Effect<Layer.Layer<SharedNotes, E>, never, Scope.Scope>) =>
  describe(name, () => {
    const withNodes = <A, E2>(
      use: (a: SharedNotes["Service"], b: SharedNotes["Service"]) => Effect.Effect<A, E2>
    ) =>
      Effect.scoped(Effect.gen(function*() {
        const layer = yield* makeLayer
        const node = Effect.map(Layer.build(Layer.fresh(layer)), (context) => Context.get(context, SharedNotes))
        return yield* use(yield* node, yield* node)
      }))
    const later = Date.now() + 3_600_000
    const value = { text: "żółw 🐢 '", n: [1.5, null, true] }

    it.live("gives the last note of a key to every node", () =>
      withNodes(Effect.fnUntraced(function*(a, b) {
        assert.isUndefined(yield* b.get("key/żółw"))
        yield* a.put({ key: "key/żółw", value: "first", expiresAt: later })
        yield* b.put({ key: "key/żółw", value, expiresAt: later + 1 })
        assert.deepStrictEqual(yield* a.get("key/żółw"), { key: "key/żółw", value, expiresAt: later + 1 })
        assert.isUndefined(yield* a.get("key"))
      })))

    it.live("gives what was put after a cursor in its order, and a replaced note once", () =>
      withNodes(Effect.fnUntraced(function*(a, b) {
        yield* a.put({ key: "old", value: 0, expiresAt: later })
        const { cursor, notes } = yield* b.since(undefined)
        assert.deepStrictEqual(notes, [])
        yield* a.put({ key: "one", value: 1, expiresAt: later })
        yield* b.put({ key: "two", value: 2, expiresAt: later })
        yield* a.put({ key: "old", value: 3, expiresAt: later })
        const page = yield* b.since(cursor)
        assert.deepStrictEqual(page.notes.map(({ key, value }) => [key, value]), [["one", 1], ["two", 2], ["old", 3]])
        assert.deepStrictEqual((yield* a.since(page.cursor)).notes, [])
        assert.deepStrictEqual((yield* a.since(page.cursor)).cursor, page.cursor)
      })))

    it.live("loses no note of many nodes that put at once", () =>
      withNodes(Effect.fnUntraced(function*(a, b) {
        let { cursor } = yield* a.since(undefined)
        const seen = new Set<string>()
        const read = Effect.gen(function*() {
          while (seen.size < 40) {
            const page = yield* a.since(cursor)
            cursor = page.cursor
            for (const { key } of page.notes) seen.add(key)
          }
        })
        const put = Effect.forEach(
          Array.from({ length: 40 }, (_, index) => index),
          (index) => (index % 2 === 0 ? a : b).put({ key: `n${index}`, value: index, expiresAt: later }),
          { concurrency: 8 }
        )
        yield* Effect.all([read, put], { concurrency: 2 }).pipe(Effect.timeout("20 seconds"))
        assert.strictEqual(seen.size, 40)
      })))

    it.live("finds no note whose time is over", () =>
      withNodes(Effect.fnUntraced(function*(a, b) {
        const { cursor } = yield* a.since(undefined)
        yield* a.put({ key: "short", value: 1, expiresAt: Date.now() + 400 })
        assert.isDefined(yield* b.get("short"))
        yield* Effect.sleep("420 millis")
        assert.isUndefined(yield* b.get("short"))
        assert.deepStrictEqual((yield* b.since(cursor)).notes, [])
        yield* a.put({ key: "short", value: 2, expiresAt: later })
        assert.deepStrictEqual((yield* b.since(cursor)).notes.map((note) => note.value), [2])
      })))
  })
