import { compensateSuite } from "@fastagentic/core/test/contract/CompensateContract"
import { SqliteRunStore } from "../../src/sqlite/index.ts"

compensateSuite("on SQLite", SqliteRunStore.layer({ filename: ":memory:" }))
