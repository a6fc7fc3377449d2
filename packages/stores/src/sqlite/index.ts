export * as Sqlite from "./Sqlite.ts"
export * as SqliteAudit from "./SqliteAudit.ts"
export * as SqliteClient from "./SqliteClient.ts"
export * as SqliteRunStore from "./SqliteRunStore.ts"
