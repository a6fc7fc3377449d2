import { suite } from "@fastagentic/core/testing/contract/ApiKeyStoreContract"
import { SqliteApiKeys } from "../../src/sqlite/index.ts"

suite("SqliteApiKeys", SqliteApiKeys.layer({ filename: ":memory:" }))
