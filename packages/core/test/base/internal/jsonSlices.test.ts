// Values of every shape go through slices and come back the same, and the event loop turns between them.
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Schema } from "effect"
import { Lines, readBackInSlices, toLines } from "../../../src/base/internal/jsonSlices.ts"
import { readBack, Unstorable } from "../../../src/base/internal/readBack.ts"

const rows = (count: number) =>
  Array.from({ length: count }, (_, id) => ({ id, name: `näme \u2028 ${id}`, tags: ["a", { b: null }], ok: true }))

const values: Record<string, Schema.Json> = {
  small: { a: [1, "x"] },
  string: "ä\ud83d\ude00\u0000\"\\\n".repeat(200_000),
  lone: "\ud800".repeat(300_000),
  rows: rows(20_000),
  nested: {
    before: 1,
    deep: { list: rows(5_000), text: "x".repeat(500_000), pieces: ["a"] },
    after: [[rows(3_000)], []]
  },
  record: Object.fromEntries(Array.from({ length: 30_000 }, (_, key) => [`key "${key}"`, { value: key }])),
  proto: JSON.parse(`{"__proto__":${JSON.stringify(rows(5_000))},"x":{"__proto__":1}}`)
}

/** How often the event loop turned while an effect ran. */
const turnsDuring = <A>(effect: Effect.Effect<A>) =>
  Effect.suspend(() => {
    let turns = 0
    let isOver = false
    const turn = () => {
      turns++
      if (!isOver) setImmediate(turn)
    }
    setImmediate(turn)
    return Effect.map(effect, (value) => {
      isOver = true
      return { turns, value }
    })
  })

const linesOf = (value: unknown) =>
  Effect.suspend(() => {
    const all: Array<string> = []
    return Effect.map(toLines(value, (line) => void all.push(line)), () => all)
  })

const fromLines = (all: ReadonlyArray<string>) => {
  const lines = new Lines()
  for (const line of all) lines.add(line)
  return lines.value
}

describe("Large JSON values in slices", () => {
  for (const [name, value] of Object.entries(values)) {
    it.live(`${name}: the lines and the copy are the same value`, () =>
      Effect.gen(function*() {
        const text = JSON.stringify(value)
        const lines = yield* linesOf(value)
        assert.isFalse(lines.some((line) => line.includes("\n")))
        assert.isTrue(JSON.stringify(fromLines(lines)) === text)
        assert.isTrue(JSON.stringify(yield* readBackInSlices(value)) === JSON.stringify(readBack(value)))
        for (const line of lines) assert.isBelow(line.length, 1_000_000)
      }))
  }

  it.live("the event loop turns between the slices, as often as the value is large", () =>
    Effect.gen(function*() {
      const value = { rows: rows(50_000), text: "x".repeat(4_000_000) }
      const size = JSON.stringify(value).length
      const { turns, value: lines } = yield* turnsDuring(linesOf(value))
      assert.isAbove(turns, size / 65_536 / 4)
      const copied = yield* turnsDuring(readBackInSlices(value))
      assert.isAbove(copied.turns, size / 65_536 / 8)
      // No slice has more than a small part of the value.
      assert.isBelow(Math.max(...lines.map(({ length }) => length)), size / 20)
    }))

  it.live("a part that JSON cannot hold is found with its path", () =>
    Effect.gen(function*() {
      const list = [...rows(5_000), { deep: { value: Number.NaN } }]
      const found = yield* readBackInSlices({ list })
      assert.isTrue(found instanceof Unstorable)
      assert.deepInclude(found, { path: ".list[5000].deep.value", found: "NaN" })
      const cycle: Record<string, unknown> = { text: "x".repeat(100_000) }
      cycle["self"] = cycle
      assert.isTrue((yield* readBackInSlices(cycle)) instanceof Unstorable)
      class Order {
        readonly text = "x".repeat(100_000)
      }
      assert.deepInclude(yield* readBackInSlices(new Order()), { found: "an instance of Order" })
    }))
})
