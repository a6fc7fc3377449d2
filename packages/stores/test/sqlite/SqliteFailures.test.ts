import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, Caller, RateLimit, Run, RunRecord, Runtime } from "@fastagentic/core"
import { Context, Effect, Layer, Schema } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { TestClock } from "effect/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Sqlite, SqliteClient } from "../../src/sqlite/index.ts"

const Steps = Agent.make("steps", {
  description: "Three steps, a question and a nap",
  payload: { size: Schema.Int },
  success: Schema.String
})

const Acme = App.make("acme", { version: "1", agents: [Steps] })

const caller = Caller.make("local")

/** A runtime on its own file, its recorded work, and access to its database. */
const make = Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "sqlite-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
  const done: Array<string> = []
  const handlers = Steps.toLayer(Effect.fn(function*({ size }) {
    const work = (name: string) =>
      Run.step(
        name,
        Effect.sync(() => {
          done.push(name)
          return "x".repeat(size)
        })
      )
    yield* work("one")
    yield* Effect.orDie(Run.interrupt("go on", { schema: Schema.Boolean }))
    yield* work("two")
    yield* Run.sleep("1 second")
    yield* work("three")
    return "there"
  }))
  const services = yield* Layer.build(
    Runtime.layer(Acme, { grace: "100 millis" }).pipe(
      Layer.provide([handlers, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited]),
      Layer.provide(Sqlite.layerNoClient),
      Layer.provideMerge(SqliteClient.layer({ filename: join(folder, "runs.db") }))
    )
  )
  const runtime = Context.get(services, Runtime.Runtime)
  const sql = Context.get(services, SqlClient.SqlClient)
  const start = (size = 1) =>
    Effect.map(runtime.start(caller, { kind: "agent", identifier: "steps", payload: { size } }), ({ run }) => run.runId)
  const approve = (runId: string) =>
    Effect.gen(function*() {
      yield* runtime.await(caller, runId)
      const [open] = yield* runtime.interrupts(caller, runId)
      return yield* runtime.answer(caller, runId, open?.id ?? "", { decision: "approve", value: true })
    })
  const ended = (runId: string) =>
    Effect.repeat(Effect.andThen(Effect.sleep("50 millis"), runtime.await(caller, runId)), {
      until: (run) => RunRecord.isFinal(run.state)
    })
  const sound = Effect.gen(function*() {
    assert.deepStrictEqual(yield* sql.unsafe("PRAGMA integrity_check").values, [["ok"]])
  })
  const whole = Effect.fnUntraced(function*(runId: string) {
    const events = yield* runtime.events(caller, runId, { after: 0, limit: 1_000 })
    assert.deepStrictEqual(events.map(({ seq }) => seq), events.map((_, index) => index + 1))
  })
  return { runtime, sql, done, start, approve, ended, sound, whole }
})

describe("A store that cannot be written", () => {
  it.live(
    "refuses a write with a typed error when the disk is full, and continues when it is not",
    () =>
      Effect.gen(function*() {
        const { approve, ended, runtime, sound, sql, start, whole } = yield* make
        const runId = yield* start(100_000)
        yield* runtime.await(caller, runId)
        const pages = Number((yield* sql.unsafe("PRAGMA page_count").values)[0]?.[0])
        yield* sql.unsafe(`PRAGMA max_page_count = ${pages}`)
        // The disk may have space for the answer, but not for a step of this size.
        const refused = yield* Effect.flip(Effect.forever(start(1)))
        assert.strictEqual(refused.reason._tag, "StoreUnavailable")
        yield* Effect.ignore(approve(runId))
        yield* Effect.sleep("200 millis")
        assert.notStrictEqual((yield* runtime.get(caller, runId)).state, "completed")
        yield* sql.unsafe("PRAGMA max_page_count = 1000000")
        // The answer may have been stored before.
        yield* Effect.ignore(approve(runId))
        assert.deepInclude(yield* ended(runId), { state: "completed", output: "there" })
        const first = yield* runtime.events(caller, runId, { after: 0, limit: 1_000 })
        const steps = first.flatMap(({ data, type }) => type === "checkpoint" ? [data.checkpointId] : [])
        assert.deepStrictEqual(steps, ["one", "two", "three"])
        yield* whole(runId)
        yield* sound
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "can still be read when it is read-only, and is written again when it is not",
    () =>
      Effect.gen(function*() {
        const { approve, ended, runtime, sound, sql, start, whole } = yield* make
        const runId = yield* start()
        yield* runtime.await(caller, runId)
        yield* sql.unsafe("PRAGMA query_only = ON")
        assert.strictEqual((yield* Effect.flip(start())).reason._tag, "StoreUnavailable")
        assert.strictEqual((yield* Effect.flip(approve(runId))).reason._tag, "StoreUnavailable")
        assert.deepInclude(yield* runtime.get(caller, runId), { state: "suspended", waitsFor: "interrupt" })
        yield* whole(runId)
        yield* sql.unsafe("PRAGMA query_only = OFF")
        yield* approve(runId)
        assert.deepInclude(yield* ended(runId), { state: "completed", attempt: 3 })
        yield* whole(runId)
        yield* sound
      }).pipe(Effect.scoped),
    60_000
  )
})

describe("A clock that is set back", () => {
  it.effect("loses nothing and runs nothing twice; a sleep ends when the clock has caught up", () =>
    Effect.gen(function*() {
      const hour = 3_600_000
      yield* TestClock.setTime(10 * hour)
      const { approve, done, runtime, start, whole } = yield* make
      const runId = yield* start()
      yield* runtime.await(caller, runId)
      yield* TestClock.setTime(9 * hour)
      const later = yield* start()
      yield* approve(runId)
      const asleep = yield* runtime.await(caller, runId)
      assert.deepInclude(asleep, { state: "suspended", waitsFor: "timer" })
      assert.deepStrictEqual(done, ["one", "one", "two"])
      // The clock is set back again while the run sleeps.
      yield* TestClock.setTime(8 * hour)
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(yield* runtime.get(caller, runId), { state: "suspended", waitsFor: "timer" })
      yield* TestClock.adjust("1 hour")
      yield* Effect.repeat(Effect.andThen(TestClock.adjust("1 second"), runtime.get(caller, runId)), {
        until: (run) => RunRecord.isFinal(run.state),
        times: 50
      })
      assert.deepInclude(yield* runtime.get(caller, runId), { state: "completed", output: "there" })
      assert.deepStrictEqual(done, ["one", "one", "two", "three"])
      assert.deepInclude(yield* runtime.get(caller, later), { state: "suspended", waitsFor: "interrupt" })
      yield* whole(runId)
      yield* whole(later)
    }).pipe(Effect.scoped))
})
