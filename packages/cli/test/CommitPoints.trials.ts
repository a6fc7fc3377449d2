import { assert, describe, it } from "@effect/vitest"
import { Auth, Budget, Caller, RateLimit, RunRecord, Runtime } from "@fastagentic/core"
import { Sqlite } from "@fastagentic/stores/sqlite"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import { Effect, Layer, Redacted } from "effect"
import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { outputOf, travel } from "./chaos/journey.ts"
import { mortal, untilDeath } from "./chaos/mortal.ts"
import { Node } from "./chaos/nodes.ts"
import { makeRandom } from "./chaos/random.ts"
import { askAny } from "./chaos/requests.ts"
import { begunIn, examine, examineRun } from "./chaos/verdict.ts"
import type { Death } from "./fixture/dying.ts"
import { handlers, Travel } from "./fixture/journey.ts"
import { temporaryFolder } from "./process.ts"

const sides = ["before", "during", "after"] as const

const caller = Caller.make("local")

/** Starts or finds a journey, and answers its questions to the end. */
const journey = Effect.gen(function*() {
  const runtime = yield* Runtime.Runtime
  const request = { kind: "agent", identifier: "journey", payload: { number: 1 }, idempotencyKey: "j" } as const
  const { run: { runId } } = yield* runtime.start(caller, request)
  while (true) {
    const run = yield* runtime.await(caller, runId)
    if (RunRecord.isFinal(run.state)) return run
    for (const { id, name, state } of yield* runtime.interrupts(caller, runId)) {
      if (state === "open") yield* runtime.answer(caller, runId, id, { decision: "approve", value: `${name}?` })
    }
    yield* Effect.sleep("2 millis")
  }
})

/** A process on a file; after its simulated death it neither writes nor reads. */
const life = (filename: string, death?: Pick<Death, "at" | "when">) =>
  Effect.gen(function*() {
    const process = (yield* mortal)(death === undefined ? undefined : { ...death, inStatements: true })
    const stores = Sqlite.layer({ filename })
    const layer = Runtime.layer(Travel, { grace: 0 }).pipe(
      Layer.provide([handlers, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited]),
      Layer.provide(process.store.pipe(Layer.provideMerge(stores)))
    )
    const lived = Effect.flatMap(
      journey,
      (run) => Effect.map(Runtime.Runtime.use((runtime) => events(runtime, run)), (journal) => ({ run, journal }))
    )
    return yield* untilDeath(process, lived).pipe(Effect.provide(layer), Effect.scoped)
  })

const events = (runtime: Runtime.Runtime["Service"], { runId }: RunRecord.RunRecord) =>
  runtime.events(caller, runId, { after: 0, limit: 1_000 })

describe("A process that ends at any of its writes", () => {
  for (const when of sides) {
    it.live(`a run resumes to the same end after death: ${when} each`, () =>
      Effect.gen(function*() {
        const log = join(temporaryFolder(), "begun.jsonl")
        process.env["CHAOS_LOG"] = log
        let points = 0
        for (let lived = false; !lived;) {
          const filename = join(temporaryFolder(), "runs.db")
          writeFileSync(log, "")
          const first = yield* life(filename, { at: ++points, when })
          lived = first !== "died"
          const last = lived ? first : yield* life(filename)
          assert(last !== "died")
          assert.deepInclude(last.run, { state: "completed", output: outputOf(1) }, `write ${points}`)
          const begun = begunIn(log).filter(({ runId }) => runId === last.run.runId)
          const clean = { gaps: 0, duplicates: 0, again: 0, late: 0 }
          assert.deepStrictEqual(examine(last.journal, last.run.seq, begun), clean, `write ${points}`)
          rmSync(join(filename, ".."), { recursive: true })
        }
        // Two admissions, six steps, an errand, two questions and their answers, a nap and two ends.
        assert.isAbove(points, 15)
      }), 60_000)
  }
})

/** A journey over processes that each end at one of their writes, the first at its third, until there is no need. */
const killedAgainAndAgain = async (store: string, count: number) => {
  const folder = temporaryFolder()
  const log = join(folder, "begun.jsonl")
  writeFileSync(log, "")
  const nodes = Array.from(
    { length: count },
    () => new Node("dying.ts", "memory", { DIE_STORE: store, CHAOS_LOG: log })
  )
  let [deaths, arrived] = [0, false]
  const lives = async (node: Node) => {
    for (let life = 0; !arrived; life++) {
      // A process may end before it has said that it answers.
      const started = await node.start({ DIE_WHEN: sides[deaths % 3] ?? "", DIE_AT: `${3 + 2 * life * count}` }).then(
        () => true,
        () => false
      )
      if (started && arrived) break
      await Promise.race([node.exited, until(() => arrived)])
      if (arrived) break
      node.url = undefined
      deaths++
    }
  }
  try {
    const living = Promise.all(nodes.map(lives))
    const deadline = performance.now() + 140_000
    const request = (path: string, init?: RequestInit) => askAny(nodes, makeRandom(deaths), path, init)
    const arrival = await travel(1, request, () => performance.now() > deadline)
    arrived = true
    await living
    // Of several the next may take the run and end before it has done anything of it, again and again.
    const repairs = count === 1 ? { repairs: 0 } : {}
    assert.deepInclude(arrival, { state: "completed", output: outputOf(1), wrong: [], ...repairs }, `${deaths} deaths`)
    assert.isAbove(deaths, 1)
    const found = await examineRun(request, arrival.runId ?? "", begunIn(log))
    assert.deepStrictEqual(found, { gaps: 0, duplicates: 0, again: 0, late: 0 })
  } finally {
    arrived = true
    await Promise.all(nodes.map((node) => node.kill()))
    rmSync(folder, { recursive: true })
  }
}

const until = async (condition: () => boolean) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20))
}

describe("A process that is killed at a write", () => {
  it(
    "again and again loses nothing on SQLite",
    () => killedAgainAndAgain(join(temporaryFolder(), "runs.db"), 1),
    150_000
  )
})

PostgresServer.describeWithServer("Three processes on PostgreSQL that are each killed at a write", () => {
  it.live("repeated kills lose nothing", () =>
    Effect.gen(function*() {
      const url = Redacted.value(yield* PostgresServer.database)
      yield* Effect.promise(() => killedAgainAndAgain(url, 3))
    }).pipe(Effect.scoped), 150_000)
})
