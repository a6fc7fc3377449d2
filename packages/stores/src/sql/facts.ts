// Facts for the audit log that a store beside the run store keeps with its change, in the outbox of the same database.
import type { Fact } from "@fastagentic/core/store/RunStore"
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** Adds facts to the outbox, in the transaction that is under way. */
export const keepFacts = (sql: SqlClient, facts: ReadonlyArray<Fact> = []): Effect.Effect<void, SqlError> =>
  Effect.forEach(
    facts,
    ({ at, body, id }) => sql`INSERT INTO audit_outbox (id, at, body) VALUES (${id}, ${at}, ${body})`,
    { discard: true }
  )

/** Says whether a change has changed a row, and keeps its facts then, in one transaction. */
export const withFacts = (
  sql: SqlClient,
  facts: ReadonlyArray<Fact> | undefined,
  change: Effect.Effect<ReadonlyArray<unknown>, SqlError>
): Effect.Effect<boolean, SqlError> => {
  const changed = Effect.map(change, (rows) => rows.length > 0)
  return facts === undefined || facts.length === 0
    ? changed
    : sql.withTransaction(Effect.tap(changed, (isChanged) => isChanged ? keepFacts(sql, facts) : Effect.void))
}
