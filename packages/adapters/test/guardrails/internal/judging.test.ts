// Masks of a service: everything that it names is hidden, or nothing passes.
import { assert, describe, it } from "@effect/vitest"
import { masked } from "../../../src/guardrails/internal/judging.ts"

const mask = (start: number, end: number, by = "*") => ({ start, end, by })

describe("masks", () => {
  it("count characters and not units of UTF-16", () => {
    assert.deepStrictEqual(masked(["😀😀 jo@x.y"], [mask(3, 9)]), ["😀😀 *"])
  })

  it("that overlap hide all that each of them hides", () => {
    for (const masks of [[mask(0, 6), mask(2, 4)], [mask(2, 6), mask(0, 4)], [mask(0, 3), mask(0, 6)]]) {
      assert.deepStrictEqual(masked(["secret!"], masks), ["*!"])
    }
  })

  it("reach over several texts", () => {
    assert.deepStrictEqual(masked(["one two", "three four"], [mask(4, 13), mask(14, 18)]), ["one *", "* *"])
  })

  it("outside of the texts are none", () => {
    for (const outside of [mask(3, 8), mask(-1, 2), mask(2, 2), mask(9, 12)]) {
      assert.isUndefined(masked(["four"], [mask(0, 1), outside]))
    }
  })
})
