import { suite } from "@fastagentic/core/test/contract/ScheduleStoreContract"
import { Sqlite } from "../../src/sqlite/index.ts"

suite("SqliteScheduleStore", Sqlite.layer({ filename: ":memory:" }))
