import { changedSuite } from "@fastagentic/core/test/contract/ChangedContract"
import { SqliteRunStore } from "../../src/sqlite/index.ts"

const store = SqliteRunStore.layer({ filename: ":memory:" })

changedSuite("on SQLite", store)
