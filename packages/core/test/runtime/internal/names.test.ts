// The field of Effect's own by which a run knows whether a fiber is alone: an update of Effect that takes it away fails here.
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { hasChildren } from "../../../src/runtime/internal/names.ts"

describe("hasChildren", () => {
  it.effect("knows of a fiber whether it has forked others that are alive", () =>
    Effect.gen(function*() {
      const seen = yield* Effect.forkChild(Effect.gen(function*() {
        const fiber = yield* Effect.withFiber(Effect.succeed)
        const before = hasChildren(fiber)
        const gate = yield* Deferred.make<void>()
        const child = yield* Effect.forkChild(Deferred.await(gate))
        const during = hasChildren(fiber)
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(child)
        return [before, during, hasChildren(fiber)]
      }))
      assert.deepStrictEqual(yield* Fiber.join(seen), [false, true, false])
    }))

  it("answers that there may be children when the field is not there or is something else", () => {
    assert.isTrue(hasChildren({}))
    assert.isTrue(hasChildren({ _children: [] }))
  })
})
