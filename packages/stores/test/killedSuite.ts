/** Tests a run store whose writing process is killed: `killedSuite(…)` in a test file of the store. */
import { assert, describe, it } from "@effect/vitest"
import type { RunStore } from "@fastagentic/core/store/RunStore"
import { makeRun } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Effect, type Scope } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { admit, ids, wholeJournal } from "./writes.ts"

interface Shared {
  /** Lines of a module that define `layer`, for the process that is killed. */
  readonly module: string
  /** Opens the same store in this process, while no process writes. */
  readonly look: <A, E>(use: (store: RunStore["Service"]) => Effect.Effect<A, E>) => Effect.Effect<A, unknown>
}

/** Writes batches forever and prints each commit: one commit per run in some batches, two in others. */
const writer = (module: string, runIds: ReadonlyArray<string>) => `
  import { RunStore } from "@fastagentic/core/store/RunStore"
  import { Effect } from "effect"
  import { writeSync } from "node:fs"
  ${module}
  const runIds = ${JSON.stringify(runIds)}
  const commit = (runId, round) => ({
    _tag: "Commit", runId, attempt: 1, from: ["running"], ts: round, set: { emitted: round },
    events: [{ type: "token", data: { delta: "x".repeat(round % 300) } }, { type: "custom", data: { name: "round", value: round } }],
    steps: [{ name: "step " + round, value: round }]
  })
  const write = RunStore.use((store) => Effect.gen(function*() {
    for (let round = 2; ; round += 2) {
      const rounds = round % 4 === 0 ? [[round], [round + 1]] : [[round, round + 1]]
      for (const batch of rounds) {
        const written = yield* store.write(batch.flatMap((round) => runIds.map((runId) => commit(runId, round))))
        if (written.some((one) => one._tag !== "Committed")) throw new Error("refused")
        writeSync(1, (batch.at(-1) - 1) + "\\n")
      }
    }
  }))
  await Effect.runPromise(Effect.provide(write, layer))
`

/** Lets another process write until so many rounds are committed, then kills it at a random moment. */
const killAfter = (script: string, rounds: number) =>
  Effect.promise(async () => {
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      cwd: import.meta.dirname,
      stdio: ["ignore", "pipe", "inherit"]
    })
    const exited = once(child, "exit")
    let committed = 0
    for await (const line of createInterface({ input: child.stdout })) {
      committed = Math.max(committed, Number(line))
      if (committed >= rounds) child.kill("SIGKILL")
    }
    assert.deepStrictEqual(await exited, [null, "SIGKILL"])
    return committed
  })

export const killedSuite = <E>(shared: Effect.Effect<Shared, E, Scope.Scope>) =>
  describe("a process that is killed", () => {
    it.live("leaves complete journals with everything that was reported as committed", () =>
      Effect.gen(function*() {
        const { look, module } = yield* shared
        const runs = Array.from({ length: 4 }, () => makeRun())
        yield* look((store) => store.write(runs.map((run) => admit(run))))
        let before = 0
        for (const rounds of [1, 6, 23, 80]) {
          const committed = yield* killAfter(writer(module, ids(runs)), rounds)
          const totals = yield* look((store) =>
            Effect.forEach(ids(runs), (runId) =>
              Effect.gen(function*() {
                const events = yield* wholeJournal(store, runId)
                const steps = yield* store.steps(runId)
                // Each commit is stored completely or not at all: its events, its record, its step.
                const emitted = (yield* store.get(runId))?.emitted ?? 0
                assert.deepStrictEqual(events.at(-1)?.data, { name: "round", value: emitted })
                assert.isTrue(steps.some((step) => step.name === `step ${emitted}`))
                return events.length / 2
              }))
          )
          // All runs of a batch have the same commits.
          assert.deepStrictEqual(new Set(totals).size, 1)
          const [total = 0] = totals
          assert.isAtLeast(total - before, committed)
          before = total
        }
      }), 60_000)
  })
