// The hub alone, on a test clock.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { token } from "../../../src/run/Event.ts"
import type { RunRecord } from "../../../src/run/RunRecord.ts"
import { Hub, type Page, pages, recentCapacity, type Until } from "../../../src/runtime/internal/hub.ts"
import { makeMemoryRunStore, type MemoryRunStore } from "../../../src/store/internal/memoryRunStore.ts"
import type { Changes } from "../../../src/store/RunStore.ts"
import { commitOf, recordOf } from "./records.ts"

/** A run with as many events as there are tokens, its store, and a hub that knows of all of them. */
const make = (tokens = 1) => {
  const store = makeMemoryRunStore(10)
  const [admitted] = store.writeNow([{
    _tag: "Admit",
    run: recordOf("one"),
    events: Array.from({ length: tokens }, text)
  }])
  if (admitted?._tag !== "Admitted") throw new Error("the run was not admitted")
  return { store, hub: new Hub(admitted.run) }
}

const text = (_: unknown, index: number) => token(`${index}`)

/** Commits to the store, and to the hub what the store answers. */
const commit = Effect.fnUntraced(
  function*(store: MemoryRunStore, hub: Hub | undefined, count: number, set: Changes = {}) {
    const [written] = store.writeNow([{ ...commitOf("one", Array.from({ length: count }, text)), set }])
    const after = yield* store.get("one")
    if (written?._tag !== "Committed" || after === undefined) return yield* Effect.die(new Error("nothing was written"))
    hub?.publish(after, written.events)
    return after
  }
)

const read = (hub: Hub, store: MemoryRunStore, until: Until = "final", after = 0) =>
  Effect.map(Stream.runCollect(pages(hub, store, after, until)), (all) => [...all])

const numbers = (all: ReadonlyArray<Page>) => all.flatMap(({ events }) => events.map(({ seq }) => seq))

const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, index) => first + index)

const states: ReadonlyArray<readonly [Changes, { readonly [K in Until]: boolean }]> = [
  [{ state: "suspended" }, { final: false, settled: false, somebody: false }],
  [{ state: "suspended", waitsFor: "timer" }, { final: false, settled: true, somebody: false }],
  [{ state: "suspended", waitsFor: "child" }, { final: false, settled: true, somebody: false }],
  [{ state: "suspended", waitsFor: "interrupt" }, { final: false, settled: true, somebody: true }],
  [{ state: "suspended", waitsFor: "migration" }, { final: false, settled: true, somebody: true }],
  [{ state: "suspended", waitsFor: "repair" }, { final: false, settled: true, somebody: true }],
  [{ state: "failed" }, { final: true, settled: true, somebody: true }]
]

