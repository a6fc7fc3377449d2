// Appends entries to a tenant's hash chain and signs its heads; Audit.layer uses it. Entries of a tenant keep their order.
import { Cause, Deferred, Effect, Queue, type Scope } from "effect"
import type { Aead } from "effect/crypto/Aead"
import type { Digest } from "effect/crypto/Digest"
import { StoreUnavailable } from "../../run/RunError.ts"
import type { Entry, Noted } from "../Audit.ts"
import { type Append, type AuditLog, type ChainHead, genesis } from "../AuditLog.ts"
import type { AuditSigner } from "../AuditSigner.ts"
import { chain, newKey, type Opened, openKey, seal } from "./auditBody.ts"
import { appendIndex, type Listed } from "./auditIndex.ts"

interface Pending {
  readonly entry: Entry
  /** The id of the fact that it enters. */
  readonly fact?: string
  /** Whether that may be in the log already. */
  readonly mayBeThere?: boolean
  readonly done: Deferred.Deferred<void, StoreUnavailable>
}

/** A head is signed after so many entries of a tenant, and after a minute. */
const SIGN_AFTER = 256

/** The time for which a key is used without checking that it still exists. */
const KEY_TRUST = 60_000

/** The time for which a key is used for new entries, so that no entry needs it once they are cut. */
export const KEY_LIFE = 30 * 86_400_000

/** How often a chain may be found to have grown, by other nodes, before an append gives up. */
const ATTEMPTS = 50

/** The index is signed again after this time without entries, so that its last signature is never older. */
const INDEX_LIFE = 3_600_000

/** How many tenants and keys are remembered. */
const MEMORY = 10_000

type Crypto = Aead | Digest

/** An entry that waits for its place in a chain. */
interface Sealed {
  readonly body: string
  readonly fact: string | undefined
}

/** How many facts are looked up in one go. */
const LOOK_UP = 500

