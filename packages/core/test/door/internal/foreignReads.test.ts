// The bounds of the entries about reads of others: repeats are counted, and no count is lost.
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Entry } from "../../../src/audit/Audit.ts"
import { filterText, makeForeignReads } from "../../../src/door/internal/foreignReads.ts"

const reading = Effect.gen(function*() {
  const clock = yield* Clock.clockWith(Effect.succeed)
  const written: Array<Entry> = []
  const now = () => clock.currentTimeMillisUnsafe()
  const scope = yield* Scope.make()
  const record = yield* makeForeignReads({
    record: (entry) => Effect.sync(() => void written.push(entry))
  }, now).pipe(Scope.provide(scope))
  const read = (target: string, more: Partial<Entry> = {}) =>
    Effect.suspend(() =>
      record({
        at: now(),
        tenant: "acme",
        principal: "rita",
        action: "read",
        decision: "allowed",
        traceId: "t",
        target,
        ...more
      })
    )
  const said = () => written.map(({ at, count = 1, target }) => `${at / 60_000} ${target} ${count}`)
  return { read, said, close: Scope.close(scope, Exit.void) }
})

describe("foreignReads", () => {
  it.effect("a reader who polls for an hour has the first read of each window and the count of its repeats", () =>
    Effect.gen(function*() {
      const { close, read, said } = yield* reading
      for (let minute = 0; minute < 60; minute++) {
        for (let second = 0; second < 60; second += 10) {
          yield* read("run/1")
          yield* TestClock.adjust("10 seconds")
        }
      }
      yield* close
      const counts = said().map((line) => Number(line.split(" ").at(-1)))
      assert.strictEqual(counts.reduce((sum, count) => sum + count, 0), 360)
      assert.deepStrictEqual(counts.slice(0, 4), [1, 59, 1, 59])
      assert.lengthOf(counts, 12)
    }))

  it.effect("reads that differ in tenant, reader, target, filter or owner are written each", () =>
    Effect.gen(function*() {
      const { read, said } = yield* reading
      const ways: ReadonlyArray<Partial<Entry>> = [
        {},
        { tenant: "other" },
        { principal: "abe" },
        { target: "runs" },
        { reason: "state=failed" },
        { onBehalfOf: "ann" }
      ]
      for (const way of [...ways, ...ways]) yield* read("thread/t", way)
      assert.lengthOf(said(), ways.length)
    }))

  it.effect("a reader of more things than are counted at a time has an entry for each, and no count is lost", () =>
    Effect.gen(function*() {
      const { close, read, said } = yield* reading
      for (let run = 0; run < 10_001; run++) {
        yield* read(`run/${run}`)
        if (run === 0) yield* read("run/0")
      }
      assert.deepStrictEqual(said().filter((line) => line.includes("run/0 ")), ["0 run/0 1", "0 run/0 1"])
      assert.lengthOf(said(), 10_002)
      yield* close
      assert.lengthOf(said(), 10_002)
    }))

  it("a filter names the fields that were set", () => {
    assert.deepStrictEqual(filterText({ state: "failed", agent: undefined, fields: ["output"] }), {
      reason: "state=failed fields=output"
    })
    assert.deepStrictEqual(filterText({ agent: undefined, fields: [] }), {})
  })
})
