// The audit log for both SQL databases; the chain itself is made in core.
import { AuditLog, type ChainHead, genesis, Head, SubjectKey } from "@fastagentic/core/audit/AuditLog"
import { StoreUnavailable } from "@fastagentic/core/run/RunError"
import { Effect, Option, Schema } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Unavailable } from "./unavailable.ts"

type Failing<A> = Effect.Effect<A, unknown>

/** An audit log; the database brings its own `append`. */
export const makeAuditLog = (
  sql: SqlClient,
  unavailable: Unavailable,
  append: AuditLog["Service"]["append"]
): AuditLog["Service"] => {
  const rows = <A>(
    decode: (rows: unknown) => Failing<ReadonlyArray<A>>,
    read: Failing<unknown>,
    operation: string
  ): Effect.Effect<ReadonlyArray<A>, StoreUnavailable> =>
    read.pipe(
      Effect.flatMap((found) => decode(Array.isArray(found) ? found.map(withNumbers) : found)),
      unavailable(`audit: ${operation}`)
    )
  const failing = (effect: Failing<unknown>, operation: string) =>
    effect.pipe(Effect.asVoid, unavailable(`audit: ${operation}`))
  const keys = (read: Failing<unknown>, operation: string) =>
    Effect.map(
      rows(decodeKeys, read, operation),
      (found) => found.map((key) => ({ ...key, subject: textOf(key.subject) }))
    )
  const keyColumns = sql`SELECT id, subject, key, created_at AS "createdAt" FROM audit_keys`

  return AuditLog.of({
    append,
    entered: (tenant, facts) =>
      Effect.map(
        rows(
          decodeFacts,
          sql`SELECT fact FROM audit WHERE tenant = ${nameOf(tenant)} AND ${sql.in("fact", facts)}`,
          "entered facts"
        ),
        (found) => found.map(({ fact }) => fact)
      ),
    chainHead: (tenant) =>
      Effect.map(
        rows(decodePlaces, sql`SELECT seq, hash FROM audit_chains WHERE tenant = ${nameOf(tenant)}`, "place"),
        ([place]): ChainHead => place ?? genesis
      ),
    links: ({ after, before, limit, order, tenant }) =>
      rows(
        decodeLinks,
        sql`
          SELECT seq, hash, body FROM audit WHERE tenant = ${nameOf(tenant)} AND seq > ${after} AND seq < ${before}
          ORDER BY seq ${sql.literal(order === "oldest" ? "ASC" : "DESC")} LIMIT ${limit}`,
        "links"
      ),
    tenants: Effect.map(
      rows(
        decodeTenants,
        sql`SELECT tenant FROM audit_chains UNION SELECT tenant FROM audit UNION SELECT tenant FROM audit_heads ORDER BY 1`,
        "tenants"
      ),
      (found) => found.map(({ tenant }) => textOf(tenant))
    ),
    heads: (tenant) =>
      rows(
        decodeHeads,
        sql`
          SELECT kind, seq, hash, at, signer, signature FROM audit_heads WHERE tenant = ${nameOf(tenant)}
          ORDER BY seq, id`,
        "heads"
      ),
    addHead: (tenant, head) => failing(addHead(sql, tenant, head), "add a head"),
    // This has no time limit: it runs in the background and may remove many rows.
    cut: (tenant, head, keysBefore) =>
      Effect.all([
        addHead(sql, tenant, head),
        sql`DELETE FROM audit WHERE tenant = ${nameOf(tenant)} AND seq <= ${head.seq}`,
        sql`DELETE FROM audit_heads WHERE tenant = ${nameOf(tenant)} AND seq < ${head.seq}`,
        sql`DELETE FROM audit_keys WHERE tenant = ${nameOf(tenant)} AND created_at < ${keysBefore}`
      ], { discard: true }).pipe(
        sql.withTransaction,
        Effect.mapError((cause) => new StoreUnavailable({ operation: "audit: cut", cause }))
      ),
    keys: (tenant, ids) => keys(sql`${keyColumns} WHERE tenant = ${nameOf(tenant)} AND ${sql.in("id", ids)}`, "keys"),
    keysOf: (tenant, subject) =>
      keys(
        sql`${keyColumns} WHERE tenant = ${nameOf(tenant)} AND subject = ${nameOf(subject)} ORDER BY created_at, id`,
        "keys of a principal"
      ),
    destroyKeys: (tenant, subject) =>
      failing(
        sql`DELETE FROM audit_keys WHERE tenant = ${nameOf(tenant)} AND subject = ${nameOf(subject)}`,
        "destroy keys"
      )
  })
}

const addHead = (sql: SqlClient, tenant: string, { at, hash, kind, seq, signature, signer }: Head) =>
  sql`
    INSERT INTO audit_heads (tenant, kind, seq, hash, at, signer, signature)
    VALUES (${nameOf(tenant)}, ${kind}, ${seq}, ${hash}, ${at}, ${signer}, ${signature})`

/** A name in a form that every database accepts: the characters that JSON escapes are escaped. */
export const nameOf = (text: string): string => JSON.stringify(text).slice(1, -1)

/** The name that `nameOf` encoded; text that it did not encode is returned unchanged. */
const textOf = (name: string): string =>
  Option.getOrElse(Schema.decodeUnknownOption(Schema.fromJsonString(Schema.String))(`"${name}"`), () => name)

/** Some drivers read integers as bigints. */
const withNumbers = (row: object) =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, typeof value === "bigint" ? Number(value) : value])
  )

const decodePlaces = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Struct({ seq: Schema.Int, hash: Schema.String }))
)
const decodeLinks = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Struct({ seq: Schema.Int, hash: Schema.String, body: Schema.String }))
)
const decodeHeads = Schema.decodeUnknownEffect(Schema.Array(Head))
const decodeKeys = Schema.decodeUnknownEffect(Schema.Array(SubjectKey))
const decodeFacts = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ fact: Schema.String })))
const decodeTenants = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ tenant: Schema.String })))
