// Contract of an `AuditLog` with its chain. A test file of the implementation calls `suite` once.
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, type Scope } from "effect"
import * as Aead from "effect/crypto/Aead"
import * as Digest from "effect/crypto/Digest"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Signature from "effect/crypto/Signature"
import { Audit } from "../../audit/Audit.ts"
import * as AuditChain from "../../audit/AuditChain.ts"
import { AuditLog, type ChainHead, genesis, type Link, type SubjectKey } from "../../audit/AuditLog.ts"
import * as AuditRetention from "../../audit/AuditRetention.ts"
import * as AuditSigner from "../../audit/AuditSigner.ts"
import * as AuditVerify from "../../audit/AuditVerify.ts"
import { INDEX } from "../../audit/internal/auditIndex.ts"
import { makeEntry } from "./AuditContract.ts"

const crypto = Layer.mergeAll(Digest.layerWebCrypto, Aead.layerWebCrypto, Signature.layerWebCrypto).pipe(
  Layer.provide(SecureRandom.layerWebCrypto)
)
const signer = Layer.provide(AuditSigner.layer(Redacted.make("ab".repeat(32))), crypto)

type Store = Layer.Layer<AuditLog, unknown>

const chainOn = (store: Store) =>
  Layer.effect(Audit, AuditChain.make).pipe(
    Layer.provideMerge(Layer.mergeAll(Layer.fresh(store), signer, crypto))
  )

/** A node on a store; it signs when the scope closes. */
const node = (store: Store) => Layer.build(Layer.fresh(chainOn(store)))

/** The state that a node leaves behind after it has recorded and stopped. */
const recorded = (store: Store, count: number, tenant = "acme") =>
  Effect.scoped(Effect.flatMap(node(store), (context) => {
    const audit = Context.get(context, Audit)
    return Effect.forEach(
      Array.from({ length: count }, (_, at) => makeEntry({ at: at + 1, tenant, principal: `p${at % 3}` })),
      audit.record,
      { concurrency: "unbounded", discard: true }
    )
  }))

const keyAt = (id: string, subject: string, createdAt: number): SubjectKey => ({ id, subject, key: "00", createdAt })
const linkAt = (seq: number, hash = `h${seq}`): Link => ({ seq, hash, body: `{"seq":${seq}}` })
const all = { after: 0, before: Number.MAX_SAFE_INTEGER, order: "oldest", limit: 1_000 } as const
const namesOf = ({ findings }: Pick<AuditVerify.Verdict, "findings">) =>
  findings.map(({ kind, seq, to }) => `${kind} ${seq}-${to}`)
const odd = "żółw 🐢 ' \" {} , \\ \0 %"

/**
 * Declares the tests of the hash chain that every durable audit log passes; `makeStore` makes an empty log that nodes share.
 *
 * @category contracts
 * @since 0.1.0
 */
