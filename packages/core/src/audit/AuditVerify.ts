/**
 * Proof that an audit log is what was written: every entry is there, in its place and unchanged.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Option } from "effect"
import type { Aead } from "effect/crypto/Aead"
import type { Digest } from "effect/crypto/Digest"
import type { Signature } from "effect/crypto/Signature"
import type { StoreUnavailable } from "../run/RunError.ts"
import type { RunStore } from "../store/RunStore.ts"
import { AuditLog, type ChainHead, genesis, type Head, type Link } from "./AuditLog.ts"
import { isSigned } from "./AuditSigner.ts"
import { decodeBody, hashOf } from "./internal/auditBody.ts"
import { INDEX, readIndex, tenantsOf } from "./internal/auditIndex.ts"
import { keyIdsIn, keysIn } from "./internal/auditKeys.ts"
import { misfitOf, unprovenBy } from "./internal/auditProof.ts"
import { type Waiting, waitingIn } from "./internal/auditWaiting.ts"

/**
 * A fault in the audit log, and its entries: `seq` to `to`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Finding {
  readonly kind: "changed" | "moved" | "missing" | "truncated" | "added" | "rewritten" | "signature" | "key"
  readonly seq: number
  readonly to: number
  readonly detail: string
}

/**
 * The findings about a tenant's audit log, whose entries `from` to `to` were read. `signedTo` is the last one that
 * a signature covers; of more than 100 findings the first 100 are here.
 *
 * @category models
 * @since 0.1.0
 */
export interface Verdict {
  readonly tenant: string
  readonly from: number
  readonly to: number
  readonly signedTo: number
  readonly findings: ReadonlyArray<Finding>
  /** How many changes are committed whose entries wait in the outbox of the run store. */
  readonly waiting?: number
  /** The reason why nobody can say whether the log is whole; without it and without findings the log is whole. */
  readonly unproven?: string
}

/**
 * The keys, anchors and tolerances that verification uses.
 *
 * **Details**
 *
 * `signers` are the public keys that heads may be signed with; without any, nothing is proven. `anchors` are heads that
 * were kept elsewhere: the chain has to agree with them too. Entries that no signature covers yet are accepted when
 * they are younger than `unsignedWithin`, which is nothing by default; so are changes whose entries wait in the outbox.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly signers?: ReadonlyArray<string>
  readonly anchors?: ReadonlyArray<Head>
  readonly unsignedWithin?: Duration.Input
  /** The end of the chain that the signed index lists. */
  readonly indexed?: ChainHead | undefined
  /** The numbers of the heads that the signed index lists; every signed head from before `readAt` has to be among them. */
  readonly listed?: { readonly heads: ReadonlySet<number>; readonly readAt: number } | undefined
  /** The changes whose entries wait in the outbox of the run store, and the time of the oldest. */
  readonly waiting?: { readonly count: number; readonly oldest: number } | undefined
}

const PAGE = 1_000
const FINDINGS = 100

/**
 * Checks the audit log of one tenant.
 *
 * @category combinators
 * @since 0.1.0
 */
