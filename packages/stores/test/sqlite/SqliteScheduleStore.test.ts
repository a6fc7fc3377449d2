import { suite } from "@fastagentic/core/testing/contract/ScheduleStoreContract"
import { Sqlite } from "../../src/sqlite/index.ts"

suite("SqliteScheduleStore", Sqlite.layer({ filename: ":memory:" }))
