import { suite } from "@fastagentic/core/testing/contract/BudgetStoreContract"
import { SqliteBudgetStore } from "../../src/sqlite/index.ts"

suite("SqliteBudgetStore", SqliteBudgetStore.layer({ filename: ":memory:" }))
