import { Audit, type Entry } from "@fastagentic/core/Audit"
import { Effect, Exit, Request, RequestResolver, Schema } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** How many entries `recent` goes back. */
const RECENT = 10_000

/** An audit trail, given how a database takes entries as a whole or not at all. */
export const makeAudit = (
  sql: SqlClient,
  insert: (entries: ReadonlyArray<Entry>) => Effect.Effect<unknown, SqlError>
): Audit["Service"] => {
  // Entries of the same moment share a transaction, and so a flush of the disk.
  const resolver = RequestResolver.make<Append>((appends) =>
    Effect.andThen(
      insert(appends.map(({ request }) => request.entry)),
      Effect.sync(() => {
        for (const append of appends) append.completeUnsafe(Exit.void)
      })
    )
  )

  return Audit.of({
    record: (entry) => Effect.orDie(Effect.request(Append({ entry }), resolver)),
    recent: (tenant) =>
      sql`
        SELECT at, tenant, principal, action, target, decision, run_id AS "runId", trace_id AS "traceId"
        FROM audit WHERE tenant = ${tenant} ORDER BY id DESC LIMIT ${RECENT}`.pipe(
        Effect.flatMap(decodeEntries),
        Effect.map((entries) => entries.map(toEntry).reverse()),
        Effect.orDie
      )
  })
}

interface Append extends Request.Request<void, SqlError> {
  readonly _tag: "Append"
  readonly entry: Entry
}

const Append = Request.tagged<Append>("Append")

const decodeEntries = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({
  at: Schema.Union([Schema.Int, Schema.BigInt]),
  tenant: Schema.String,
  principal: Schema.String,
  action: Schema.String,
  target: Schema.String,
  decision: Schema.String,
  runId: Schema.NullOr(Schema.String),
  traceId: Schema.String
})))

const toEntry = (
  { at, runId, ...entry }: Omit<Entry, "at" | "runId"> & { readonly at: number | bigint; readonly runId: string | null }
): Entry => ({ at: Number(at), ...entry, ...(runId === null ? {} : { runId }) })
