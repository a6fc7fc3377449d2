export * as Postgres from "./Postgres.ts"
export * as PostgresAudit from "./PostgresAudit.ts"
export * as PostgresRunNotifier from "./PostgresRunNotifier.ts"
export * as PostgresRunStore from "./PostgresRunStore.ts"