export const suite = (name: string, makeStore: Effect.Effect<Store, unknown, Scope.Scope>) =>
  describe(name, () => {
    const withStore = <A, E>(use: (store: Store) => Effect.Effect<A, E, Scope.Scope>) =>
      Effect.scoped(Effect.flatMap(makeStore, use))
    const withLog = <A, E>(use: (log: AuditLog["Service"], store: Store) => Effect.Effect<A, E, Scope.Scope>) =>
      withStore((store) =>
        Effect.flatMap(Layer.build(Layer.fresh(store)), (context) => use(Context.get(context, AuditLog), store))
      )

    const verdict = (log: AuditLog["Service"], options: Parameters<typeof AuditVerify.verify>[1] = {}) =>
      Effect.flatMap(Layer.build(Layer.merge(signer, crypto)), (context) =>
        AuditVerify.verify("acme", {
          signers: [Context.get(context, AuditSigner.AuditSigner).publicKey],
          ...options
        }).pipe(Effect.provideService(AuditLog, log), Effect.provideContext(context)))

    const findings = (log: AuditLog["Service"], options?: Parameters<typeof AuditVerify.verify>[1]) =>
      Effect.map(verdict(log, options), namesOf)

    /** The findings of each tenant. */
    const allFindings = (log: AuditLog["Service"]) =>
      Effect.flatMap(Layer.build(Layer.merge(signer, crypto)), (context) =>
        AuditVerify.verifyAll({ signers: [Context.get(context, AuditSigner.AuditSigner).publicKey] }).pipe(
          Effect.provideService(AuditLog, log),
          Effect.provideContext(context),
          Effect.map((verdicts) =>
            verdicts.map((verdict) => [verdict.tenant, ...namesOf(verdict)])
          )
        ))

    it.live("appends where the writer saw the end, and nowhere else", () =>
      withLog((log) =>
        Effect.gen(function*() {
          const first = { tenant: odd, after: genesis, links: [linkAt(1), linkAt(2)], keys: [keyAt("k1", odd, 5)] }
          assert.deepStrictEqual(yield* log.chainHead(odd), genesis)
          assert.deepStrictEqual(yield* log.append([first]), [{ seq: 2, hash: "h2" }])
          assert.deepStrictEqual(yield* log.append([{ ...first, links: [linkAt(1, "x")], keys: [] }]), [
            { seq: 2, hash: "h2" }
          ])
          const other = { tenant: "b", after: genesis, links: [linkAt(1)], keys: [] }
          const ends = yield* log.append([
            { ...first, after: { seq: 2, hash: "no" }, links: [linkAt(3, "x")], keys: [keyAt("k2", "eve", 5)] },
            other
          ])
          assert.deepStrictEqual(ends, [{ seq: 2, hash: "h2" }, { seq: 1, hash: "h1" }])
          assert.deepStrictEqual(yield* log.links({ tenant: odd, ...all }), [linkAt(1), linkAt(2)])
          assert.deepStrictEqual(yield* log.keys(odd, ["k1", "k2", "none"]), [keyAt("k1", odd, 5)])
          assert.deepStrictEqual(yield* log.keysOf("b", odd), [])
          assert.deepStrictEqual(yield* log.tenants, ["b", odd])
        })
      ))

    it.live("knows the facts that it has entered, by tenant, until their entries are cut", () =>
      withLog((log) =>
        Effect.gen(function*() {
          const links = [1, 2, 3].map((seq) => ({ ...linkAt(seq), ...(seq === 2 ? {} : { fact: `fact ${seq}` }) }))
          yield* log.append([{ tenant: odd, after: genesis, links, keys: [] }])
          yield* log.append([{ tenant: odd, after: genesis, links: [{ ...linkAt(1), fact: "late" }], keys: [] }])
          const facts = ["late", "fact 3", "fact 2", "fact 1"]
          assert.deepStrictEqual([...yield* log.entered(odd, facts)].sort(), ["fact 1", "fact 3"])
          assert.deepStrictEqual(yield* log.entered("other", facts), [])
          assert.deepStrictEqual(yield* log.links({ tenant: odd, ...all }), [linkAt(1), linkAt(2), linkAt(3)])
          const cut = { kind: "cut", seq: 2, hash: "h2", at: 1, signer: "", signature: "" } as const
          yield* log.cut(odd, cut, 0)
          assert.deepStrictEqual(yield* log.entered(odd, facts), ["fact 3"])
        })
      ))

    it.live("appends nothing with a fact that the chain has, and says where the chain ends", () =>
      withLog((log) =>
        Effect.gen(function*() {
          const first = { tenant: odd, after: genesis, links: [{ ...linkAt(1), fact: "a" }], keys: [] }
          yield* log.append([first])
          const again = [{ ...linkAt(2), fact: "b" }, { ...linkAt(3), fact: "a" }]
          const other = { tenant: "b", after: genesis, links: [linkAt(1)], keys: [] }
          const [end] = yield* log.append([{ tenant: odd, after: { seq: 1, hash: "h1" }, links: again, keys: [] }])
          assert.deepStrictEqual(end, { seq: 1, hash: "h1" })
          assert.deepStrictEqual(yield* log.links({ tenant: odd, ...all }), [linkAt(1)])
          assert.deepStrictEqual(yield* log.entered(odd, ["a", "b"]), ["a"])
          // Another tenant has facts of its own.
          yield* log.append([other, { tenant: "c", after: genesis, links: [{ ...linkAt(1), fact: "a" }], keys: [] }])
          assert.deepStrictEqual(yield* log.chainHead("c"), { seq: 1, hash: "h1" })
        })
      ))

    it.live("loses no entry that is written together with a fact that is entered already", () =>
      withStore((store) =>
        Effect.gen(function*() {
          const audit = Context.get(yield* node(store), Audit)
          const enter = (ids: ReadonlyArray<string>) =>
            audit.enter?.(ids.map((id) => ({ id, entry: makeEntry({ reason: id }) })), false) ??
              Effect.die("the chain enters facts")
          yield* enter(["a"])
          yield* Effect.forEach(
            [audit.record(makeEntry({ reason: "one" })), enter(["a", "b"]), audit.record(makeEntry({ reason: "two" }))],
            (one) => one,
            { concurrency: "unbounded" }
          )
          const page = yield* audit.page({ tenant: "acme", after: 0, limit: 100 })
          assert.deepStrictEqual(page.map(({ reason }) => reason).sort(), ["a", "b", "one", "two"])
        })
      ))

    it.live("enters a fact once, whoever enters it and however often", () =>
      withStore((store) =>
        Effect.gen(function*() {
          const facts = Array.from({ length: 30 }, (_, at) => ({
            id: `fact-${at}`,
            entry: makeEntry({ at, principal: `p${at % 3}`, reason: `${at}` })
          }))
          const nodes = yield* Effect.forEach([1, 2, 3], () => node(store))
          const audits = nodes.map((context) => Context.get(context, Audit))
          const enter = (audit: Audit["Service"], some: typeof facts, isOld: boolean) =>
            audit.enter?.(some, isOld) ?? Effect.die("the chain enters facts")
          yield* Effect.forEach(
            audits.flatMap((audit, at) => [
              enter(audit, facts.slice(at * 10, at * 10 + 10), false),
              audit.record(makeEntry({ reason: "beside" })),
              enter(audit, facts.slice(0, 20), true)
            ]),
            (one) => one,
            { concurrency: "unbounded" }
          )
          // A process that has lost sight of what it has entered tries again.
          for (const audit of audits) yield* enter(audit, facts, true)
          const [audit] = audits
          const page = yield* audit?.page({ tenant: "acme", after: 0, limit: 100 }) ?? Effect.succeed([])
          const entered = page.flatMap(({ reason }) => reason === "beside" ? [] : [Number(reason)])
          assert.deepStrictEqual(entered.sort((a, b) => a - b), facts.map((_, at) => at))
          assert.lengthOf(page, 33)
          // A writer that had nothing to append has kept no key either.
          const late = Context.get(yield* node(store), Audit)
          yield* enter(late, [{ id: "fact-0", entry: makeEntry({ principal: "late" }) }], true)
          yield* late.record(makeEntry({ principal: "late" }))
          const [last] = yield* late.page({ tenant: "acme", limit: 1 })
          assert.strictEqual(last?.principal, "late")
        })
      ))

    it.live("of many that append at once one wins each time", () =>
      withLog((log) =>
        Effect.gen(function*() {
          const append = (by: number) => ({ tenant: "acme", after: genesis, links: [linkAt(1, `by-${by}`)], keys: [] })
          const ends = yield* Effect.forEach(
            Array.from({ length: 20 }, (_, by) => append(by)),
            (one) => log.append([one]),
            { concurrency: "unbounded" }
          )
          const [link] = yield* log.links({ tenant: "acme", ...all })
          assert.deepStrictEqual(new Set(ends.flat().map(({ hash }) => hash)), new Set([link?.hash]))
        })
      ))

    it.live("a chain that many nodes write has no gap and can be proved", () =>
      withLog((log, store) =>
        Effect.gen(function*() {
          yield* Effect.forEach([1, 2, 3], () => recorded(store, 40), { concurrency: "unbounded" })
          yield* recorded(store, 3, "other")
          const found = yield* verdict(log)
          assert.deepStrictEqual(found, { tenant: "acme", from: 1, to: 120, signedTo: 120, findings: [] })
          assert.isNotEmpty(yield* log.keysOf("acme", "p1"))
        })
      ))

    it.live("what was changed, moved, dropped, added or cut off is named", () =>
      withLog((log, store) =>
        Effect.gen(function*() {
          yield* recorded(store, 9)
          const links = yield* log.links({ tenant: "acme", ...all })
          const at = (seq: number) => links[seq - 1] ?? assert.fail(`there is no entry ${seq}`)
          const replaced = (...given: ReadonlyArray<Link>) =>
            links.map((link) => given.find(({ seq }) => seq === link.seq) ?? link)
          const over = (
            tampered: ReadonlyArray<Link>,
            more: Partial<AuditLog["Service"]> = {},
            options?: Parameters<typeof AuditVerify.verify>[1]
          ) =>
            findings({
              ...log,
              links: ({ after, before, limit }) =>
                Effect.succeed(tampered.filter(({ seq }) => seq > after && seq < before).slice(0, limit)),
              ...more
            }, options)
          assert.deepStrictEqual(yield* over(links), [])
          const changed = { ...at(4), body: at(4).body.replace("allowed", "refused") }
          assert.deepStrictEqual(yield* over(replaced(changed)), ["changed 4-4"])
          assert.deepStrictEqual(yield* over(replaced({ ...at(4), hash: at(5).hash })), ["changed 4-4"])
          assert.deepStrictEqual(yield* over(replaced({ ...at(4), body: "?" })), ["changed 4-4"])
          assert.deepStrictEqual(
            yield* over(replaced({ ...at(4), seq: 6 }, { ...at(6), seq: 4 })),
            ["moved 4-4", "moved 6-6"]
          )
          assert.deepStrictEqual(
            yield* over(replaced({ ...at(4), body: at(5).body }, { ...at(5), body: at(4).body })),
            ["moved 4-4", "moved 5-5"]
          )
          assert.deepStrictEqual(yield* over(links.filter(({ seq }) => seq !== 4 && seq !== 5)), ["missing 4-5"])
          assert.deepStrictEqual(yield* over(links.slice(2)), ["missing 1-2"])
          assert.deepStrictEqual(yield* over(links.slice(0, 7)), ["truncated 8-9"])
          assert.deepStrictEqual(yield* over([]), ["truncated 1-9"])
          assert.include(yield* over([...links, { ...at(9), seq: 10 }]), "added 10-10")

          // A person who shortens the chain everywhere cannot take back a signature.
          const shortened = { chainHead: () => Effect.succeed(at(7)) }
          assert.deepStrictEqual(yield* over(links.slice(0, 7), shortened), ["truncated 8-9"])
          const heads = yield* log.heads("acme")
          const unsigned = { ...shortened, heads: () => Effect.succeed([]) }
          assert.deepStrictEqual(yield* over(links.slice(0, 7), unsigned), [])
          assert.deepStrictEqual(
            yield* over(links.slice(0, 7), unsigned, { indexed: { seq: 9, hash: at(9).hash } }),
            ["truncated 8-9", "signature 9-9"]
          )
          assert.deepStrictEqual(yield* over(links.slice(0, 7), unsigned, { anchors: heads }), ["truncated 8-9"])
          const forged = heads.map((head) => ({ ...head, seq: 7, hash: at(7).hash }))
          assert.deepStrictEqual(
            yield* over(links.slice(0, 7), { ...shortened, heads: () => Effect.succeed(forged) }),
            ["signature 7-7"]
          )
          // A whole chain, written anew and without a mistake, is not the one that was signed.
          yield* recorded(store, 9, "forger")
          assert.deepStrictEqual(
            (yield* over(replaced({ ...at(9), hash: "0".repeat(64) }), {
              chainHead: () => Effect.succeed({ seq: 9, hash: "0".repeat(64) })
            })).includes("rewritten 9-9"),
            true
          )
        })
      ))

    it.live("an index that was put back together with the end of a chain is named", () =>
      withLog((log, store) =>
        Effect.gen(function*() {
          yield* recorded(store, 3)
          const before = new Map<string, ChainHead>()
          for (const tenant of ["acme", INDEX]) before.set(tenant, yield* log.chainHead(tenant))
          yield* recorded(store, 2, "other")
          yield* recorded(store, 3)
          assert.deepStrictEqual(yield* allFindings(log), [["acme"], ["other"]])
          const last = (tenant: string) => before.get(tenant)?.seq ?? Number.MAX_SAFE_INTEGER
          const putBack: AuditLog["Service"] = {
            ...log,
            chainHead: (tenant) => Effect.map(log.chainHead(tenant), (place) => before.get(tenant) ?? place),
            links: (range) => log.links({ ...range, before: Math.min(range.before, last(range.tenant) + 1) }),
            heads: (tenant) => Effect.map(log.heads(tenant), (heads) => heads.filter(({ seq }) => seq <= last(tenant)))
          }
          assert.deepStrictEqual(yield* allFindings(putBack), [["acme"], ["other", "signature 2-2"]])
        })
      ))

    it.live("a key may be destroyed, but not in silence", () =>
      withLog((log, store) =>
        Effect.gen(function*() {
          yield* recorded(store, 6)
          const context = yield* node(store)
          const audit = Context.get(context, Audit)
          yield* audit.redact({ tenant: "acme", principal: "p1", by: "root", traceId: "t" })
          assert.deepStrictEqual(yield* log.keysOf("acme", "p1"), [])
          assert.deepStrictEqual(yield* findings(log), [])
          yield* log.destroyKeys("acme", "p2")
          assert.deepStrictEqual(yield* findings(log), ["key 3-3"])
          const page = yield* audit.page({ tenant: "acme", after: 0, limit: 3 })
          assert.deepStrictEqual(page.map(({ principal }) => principal), ["p0", null, null])
        })
      ))

    it.live("old entries leave from the front, and the rest can still be proved", () =>
      withLog((log, store) =>
        Effect.gen(function*() {
          yield* recorded(store, 9)
          const cut = (before: number) =>
            Effect.flatMap(Layer.build(signer), (context) =>
              AuditRetention.cut("acme", before).pipe(
                Effect.provideService(AuditLog, log),
                Effect.provideContext(context)
              ))
          assert.isUndefined(yield* cut(1))
          assert.strictEqual((yield* cut(5))?.seq, 4)
          assert.isUndefined(yield* cut(5))
          assert.strictEqual((yield* cut(6))?.seq, 5)
          yield* recorded(store, 2)
          assert.deepStrictEqual(yield* verdict(log), {
            tenant: "acme",
            from: 6,
            to: 11,
            signedTo: 11,
            findings: []
          })
          assert.deepStrictEqual((yield* log.heads("acme")).map(({ kind, seq }) => `${kind} ${seq}`), [
            "cut 5",
            "head 9",
            "head 11"
          ])
          const headless = { ...log, heads: () => Effect.succeed([]) }
          assert.deepStrictEqual(yield* findings(headless), ["missing 1-5"])
          // Keys that only what was cut needed go with it, and those of the rest stay.
          const [kept] = yield* log.keysOf("acme", "p1")
          const [head] = yield* log.heads("acme")
          yield* log.cut("acme", { ...(head ?? assert.fail("no head")) }, kept?.createdAt ?? 0)
          assert.isNotEmpty(yield* log.keysOf("acme", "p1"))
          yield* log.cut("acme", { ...(head ?? assert.fail("no head")) }, (kept?.createdAt ?? 0) + 1)
          assert.deepStrictEqual(yield* log.keysOf("acme", "p1"), [])
          assert.deepStrictEqual(yield* log.keys("acme", [kept?.id ?? ""]), [])
        })
      ))
  })
