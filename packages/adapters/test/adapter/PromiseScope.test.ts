import { assert, describe, it } from "@effect/vitest"
import { PromiseScope } from "@fastagentic/adapters/adapter"
import { Effect, Fiber } from "effect"

describe("PromiseScope.host", () => {
  it.live("takes an item only after the one before was handled", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const items = async function*() {
        for (const item of [1, 2, 3]) {
          seen.push(`made ${item}`)
          yield item
        }
      }
      yield* PromiseScope.host((host) =>
        host.forEach(items(), (item) => Effect.sync(() => void seen.push(`took ${item}`)))
      )
      assert.deepStrictEqual(seen, ["made 1", "took 1", "made 2", "took 2", "made 3", "took 3"])
    }))

  it.live("aborts when it is interrupted, and waits for what is pending", () =>
    Effect.gen(function*() {
      let cleaned = false
      let started = () => {}
      const running = new Promise<void>((resolve) => {
        started = resolve
      })
      const fiber = yield* Effect.forkChild(PromiseScope.host((host) =>
        host.call(() =>
          new Promise<void>((resolve) => {
            started()
            host.signal.addEventListener("abort", () =>
              setTimeout(() => {
                cleaned = true
                resolve()
              }, 30))
          })
        )
      ))
      yield* Effect.promise(() => running)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(cleaned)
    }))

  it.live("does not wait longer than its grace", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(
        PromiseScope.host((host) => host.call(() => new Promise<void>(() => {})), { grace: "20 millis" })
      )
      yield* Effect.sleep("10 millis")
      yield* Fiber.interrupt(fiber)
    }))

  it.live("closes an iterable whose item could not be handled", () =>
    Effect.gen(function*() {
      let closed = false
      const items = async function*() {
        try {
          for (;;) yield 1
        } finally {
          closed = true
        }
      }
      const error = yield* Effect.flip(PromiseScope.host((host) => host.forEach(items(), () => Effect.fail("no"))))
      assert.strictEqual(error, "no")
      assert.isTrue(closed)
    }))

  it.live("wraps what is thrown, also before a promise is made", () =>
    Effect.gen(function*() {
      const boom = new Error("boom")
      const error = yield* Effect.flip(PromiseScope.host((host) =>
        host.call((): Promise<never> => {
          throw boom
        })
      ))
      assert.strictEqual(error.cause, boom)
    }))
})
