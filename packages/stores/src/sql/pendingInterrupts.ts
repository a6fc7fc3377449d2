// The index of open interrupts by who may decide them. A row exists while an interrupt is open and its run has not ended.
import type { SqlClient } from "effect/sql/SqlClient"

/** The audiences of a tenant, each found by one step in the index, however many interrupts are open. */
export const selectAudiences = (sql: SqlClient, tenant: string) =>
  sql`
    WITH RECURSIVE audiences (audience) AS (
      SELECT MIN(audience) FROM pending_interrupts WHERE tenant = ${tenant}
      UNION ALL
      SELECT (SELECT MIN(audience) FROM pending_interrupts WHERE tenant = ${tenant} AND audience > audiences.audience)
      FROM audiences WHERE audience IS NOT NULL
    )
    SELECT audience FROM audiences WHERE audience IS NOT NULL`
