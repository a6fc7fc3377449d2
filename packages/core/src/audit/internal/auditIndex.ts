// The signed index of an audit log: a chain of its own with one row for each signed head of each tenant. The writer
// appends to it, verification reads it. It tells when a tenant, a head or the end of a chain has been removed.
import { Effect, Option, Schema } from "effect"
import type { Digest } from "effect/crypto/Digest"
import { StoreUnavailable } from "../../run/RunError.ts"
import { type AuditLog, type ChainHead, genesis, type Head } from "../AuditLog.ts"
import type { AuditSigner } from "../AuditSigner.ts"
import { chain, hashOf } from "./auditBody.ts"

/** The name that the index has in the log; no tenant has a name with this character. */
export const INDEX = "\u0000index"

const PAGE = 1_000
const ATTEMPTS = 50

const Row = Schema.Struct({
  seq: Schema.Int,
  tenant: Schema.String,
  at: Schema.Int,
  head: Schema.Int,
  hash: Schema.String
})
const decodeRow = Schema.decodeUnknownEffect(Schema.fromJsonString(Row))

/** A head of a tenant that the index lists. */
export interface Listed {
  readonly tenant: string
  readonly head: Head
}

/** The tenants of a log, without its index. */
export const tenantsOf = (log: AuditLog["Service"]): Effect.Effect<ReadonlyArray<string>, StoreUnavailable> =>
  Effect.map(log.tenants, (tenants) => tenants.filter((tenant) => tenant !== INDEX))

/** Appends heads to the index and signs it. Several nodes may append: each appends after the others. */
export const appendIndex = Effect.fnUntraced(function*(
  log: AuditLog["Service"],
  signer: AuditSigner["Service"],
  listed: ReadonlyArray<Listed>,
  at: number
): Effect.fn.Return<void, StoreUnavailable, Digest> {
  const bodies = listed.map(({ head, tenant }) =>
    JSON.stringify({ tenant, at: head.at, head: head.seq, hash: head.hash })
  )
  let after = yield* log.chainHead(INDEX)
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const links = yield* chain(after, bodies)
    const [end = genesis] = links.length === 0
      ? [after]
      : yield* log.append([{ tenant: INDEX, after, links, keys: [] }])
    if (end.hash === (links.at(-1) ?? after).hash) {
      return yield* Effect.flatMap(
        signer.sign(INDEX, { kind: "head", ...end, at }),
        (head) => log.addHead(INDEX, head)
      )
    }
    after = end
  }
  return yield* new StoreUnavailable({ operation: "append to the index of the audit log" })
})

/** The index as far as a signature covers it: the last head of each tenant, and the numbers of all heads that it lists. */
export interface Index {
  readonly rows: number
  /** Unix milliseconds of the newest signature; nothing when no signature covers the index. */
  readonly signedAt: number | undefined
  readonly last: ReadonlyMap<string, ChainHead>
  readonly listed: ReadonlyMap<string, ReadonlySet<number>>
  /** The first row that does not follow the one before it; nothing when the chain is whole. */
  readonly brokenAt: number | undefined
}

/** Reads the index; `heads` are those of the index whose signatures have been checked. */
export const readIndex = Effect.fnUntraced(function*(
  log: AuditLog["Service"],
  heads: ReadonlyArray<Head>
): Effect.fn.Return<Index, StoreUnavailable, Digest> {
  // The index has a head for each minute in which somebody wrote, and is never cut.
  const signedTo = heads.reduce((last, { seq }) => Math.max(last, seq), 0)
  const hashes = new Map<number, Set<string>>()
  for (const head of heads) hashes.set(head.seq, (hashes.get(head.seq) ?? new Set()).add(head.hash))
  const last = new Map<string, ChainHead>()
  const listed = new Map<string, Set<number>>()
  let { hash, seq } = genesis
  let brokenAt: number | undefined
  while (brokenAt === undefined) {
    const links = yield* log.links({
      tenant: INDEX,
      after: seq,
      before: Number.MAX_SAFE_INTEGER,
      order: "oldest",
      limit: PAGE
    })
    for (const link of links) {
      const row = Option.getOrUndefined(yield* Effect.option(decodeRow(link.body)))
      const follows = link.seq === seq + 1 && row?.seq === link.seq && (yield* hashOf(hash, link.body)) === link.hash
      if (!follows) {
        brokenAt = link.seq
        break
      }
      ;({ hash, seq } = link)
      const signed = hashes.get(seq)
      if (signed !== undefined && (signed.size > 1 || !signed.has(hash))) brokenAt = seq
      if (seq > signedTo) continue
      last.set(row.tenant, { seq: row.head, hash: row.hash })
      listed.set(row.tenant, (listed.get(row.tenant) ?? new Set()).add(row.head))
    }
    if (links.length < PAGE) break
  }
  if (brokenAt === undefined && seq < signedTo) brokenAt = seq + 1
  return {
    rows: seq,
    signedAt: heads.length === 0 ? undefined : heads.reduce((last, { at }) => Math.max(last, at), 0),
    last,
    listed,
    brokenAt
  }
})
