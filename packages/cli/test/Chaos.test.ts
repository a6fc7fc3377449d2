import { assert, describe, it } from "@effect/vitest"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import * as RedisServer from "@fastagentic/stores/test/redis/server"
import { Effect, Redacted } from "effect"
import { chaos, isBroken, lineOf, type Options } from "./chaos/chaos.ts"
import { examine } from "./chaos/verdict.ts"

/** The short form of `npm run chaos`. */
const holds = async (name: string, options: Pick<Options, "nodes" | "store">) => {
  const seed = Math.floor(Math.random() * 1_000_000)
  const verdict = await chaos({ seed, runs: 12, atOnce: 6, seconds: 6, ...options })
  const line = `${lineOf(name, verdict)}, CHAOS_SEED=${seed}`
  assert.isFalse(isBroken(verdict), `${line} ${verdict.wrong.join()}`)
  assert.strictEqual(verdict.finished, 12, line)
  assert.isAbove(verdict.kills + verdict.stops, 0, line)
}

describe("Real servers that are killed", () => {
  it(
    "killed servers lose nothing, run nothing twice and keep whole journals on SQLite",
    () => holds("sqlite", { nodes: 1 }),
    120_000
  )
})

PostgresServer.describeWithServer("Real servers that are killed on PostgreSQL", () => {
  it.live("killed servers lose nothing, run nothing twice and keep whole journals", () =>
    Effect.gen(function*() {
      const url = Redacted.value(yield* PostgresServer.database)
      yield* Effect.promise(() => holds("postgres", { nodes: 3, store: url }))
    }).pipe(Effect.scoped), 120_000)
})

RedisServer.describeWithOwnServer("Real servers that are killed on Redis", () => {
  it.live("killed servers lose nothing, run nothing twice and keep whole journals", () =>
    Effect.gen(function*() {
      const { url } = yield* RedisServer.ownServer()
      yield* Effect.promise(() => holds("redis", { nodes: 3, store: Redacted.value(url) }))
    }).pipe(Effect.scoped), 120_000)
})

describe("The verdict", () => {
  const event = (seq: number, type: string, data: unknown, attempt = 1) => ({ seq, type, data, attempt, ts: seq * 10 })
  const journal = [
    event(1, "run_started", {}),
    event(2, "checkpoint", { checkpointId: "one" }),
    event(3, "checkpoint", { checkpointId: "two" }, 2),
    event(4, "done", {}, 2)
  ]
  const begun = (step: string, attempt: number, at: number) => ({ runId: "r", step, attempt, at })
  const clean = { gaps: 0, duplicates: 0, again: 0, late: 0 }

  it("an intact journal has no finding, and a step begun before its commit is no fault", () => {
    const seen = [begun("one", 1, 15), begun("two", 1, 25), begun("two", 2, 28)]
    assert.deepStrictEqual(examine(journal, 4, seen), clean)
  })

  it("a step begun after its commit is found, by the next owner or the same one", () => {
    const seen = [begun("one", 1, 15), begun("one", 2, 25), begun("two", 2, 28), begun("two", 2, 29)]
    assert.deepStrictEqual(examine(journal, 4, seen), { ...clean, again: 2 })
    assert.deepStrictEqual(examine(journal, 4, [begun("two", 1, 35)]), { ...clean, late: 1 })
  })

  it("gaps, duplicate numbers and duplicate commits are found", () => {
    assert.deepStrictEqual(examine(journal.filter(({ seq }) => seq !== 2), 4, []), { ...clean, gaps: 1 })
    assert.deepStrictEqual(examine(journal, 5, []), { ...clean, gaps: 1 })
    const [started, one, two, done] = journal
    assert.isAbove(examine([started, one, one, two, done], 4, []).duplicates, 0)
    assert.deepStrictEqual(
      examine([...journal, event(5, "done", {}, 2)], 5, []),
      { ...clean, duplicates: 1 }
    )
    assert.isAbove(examine([...journal, event(5, "log", {}, 1)], 5, []).duplicates, 0)
  })
})