/** The one writer of a node: it seals and chains whatever waits, and appends it in one go. */
export const makeWriter = Effect.fnUntraced(function*(
  log: AuditLog["Service"],
  signer: AuditSigner["Service"],
  now: () => number
): Effect.fn.Return<
  {
    readonly record: (entry: Entry) => Effect.Effect<void, StoreUnavailable>
    readonly enter: (noted: ReadonlyArray<Noted>, mayBeThere: boolean) => Effect.Effect<void, StoreUnavailable>
    readonly forget: (tenant: string, subject: string) => void
  },
  never,
  Crypto | Scope.Scope
> {
  const queue = yield* Queue.unbounded<Pending>()
  const places = new Map<string, ChainHead>()
  const unsigned = new Map<string, number>()
  const keys = new Map<string, Opened & { readonly until: number }>()
  const crypto = yield* Effect.context<Crypto>()
  /** Heads that are kept and that the index does not list yet: a store that fails in between is no rollback. */
  let unlisted: ReadonlyArray<Listed> = []
  let indexedAt = now()
  let closed = false

  const keyFor = Effect.fnUntraced(function*(tenant: string, subject: string, fresh: Map<string, Opened>) {
    const name = JSON.stringify([tenant, subject])
    const [known, at] = [keys.get(name), now()]
    if (known !== undefined && known.until > at) return known
    const made = fresh.get(name)
    if (made !== undefined) return made
    const kept = (yield* log.keysOf(tenant, subject)).find(({ createdAt }) => createdAt > at - KEY_LIFE)
    const opened = kept === undefined ? yield* newKey(subject, at) : yield* openKey(kept)
    if (kept === undefined) fresh.set(name, opened)
    else remember(keys, name, { ...opened, until: at + KEY_TRUST })
    return opened
  })

  /**
   * Leaves out the facts that the log has. An append after this goes to the end of the chain as it was known before, so that
   * it is refused when somebody else has entered one of them meanwhile.
   */
  const withoutEntered = Effect.fnUntraced(function*(tenant: string, sealed: ReadonlyArray<Sealed>) {
    const ids = sealed.flatMap(({ fact }) => fact === undefined ? [] : [fact])
    const there = new Set<string>()
    for (let at = 0; at < ids.length; at += LOOK_UP) {
      for (const id of yield* log.entered(tenant, ids.slice(at, at + LOOK_UP))) there.add(id)
    }
    return there.size === 0 ? sealed : sealed.filter(({ fact }) => fact === undefined || !there.has(fact))
  })

  const write = Effect.fnUntraced(function*(batch: ReadonlyArray<Pending>) {
    const fresh = new Map<string, Opened>()
    const sealed = new Map<string, Array<Sealed>>()
    const doubtful = new Set<string>()
    const facts = new Set<string>()
    for (const { entry, fact, mayBeThere } of batch) {
      if (fact !== undefined) {
        if (facts.has(fact)) continue
        facts.add(fact)
      }
      const key = yield* keyFor(entry.tenant, entry.principal, fresh)
      const waiting = sealed.get(entry.tenant) ?? []
      waiting.push({ body: yield* seal(entry, key), fact })
      sealed.set(entry.tenant, waiting)
      if (mayBeThere === true) doubtful.add(entry.tenant)
    }
    const appended = new Set<string>()
    const keysOf = (tenant: string) =>
      [...fresh].filter(([name]) => JSON.parse(name)[0] === tenant).map(([, { kept }]) => kept)
    let waiting: ReadonlyArray<readonly [tenant: string, sealed: ReadonlyArray<Sealed>]> = [...sealed]
    for (let attempt = 0; waiting.length > 0; attempt++) {
      if (attempt === ATTEMPTS) return yield* new StoreUnavailable({ operation: "append to the audit log" })
      const found = yield* Effect.forEach(
        waiting,
        Effect.fnUntraced(function*([tenant, sealed]): Effect.fn.Return<Append | undefined, StoreUnavailable, Digest> {
          const after = places.get(tenant) ?? genesis
          const left = doubtful.has(tenant) ? yield* withoutEntered(tenant, sealed) : sealed
          if (left.length === 0) return undefined
          const links = yield* chain(after, left.map(({ body }) => body))
          const named = links.map((link, at) => {
            const fact = left[at]?.fact
            return fact === undefined ? link : { ...link, fact }
          })
          return { tenant, after, links: named, keys: keysOf(tenant) }
        })
      )
      const appends = found.filter((append) => append !== undefined)
      if (appends.length === 0) break
      const ends = yield* log.append(appends)
      const behind = new Set<string>()
      for (const [index, { links, tenant }] of appends.entries()) {
        const end = ends[index] ?? genesis
        remember(places, tenant, end)
        if (end.hash === links.at(-1)?.hash) {
          appended.add(tenant)
          unsigned.set(tenant, (unsigned.get(tenant) ?? 0) + links.length)
        } else behind.add(tenant)
      }
      // Those who were faster may have entered the same facts.
      for (const tenant of behind) doubtful.add(tenant)
      waiting = waiting.filter(([tenant]) => behind.has(tenant))
    }
    // A key is kept with the entries that it seals: where all of them were there already, it is not kept.
    for (const [name, opened] of fresh) {
      if (appended.has(JSON.parse(name)[0])) remember(keys, name, { ...opened, until: now() + KEY_TRUST })
    }
  })

  /** Signs the ends of these chains and lists them in the index. */
  const sign = Effect.fnUntraced(function*(tenants: ReadonlyArray<string>) {
    for (const tenant of tenants) unsigned.delete(tenant)
    if (signer.publicKey === "") return
    const at = now()
    for (const tenant of tenants) {
      const place = places.get(tenant)
      if (place === undefined) continue
      const head = yield* signer.sign(tenant, { kind: "head", ...place, at })
      yield* log.addHead(tenant, head)
      unlisted = [...unlisted, { tenant, head }]
    }
    const listed = unlisted
    if (listed.length === 0 && at - indexedAt < INDEX_LIFE) return
    yield* appendIndex(log, signer, listed, at)
    unlisted = unlisted.filter((one) => !listed.includes(one))
    indexedAt = at
  }, Effect.catchCause((cause) => Effect.logError("A head of the audit log could not be kept", cause)))

  const signAll = Effect.suspend(() => sign([...unsigned.keys()]))

  const settle = (batch: ReadonlyArray<Pending>, exit: Effect.Effect<void, StoreUnavailable>) => {
    for (const { done } of batch) Deferred.doneUnsafe(done, exit)
  }

  const flush = (batch: ReadonlyArray<Pending>) =>
    batch.length === 0 ? Effect.void : write(batch).pipe(
      Effect.matchCause({
        onSuccess: () => settle(batch, Effect.void),
        onFailure: (cause) => {
          // The state of the store is unknown now.
          for (const { entry } of batch) places.delete(entry.tenant)
          settle(batch, Effect.fail(unavailable(cause)))
        }
      }),
      Effect.andThen(
        Effect.suspend(() => sign([...unsigned].flatMap(([tenant, count]) => count >= SIGN_AFTER ? [tenant] : [])))
      ),
      Effect.provideContext(crypto)
    )

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      closed = true
      return Effect.andThen(Effect.flatMap(Queue.clear(queue), flush), signAll)
    })
  )
  yield* Effect.forkScoped(
    Effect.forever(Effect.uninterruptibleMask((restore) => Effect.flatMap(restore(Queue.takeAll(queue)), flush)))
  )
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep("1 minute"), Effect.uninterruptible(signAll))))

  const put = (pending: Omit<Pending, "done">) => {
    const done = Deferred.makeUnsafe<void, StoreUnavailable>()
    Queue.offerUnsafe(queue, { ...pending, done })
    return done
  }

  return {
    record: (entry) => Effect.suspend(() => closed ? Effect.fail(stopped) : Deferred.await(put({ entry }))),
    enter: (noted, mayBeThere) =>
      Effect.suspend(() => {
        if (closed) return Effect.fail(stopped)
        const waits = noted.map(({ entry, id }) => put({ entry, fact: id, mayBeThere }))
        return Effect.forEach(waits, (done) => Deferred.await(done), { discard: true })
      }),
    forget: (tenant, subject) => keys.delete(JSON.stringify([tenant, subject]))
  }
})

const stopped = new StoreUnavailable({ operation: "record: the server has stopped" })

/** Keeps the youngest. */
const remember = <A>(map: Map<string, A>, name: string, value: A) => {
  map.delete(name)
  map.set(name, value)
  const [oldest] = map.keys()
  if (map.size > MEMORY && oldest !== undefined) map.delete(oldest)
}

const unavailable = (cause: Cause.Cause<StoreUnavailable>) => {
  const error = Cause.squash(cause)
  return error instanceof StoreUnavailable ? error : new StoreUnavailable({ operation: "record", cause: error })
}
