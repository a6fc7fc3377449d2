import { assert, describe, it } from "@effect/vitest"
import { suite } from "@fastagentic/core/testing/contract/BudgetStoreContract"
import { Effect } from "effect"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SqliteBudgetStore } from "../../src/sqlite/index.ts"
import { crashes } from "../budget/crashes.ts"

suite("SqliteBudgetStore", SqliteBudgetStore.layer({ filename: ":memory:" }))

describe("1,000 calls against a budget of a dollar, by a process that is killed", () => {
  it.live("never exceed it, and leave nothing reserved", () =>
    Effect.gen(function*() {
      const file = join(mkdtempSync(join(tmpdir(), "fastagentic-")), "budget.db")
      assert.isAtMost(yield* crashes(["sqlite", file, "-"], 1, 4), 1_000_000)
    }).pipe(Effect.scoped), 120_000)
})
