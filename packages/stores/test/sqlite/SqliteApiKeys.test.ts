import { suite } from "@fastagentic/core/test/contract/ApiKeyStoreContract"
import { SqliteApiKeys } from "../../src/sqlite/index.ts"

suite("SqliteApiKeys", SqliteApiKeys.layer({ filename: ":memory:" }))