export const verify = Effect.fn("AuditVerify.verify")(function*(
  tenant: string,
  options: Options = {}
): Effect.fn.Return<Verdict, StoreUnavailable, AuditLog | Aead | Digest | Signature> {
  const log = yield* AuditLog
  const findings: Array<Finding> = []
  const found = (kind: Finding["kind"], seq: number, detail: string, to = seq) => {
    if (findings.length < FINDINGS) findings.push({ kind, seq, to, detail })
  }

  const signers = options.signers ?? []
  const heads: Array<Head> = []
  for (const head of [...yield* log.heads(tenant), ...options.anchors ?? []]) {
    const problem = yield* problemOf(tenant, head, signers)
    if (problem === undefined) heads.push(head)
    else found("signature", head.seq, `the ${head.kind} at ${head.seq} ${problem}`)
  }
  const headsAt = new Map<number, Array<Head>>()
  for (const head of heads) headsAt.set(head.seq, [...headsAt.get(head.seq) ?? [], head])
  const start = heads.filter(({ kind }) => kind === "cut").reduce((a, b) => b.seq > a.seq ? b : a, genesis)
  const end = yield* log.chainHead(tenant)
  const range = { tenant, before: Number.MAX_SAFE_INTEGER, order: "oldest", limit: PAGE } as const

  for (const { seq } of yield* log.links({ ...range, after: 0, before: start.seq + 1 })) {
    found("added", seq, `entry ${seq} is there although everything up to ${start.seq} was cut off`)
  }

  const signedTo = lastOf(heads.filter(({ signer }) => signer !== ""))
  let oldestUnsigned = Number.POSITIVE_INFINITY
  const redacted = new Set<string>()
  const lost = new Map<string, number>()
  // Hashes that the next entry may build on: after a broken entry what it has as well as what it should have.
  let before: Set<string> | undefined = new Set([start.hash])
  let last = start.seq

  const check = Effect.fnUntraced(function*({ body: text, hash, seq }: Link) {
    if (seq > last + 1) {
      found(
        "missing",
        last + 1,
        seq === last + 2 ? `entry ${last + 1} is gone` : `entries ${last + 1} to ${seq - 1} are gone`,
        seq - 1
      )
      before = undefined
    }
    last = seq
    const body = Option.getOrUndefined(yield* Effect.option(decodeBody(text)))
    const computed: Array<string> = []
    for (const one of before ?? []) computed.push(yield* hashOf(one, text))
    const follows = before === undefined || computed.includes(hash)
    const problem = body === undefined
      ? ["changed", `entry ${seq} cannot be read`] as const
      : body.seq !== seq
      ? ["moved", `in the place of entry ${seq} is entry ${body.seq}`] as const
      : !follows || body.tenant !== tenant
      ? ["changed", `entry ${seq} is not what was written after entry ${seq - 1}`] as const
      : undefined
    if (problem !== undefined) found(problem[0], seq, problem[1])
    const displaced = body !== undefined && problem?.[0] === "moved"
      ? yield* log.links({ ...range, after: body.seq - 1, before: body.seq + 1 })
      : []
    before = problem === undefined
      ? new Set([hash])
      : new Set([hash, ...displaced.map((link) => link.hash), ...computed, ...before ?? []].slice(0, 64))
    if (body?.action === "redact") redacted.add(body.target.replace("principal/", ""))
    if (seq > signedTo && body !== undefined) oldestUnsigned = Math.min(oldestUnsigned, body.at)
    if (options.indexed?.seq === seq && options.indexed.hash !== hash) {
      found("rewritten", seq, `the log up to entry ${seq} is not the one that the index lists`)
    }
    if (headsAt.get(seq)?.some((head) => head.hash !== hash) === true) {
      found("rewritten", seq, `the trail up to entry ${seq} is not the one that was signed`)
    } else if (seq === end.seq && hash !== end.hash && problem === undefined) {
      found("changed", seq, `entry ${seq} is not the last one that was written`)
    }
  })

  while (true) {
    const links = yield* log.links({ ...range, after: last })
    const keys = yield* keysIn(log, tenant, links)
    for (const link of links) {
      for (const id of keyIdsIn([link])) if (!keys.has(id) && !lost.has(id)) lost.set(id, link.seq)
      yield* check(link)
      const misfit = yield* misfitOf(link, keys)
      if (misfit !== undefined) found("key", link.seq, misfit)
    }
    if (links.length < PAGE) break
  }

  const should = Math.max(end.seq, options.indexed?.seq ?? 0, lastOf(heads))
  if (last < should) found("truncated", last + 1, `entries ${last + 1} to ${should} are gone from the end`, should)
  // Somebody may be writing at this very moment.
  const now = yield* log.chainHead(tenant)
  if (last > now.seq) found("added", now.seq + 1, `entries ${now.seq + 1} to ${last} were never recorded`, last)
  for (const [id, seq] of lost) {
    if (!redacted.has(id)) found("key", seq, `the key of entry ${seq} is gone, and no entry says who redacted it`)
  }
  if (options.indexed !== undefined && signedTo < options.indexed.seq) {
    found("signature", options.indexed.seq, `the head at ${options.indexed.seq} is gone`)
  }
  const { listed, waiting } = options
  const oldEnough = (listed?.readAt ?? 0) - Duration.toMillis(Duration.fromInputUnsafe(options.unsignedWithin ?? 0))
  for (const { at, kind, seq, signer } of heads) {
    if (listed === undefined || kind === "cut" || signer === "" || at > oldEnough || listed.heads.has(seq)) continue
    found("signature", seq, `the index does not list the head at ${seq}`)
  }
  const unproven = yield* unprovenBy(options, { from: start.seq + 1, to: last, signedTo, oldestUnsigned, waiting })
  return {
    tenant,
    from: start.seq + 1,
    to: last,
    signedTo,
    findings: findings.sort((a, b) => a.seq - b.seq),
    ...(waiting === undefined ? {} : { waiting: waiting.count }),
    ...(findings.length > 0 || unproven === undefined ? {} : { unproven })
  }
})