describe("A hub", () => {
  it.effect("gives a follower what is stored and then what comes, without gap or duplicate", () =>
    Effect.gen(function*() {
      const { hub, store } = make(3)
      const reading = yield* Effect.forkChild(read(hub, store))
      yield* Effect.yieldNow
      yield* commit(store, hub, 2)
      yield* Effect.yieldNow
      yield* commit(store, hub, 1, { state: "completed" })
      const all = yield* Fiber.join(reading)
      assert.deepStrictEqual(numbers(all), upTo(6))
      assert.deepStrictEqual(all.at(-1)?.run, yield* store.get("one"))
    }))

  it.effect("gives a follower that is further behind than it keeps the rest from the store", () =>
    Effect.gen(function*() {
      const { hub, store } = make(1)
      for (let i = 0; i < 5; i++) yield* commit(store, hub, recentCapacity / 2)
      yield* commit(store, hub, 1, { state: "completed" })
      assert.deepStrictEqual(numbers(yield* read(hub, store)), upTo(2 + 2.5 * recentCapacity))
      assert.deepStrictEqual(numbers(yield* read(hub, store, "final", 2_000)), upTo(2 + 2.5 * recentCapacity, 2_001))
    }))

  it.effect("gives what another node has written in between from the store", () =>
    Effect.gen(function*() {
      const { hub, store } = make(1)
      yield* commit(store, hub, 1)
      yield* commit(store, undefined, 3)
      yield* commit(store, hub, 1, { state: "completed" })
      assert.deepStrictEqual(numbers(yield* read(hub, store)), upTo(6))
    }))

  it.effect("gives no event that is stored before its record is known here", () =>
    Effect.gen(function*() {
      const { hub, store } = make(3)
      const after = yield* commit(store, undefined, 1, { state: "failed" })
      const seen: Array<Page> = []
      const reading = yield* Effect.forkChild(
        Stream.runForEach(pages(hub, store, 0, "final"), (page) => Effect.sync(() => seen.push(page)))
      )
      yield* Effect.yieldNow
      assert.deepStrictEqual(numbers(seen), upTo(3))
      hub.publish(after, yield* store.events("one", 3, 1))
      yield* Fiber.join(reading)
      assert.deepStrictEqual(numbers(seen), upTo(4))
      for (const { events, run } of seen) {
        assert.strictEqual(events.some(({ seq }) => seq === 4), run.state === "failed")
      }
    }))

  it.effect("gives what a jump leaves out from the store", () =>
    Effect.gen(function*() {
      const { hub, store } = make(1)
      const reading = yield* Effect.forkChild(read(hub, store))
      yield* Effect.yieldNow
      hub.jump(yield* commit(store, undefined, 9, { state: "completed" }))
      assert.deepStrictEqual(numbers(yield* Fiber.join(reading)), upTo(10))
    }))

  it.effect("fails a follower when the store has a gap", () =>
    Effect.gen(function*() {
      const { hub, store } = make(1)
      hub.jump({ ...hub.run, seq: 5, state: "completed" })
      const error = yield* Effect.flip(read(hub, { ...store, events: () => Effect.succeed([]) }))
      assert.strictEqual(error._tag, "StoreUnavailable")
    }))

  for (const [set, ends] of states) {
    for (const until of ["final", "settled", "somebody"] as const) {
      const name = `${set.state}${set.waitsFor === undefined ? "" : ` for a ${set.waitsFor}`}`
      it.effect(`${ends[until] ? "ends" : "does not end"} a stream until ${until} when the run is ${name}`, () =>
        Effect.gen(function*() {
          const { hub, store } = make(1)
          const reading = yield* Effect.forkChild(read(hub, store, until))
          yield* Effect.yieldNow
          yield* commit(store, hub, 1, set)
          yield* Effect.yieldNow
          assert.strictEqual(reading.pollUnsafe() !== undefined, ends[until])
        }))
    }
  }

  it.effect("gives a page without events when it is woken, and again only when it is woken again", () =>
    Effect.gen(function*() {
      const { hub, store } = make(1)
      const seen: Array<Page> = []
      yield* Effect.forkChild(
        Stream.runForEach(pages(hub, store, 0, "final"), (page) => Effect.sync(() => seen.push(page)))
      )
      yield* Effect.forkChild(Effect.forever(Effect.andThen(Effect.sleep("15 seconds"), Effect.sync(() => hub.wake()))))
      yield* TestClock.adjust("14 seconds")
      assert.deepStrictEqual(seen.map(({ events }) => events.length), [1])
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(seen.map(({ events }) => events.length), [1, 0, 0])
    }))

  it.effect("says last that the server goes away, after everything that is committed", () =>
    Effect.gen(function*() {
      const { hub, store } = make(3)
      hub.close()
      const all = yield* read(hub, store)
      assert.deepStrictEqual(numbers(all), upTo(3))
      assert.deepStrictEqual(all.map(({ closing }) => closing), [false, true])
      assert.deepStrictEqual(yield* hub.settled, hub.run)
    }))

  it.effect("forgets a follower that leaves", () =>
    Effect.gen(function*() {
      const { hub, store } = make(1)
      const reading = yield* Effect.forkChild(read(hub, store))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(reading)
      const settled = yield* Effect.forkChild(hub.settled)
      yield* Effect.yieldNow
      yield* commit(store, hub, 1, { state: "suspended", waitsFor: "interrupt" })
      const run: RunRecord = yield* Fiber.join(settled)
      assert.strictEqual(run.waitsFor, "interrupt")
    }))
})
