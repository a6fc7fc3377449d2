// The store writer alone, on a store under the control of the test.
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { token } from "../../../src/run/Event.ts"
import { StoreUnavailable } from "../../../src/run/RunError.ts"
import { StoreWriter } from "../../../src/runtime/internal/storeWriter.ts"
import { makeMemoryRunStore } from "../../../src/store/internal/memoryRunStore.ts"
import type { RunStore, Write, Written } from "../../../src/store/RunStore.ts"
import { Metrics } from "../../../src/telemetry/internal/metrics.ts"
import { commitOf, recordOf } from "./records.ts"

const admission = (runId: string): Write => ({ _tag: "Admit", run: recordOf(runId), events: [token(runId)] })

/** A store whose writes take a second, as a batch each, and may fail or answer too little. */
const make = Effect.fnUntraced(function*(
  change: (written: ReadonlyArray<Written>, batch: number) => Effect.Effect<ReadonlyArray<Written>, StoreUnavailable> =
    (
      written
    ) => Effect.succeed(written)
) {
  const { writeNow, ...memory } = makeMemoryRunStore(10)
  const batches: Array<number> = []
  const store: RunStore["Service"] = {
    ...memory,
    write: (writes) =>
      Effect.delay(
        Effect.suspend(() => {
          batches.push(writes.length)
          return change(writeNow(writes), batches.length)
        }),
        "1 second"
      )
  }
  const writer = new StoreWriter(store, new Metrics("test", Context.empty()))
  const scope = yield* Scope.make()
  yield* Scope.provide(writer.run, scope)
  yield* Effect.yieldNow
  return { writer, batches, scope, store }
})

describe("A store's writer", () => {
  it.effect("commits what waits in one transaction, in its order, and answers each write", () =>
    Effect.gen(function*() {
      const { batches, writer } = yield* make()
      const order: Array<string> = []
      const write = (runId: string) =>
        Effect.forkChild(Effect.tap(writer.write(admission(runId)), () => Effect.sync(() => order.push(runId))))
      yield* write("a")
      yield* Effect.yieldNow
      const rest = yield* Effect.forEach(["b", "c", "d"], write)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([order, batches], [["a"], [1]])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(order, ["a", "b", "c", "d"])
      assert.deepStrictEqual(batches, [1, 3])
      for (const fiber of rest) assert.strictEqual((yield* Fiber.join(fiber))._tag, "Admitted")
    }))

  it.effect("counts a turn when it takes what waits, so that a batch under way is not added to", () =>
    Effect.gen(function*() {
      const { writer } = yield* make()
      writer.enqueue(admission("a"), () => {})
      const { turn } = writer
      writer.enqueue(admission("b"), () => {})
      yield* Effect.yieldNow
      assert.strictEqual(writer.turn, turn)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(writer.turn, turn + 1)
    }))

  it.effect("fails the writes of a batch that the store refuses, and writes the next one", () =>
    Effect.gen(function*() {
      const { writer } = yield* make((written, batch) =>
        batch === 1 ? Effect.fail(new StoreUnavailable({ operation: "write" })) : Effect.succeed(written)
      )
      const first = yield* Effect.forkChild(Effect.exit(writer.write(admission("a"))))
      yield* TestClock.adjust("1 second")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(first)))
      const second = yield* Effect.forkChild(writer.write(admission("b")))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(second))._tag, "Admitted")
    }))

  it.effect("fails a write as unavailable when the store throws or answers too little", () =>
    Effect.gen(function*() {
      const { writer } = yield* make((written, batch) =>
        batch === 1 ? Effect.die(new TypeError("broken")) : Effect.succeed(written.slice(1))
      )
      for (let i = 0; i < 2; i++) {
        const fiber = yield* Effect.forkChild(Effect.flip(writer.write(admission(`${i}`))))
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* Fiber.join(fiber))._tag, "StoreUnavailable")
      }
    }))

  it.effect("lets whoever emits wait while the line is long", () =>
    Effect.gen(function*() {
      const { writer } = yield* make()
      yield* Effect.forkChild(writer.write(admission("a")))
      yield* Effect.yieldNow
      for (let i = 0; i < 256; i++) writer.enqueue(commitOf("a", [token(`${i}`)]), () => {})
      const waiting = yield* Effect.forkChild(writer.room)
      yield* Effect.yieldNow
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("1 second")
      assert.isDefined(waiting.pollUnsafe())
    }))

  it.effect("runs a transaction after what was in line before it and before what comes later, and fails it alone", () =>
    Effect.gen(function*() {
      const order: Array<string> = []
      const { store } = yield* make()
      const writer = new StoreWriter({
        ...store,
        write: (writes) =>
          Effect.delay(
            Effect.sync(() => {
              order.push(`write ${writes.length}`)
              return writes.map((): Written => ({ _tag: "Refused" }))
            }),
            "1 second"
          ),
        transact: () =>
          Effect.delay(
            Effect.suspend(() => {
              order.push("transaction")
              return Effect.fail(new StoreUnavailable({ operation: "transact" }))
            }),
            "1 second"
          )
      }, new Metrics("test", Context.empty()))
      const scope = yield* Scope.make()
      yield* Scope.provide(writer.run, scope)
      writer.enqueue(admission("a"), () => {})
      const failing = yield* Effect.forkChild(Effect.flip(writer.transact(Effect.void, () => commitOf("a"), () => {})))
      yield* Effect.yieldNow
      writer.enqueue(admission("b"), () => {})
      for (let i = 0; i < 3; i++) yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(order, ["write 1", "transaction", "write 1"])
      assert.strictEqual((yield* Fiber.join(failing)).operation, "transact")
    }))

  it.effect("writes what waits when its scope closes, and refuses what comes after", () =>
    Effect.gen(function*() {
      const { batches, scope, writer } = yield* make()
      const waiting = yield* Effect.forkChild(writer.write(admission("a")))
      yield* Effect.yieldNow
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "Admitted")
      assert.deepStrictEqual(batches, [1])
      assert.strictEqual((yield* Effect.flip(writer.write(admission("b"))))._tag, "StoreUnavailable")
    }))
})