/**
 * Checks every tenant of a log, and that the signed index lists no tenant, head or entry that is gone.
 *
 * `maxAge` is how old the newest signature may be; a running server signs at least once an hour. `outbox` is the run store
 * of the log: a change whose entry waits there, of a server that was killed, is reported.
 *
 * @category combinators
 * @since 0.1.0
 */
export const verifyAll = Effect.fn("AuditVerify.verifyAll")(function*(
  options: Omit<Options, "anchors" | "indexed" | "listed" | "waiting"> & {
    readonly anchors?: ReadonlyArray<Head & { readonly tenant: string }>
    readonly maxAge?: Duration.Input | undefined
    readonly outbox?: Pick<RunStore["Service"], "facts"> | undefined
  } = {}
): Effect.fn.Return<ReadonlyArray<Verdict>, StoreUnavailable, AuditLog | Aead | Digest | Signature> {
  const log = yield* AuditLog
  const { anchors = [], maxAge, outbox, signers = [], ...rest } = options
  // First the outbox: whatever is entered from then on is in the chains.
  const { tenants: waiting, unreadable } = outbox === undefined
    ? { tenants: new Map<string, Waiting>(), unreadable: 0 }
    : yield* waitingIn(log, outbox)
  const [anchored, kept] = [
    anchors.filter((one) => one.tenant === INDEX),
    anchors.filter((one) => one.tenant !== INDEX)
  ]
  const stored = [...yield* log.heads(INDEX), ...anchored]
  const checked = yield* Effect.filter(
    stored,
    (head) => Effect.map(problemOf(INDEX, head, signers), (problem) => problem === undefined && head.signer !== "")
  )
  const readAt = yield* Clock.currentTimeMillis
  const index = yield* readIndex(log, checked)
  const tenants = new Set([
    ...yield* tenantsOf(log),
    ...index.last.keys(),
    ...kept.map(({ tenant }) => tenant),
    ...waiting.keys()
  ])
  const verdicts = yield* Effect.forEach(
    [...tenants].sort(),
    (tenant) =>
      verify(tenant, {
        ...rest,
        signers,
        anchors: kept.filter((anchor) => anchor.tenant === tenant),
        indexed: index.last.get(tenant),
        // An index without signatures proves nothing, and of a broken one the rest is unknown: both are reported.
        listed: index.signedAt === undefined || index.brokenAt !== undefined
          ? undefined
          : { heads: index.listed.get(tenant) ?? new Set(), readAt },
        waiting: waiting.get(tenant)
      })
  )
  const outboxes: ReadonlyArray<Verdict> = unreadable === 0 ? [] : [{
    tenant: "the outbox",
    from: 1,
    to: 0,
    signedTo: 0,
    findings: [],
    waiting: unreadable,
    unproven: `${unreadable} facts cannot be read`
  }]
  const age = (yield* Clock.currentTimeMillis) - (index.signedAt ?? 0)
  const findings: ReadonlyArray<Finding> = [
    ...stored.length > checked.length && signers.length > 0
      ? [{ kind: "signature" as const, seq: 0, to: 0, detail: "a head of the index is not what was signed" }]
      : [],
    ...index.brokenAt === undefined
      ? []
      : [{
        kind: "changed" as const,
        seq: index.brokenAt,
        to: index.brokenAt,
        detail: `row ${index.brokenAt} of the index is not what was written`
      }]
  ]
  const unproven = verdicts.every(({ unproven }) => unproven !== undefined) || tenants.size === 0
    ? undefined
    : index.signedAt === undefined
    ? "there is no signed index of tenants"
    : maxAge !== undefined && age > Duration.toMillis(Duration.fromInputUnsafe(maxAge))
    ? `the newest signature is from ${new Date(index.signedAt).toISOString()}`
    : undefined
  if (findings.length === 0 && unproven === undefined) return [...verdicts, ...outboxes]
  const signedTo = lastOf(checked)
  const about = { tenant: "the index of tenants", from: 1, to: index.rows, signedTo, findings }
  return [...verdicts, ...outboxes, findings.length > 0 || unproven === undefined ? about : { ...about, unproven }]
})

/** The last of very many heads. */
const lastOf = (heads: ReadonlyArray<Head>) => heads.reduce((last, { seq }) => Math.max(last, seq), 0)

const problemOf = Effect.fnUntraced(function*(tenant: string, head: Head, signers: ReadonlyArray<string>) {
  if (head.signer === "") return signers.length === 0 ? undefined : "is not signed"
  if (signers.length > 0 && !signers.includes(head.signer)) return "is signed with a key that was not given"
  return (yield* isSigned(tenant, head)) ? undefined : "is not what was signed"
})
