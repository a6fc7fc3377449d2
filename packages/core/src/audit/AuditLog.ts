/**
 * The port to where chained audit entries are kept. It keeps text and knows nothing of what it says.
 *
 * @since 0.1.0
 */
import { Context, type Effect, Layer, Schema } from "effect"
import type { StoreUnavailable } from "../run/RunError.ts"
import { makeMemoryAuditLog } from "./internal/memoryAuditLog.ts"

/** The last entry of a chain: its number and its hash. @category models @since 0.1.0 */
export interface ChainHead {
  readonly seq: number
  readonly hash: string
}

/** The head of a chain without entries. @category constants @since 0.1.0 */
export const genesis: ChainHead = { seq: 0, hash: "0".repeat(64) }

/**
 * An entry as it is kept: `hash` covers the hash before it and `body`. One that enters a fact of an outbox is appended with
 * the id of that fact, which reading it does not give back.
 *
 * @category models
 * @since 0.1.0
 */
export interface Link extends ChainHead {
  readonly body: string
  readonly fact?: string
}

/** The key that opens the sealed part of the entries of one principal. @category models @since 0.1.0 */
export const SubjectKey = Schema.Struct({
  id: Schema.String,
  subject: Schema.String,
  key: Schema.String,
  createdAt: Schema.Int
})

/** @category models @since 0.1.0 */
export type SubjectKey = typeof SubjectKey.Type

/** Links that follow `after`, with the keys that they are the first to need. @category models @since 0.1.0 */
export interface Append {
  readonly tenant: string
  readonly after: ChainHead
  readonly links: ReadonlyArray<Link>
  readonly keys: ReadonlyArray<SubjectKey>
}

/**
 * A statement of how far a chain went, signed when there was a key: a `cut` also says that nothing up to and including
 * `seq` is kept any more. `signer` is the public key, empty without a signature.
 *
 * @category models
 * @since 0.1.0
 */
export const Head = Schema.Struct({
  kind: Schema.Literals(["head", "cut"]),
  seq: Schema.Int,
  hash: Schema.String,
  at: Schema.Int,
  signer: Schema.String,
  signature: Schema.String
})

/** @category models @since 0.1.0 */
export type Head = typeof Head.Type

/** Which links to read; `order` is that of their numbers. @category models @since 0.1.0 */
export interface Range {
  readonly tenant: string
  /** Exclusive. */
  readonly after: number
  /** Exclusive. */
  readonly before: number
  readonly order: "oldest" | "newest"
  readonly limit: number
}

/**
 * Every method sees what was committed before it was called, by any node.
 *
 * @category services
 * @since 0.1.0
 */
export class AuditLog extends Context.Service<AuditLog, {
  /**
   * Compare-and-set for each tenant, whose chain is appended to as a whole or not at all. Says where each chain ends
   * now: at the last link when it was appended, elsewhere when the chain did not end at `after` or has one of the facts
   * already. A tenant is in one call once.
   */
  readonly append: (appends: ReadonlyArray<Append>) => Effect.Effect<ReadonlyArray<ChainHead>, StoreUnavailable>
  /** Those of these facts that a tenant's chain has entered already. */
  readonly entered: (
    tenant: string,
    facts: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<string>, StoreUnavailable>
  /** The end of the chain, as the last append reported it. */
  readonly chainHead: (tenant: string) => Effect.Effect<ChainHead, StoreUnavailable>
  readonly links: (range: Range) => Effect.Effect<ReadonlyArray<Link>, StoreUnavailable>
  readonly tenants: Effect.Effect<ReadonlyArray<string>, StoreUnavailable>
  /** The heads of a tenant, in the order of their numbers. */
  readonly heads: (tenant: string) => Effect.Effect<ReadonlyArray<Head>, StoreUnavailable>
  readonly addHead: (tenant: string, head: Head) => Effect.Effect<void, StoreUnavailable>
  /**
   * Keeps the head, and removes what it cuts off: links up to its number, heads below it, keys made before `keysBefore`.
   */
  readonly cut: (tenant: string, head: Head, keysBefore: number) => Effect.Effect<void, StoreUnavailable>
  /** Those that there are of these keys. */
  readonly keys: (
    tenant: string,
    ids: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<SubjectKey>, StoreUnavailable>
  /** All keys of a principal. */
  readonly keysOf: (tenant: string, subject: string) => Effect.Effect<ReadonlyArray<SubjectKey>, StoreUnavailable>
  readonly destroyKeys: (tenant: string, subject: string) => Effect.Effect<void, StoreUnavailable>
}>()("@fastagentic/core/audit/AuditLog") {
  static readonly layerMemory: Layer.Layer<AuditLog> = Layer.sync(AuditLog, makeMemoryAuditLog)
}
