import { assert, describe, it } from "@effect/vitest"
import { PromiseScope } from "@fastagentic/adapters/adapter"
import { Effect, Fiber } from "effect"

describe("PromiseScope.host", () => {
  it.live("an item is taken only after the previous one was handled", () =>
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

  it.live("interruption aborts the signal and waits for pending promises", () =>
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

  it.live("the wait ends after the grace period", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(
        PromiseScope.host((host) => host.call(() => new Promise<void>(() => {})), { grace: "20 millis" })
      )
      yield* Effect.sleep("10 millis")
      yield* Fiber.interrupt(fiber)
    }))

  it.live("an iterable is closed when handling its item fails", () =>
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

  it.live("a thrown value is wrapped, also before a promise is made", () =>
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
