import { replaySuite } from "@fastagentic/core/test/contract/BranchesContract"
import { SqliteRunStore } from "../../src/sqlite/index.ts"

replaySuite("on SQLite", SqliteRunStore.layer({ filename: ":memory:" }))
