// The memory store of runs that are not durable: how it forgets.
import { assert, describe, it } from "@effect/vitest"
import { makeRun } from "@fastagentic/core/testing/contract/RunStoreContract"
import { makeMemoryRunStore } from "../../../src/store/internal/memoryRunStore.ts"

describe("the memory of finished runs", () => {
  it("is shared fairly: a tenant with many runs loses its own oldest", () => {
    const store = makeMemoryRunStore(100)
    const finish = (tenant: string) => {
      const run = makeRun({ tenant })
      store.writeNow([{ _tag: "Admit", run, events: [] }])
      const { attempt, runId } = run
      const set = { state: "completed", finishedAt: 1 } as const
      store.writeNow([{ _tag: "Commit", runId, attempt, from: ["running"], ts: 1, events: [], set }])
      return run
    }
    const has = (runId: string) =>
      store.writeNow([{ _tag: "Admit", run: makeRun({ runId }), events: [] }])[0]?._tag === "Refused"
    const quiet = finish("quiet")
    const noisy = Array.from({ length: 1_100 }, () => finish("noisy"))
    assert.isTrue(has(quiet.runId))
    assert.strictEqual(noisy.filter(({ runId }) => has(runId)).length, 99)
  })
})
