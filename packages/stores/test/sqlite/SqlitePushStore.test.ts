import { suite } from "@fastagentic/core/testing/contract/PushStoreContract"
import { Sqlite } from "../../src/sqlite/index.ts"

suite("SqlitePushStore", Sqlite.layer({ filename: ":memory:" }))
