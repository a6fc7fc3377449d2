import { threadsSuite } from "@fastagentic/core/test/contract/ThreadsContract"
import { suite } from "@fastagentic/core/testing/contract/ThreadStoreContract"
import { SqliteRunStore } from "../../src/sqlite/index.ts"

suite("SqliteRunStore", SqliteRunStore.layer({ filename: ":memory:" }))
threadsSuite("on SQLite", SqliteRunStore.layer({ filename: ":memory:" }))
