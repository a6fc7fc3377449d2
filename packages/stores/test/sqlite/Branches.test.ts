import { branchesSuite, replaySuite } from "@fastagentic/core/test/contract/BranchesContract"
import { SqliteRunStore } from "../../src/sqlite/index.ts"

const store = SqliteRunStore.layer({ filename: ":memory:" })

replaySuite("on SQLite", store)
branchesSuite("on SQLite", store)
