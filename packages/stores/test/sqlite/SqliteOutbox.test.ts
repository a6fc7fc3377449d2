import { suite } from "@fastagentic/core/testing/contract/OutboxContract"
import { Sqlite } from "../../src/sqlite/index.ts"

suite("SQLite", Sqlite.layer({ filename: ":memory:" }))
