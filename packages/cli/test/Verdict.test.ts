import { assert, describe, it } from "@effect/vitest"
import { examine } from "./chaos/verdict.ts"

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
