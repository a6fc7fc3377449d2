// Contract of an `Audit`. A test file of the implementation calls `suite` once.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Struct } from "effect"
import { Audit, type Entry } from "../../audit/Audit.ts"

/**
 * Makes an audit entry.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeEntry = (overrides: Partial<Entry> = {}): Entry => ({
  at: 1_700_000_000_000,
  tenant: "acme",
  principal: "alice",
  action: "start",
  target: "agent/support",
  decision: "allowed",
  traceId: "t",
  ...overrides
})

const odd = "żółw 🐢 ' \" {} , \\ \0 \ud800 /"

/**
 * Declares the tests that every audit log passes, whatever it is kept in.
 *
 * @category contracts
 * @since 0.1.0
 */
export const suite = (name: string, layer: Layer.Layer<Audit, unknown>) =>
  describe(name, () => {
    const withAudit = <A, E2>(use: (audit: Audit["Service"]) => Effect.Effect<A, E2>) =>
      Effect.scoped(Effect.flatMap(
        Layer.build(Layer.fresh(layer)),
        (context) => Effect.provideContext(Effect.flatMap(Audit, use), context)
      ))

    const seqs = (page: ReadonlyArray<{ readonly seq: number }>) => page.map(({ seq }) => seq)

    it.live("gives back what was recorded, numbered from 1, to its tenant only", () =>
      withAudit((audit) =>
        Effect.gen(function*() {
          const first = makeEntry({ runId: "r1", rule: "scopes: a b", reason: odd, costUsd: 0.1 + 0.2 })
          const second = makeEntry({ at: 0, principal: odd, action: odd, target: odd, decision: odd, traceId: odd })
          yield* audit.record(first)
          yield* audit.record(makeEntry({ tenant: odd }))
          yield* audit.record(second)
          const page = yield* audit.page({ tenant: "acme", limit: 10 })
          assert.deepStrictEqual(page.map((entry) => Struct.omit(entry, ["hash"])), [
            { seq: 2, ...second },
            { seq: 1, ...first }
          ])
          assert.containSubset(yield* audit.page({ tenant: odd, limit: 10 }), [{ seq: 1, tenant: odd }])
          assert.deepStrictEqual(yield* audit.page({ tenant: "nobody", limit: 10 }), [])
        })
      ))

    it.live("has pages in both directions", () =>
      withAudit((audit) =>
        Effect.gen(function*() {
          const many = Array.from({ length: 50 }, (_, at) => makeEntry({ at, principal: `p${at % 3}` }))
          yield* Effect.forEach(many, audit.record, { concurrency: "unbounded" })
          const page = (query: { after?: number; before?: number }) =>
            Effect.map(audit.page({ tenant: "acme", limit: 3, ...query }), seqs)
          assert.deepStrictEqual(yield* page({}), [50, 49, 48])
          assert.deepStrictEqual(yield* page({ before: 48 }), [47, 46, 45])
          assert.deepStrictEqual(yield* page({ before: 2 }), [1])
          assert.deepStrictEqual(yield* page({ before: 1 }), [])
          assert.deepStrictEqual(yield* page({ after: 0 }), [1, 2, 3])
          assert.deepStrictEqual(yield* page({ after: 48 }), [49, 50])
          assert.deepStrictEqual(yield* page({ after: 3, before: 5 }), [4])
          const all = yield* audit.page({ tenant: "acme", after: 0, limit: 100 })
          assert.deepStrictEqual(all.map(({ at }) => at), many.map(({ at }) => at))
        })
      ))

    it.live("forgets who acted and what they said, and says so", () =>
      withAudit((audit) =>
        Effect.gen(function*() {
          yield* audit.record(makeEntry({ principal: odd, reason: "my name is Alice" }))
          yield* audit.record(makeEntry({ principal: "bob", reason: "mine is not" }))
          const redaction = { tenant: "acme", principal: odd, by: "root", traceId: "t" }
          assert.strictEqual(yield* audit.redact({ ...redaction, tenant: "other" }), 0)
          assert.strictEqual(yield* audit.redact(redaction), 1)
          yield* audit.record(makeEntry({ principal: odd }))
          const [first, ...others] = yield* audit.page({ tenant: "acme", after: 0, limit: 10 })
          assert.strictEqual(first?.principal, null)
          assert.notProperty(first, "reason")
          assert.deepStrictEqual(others.map(({ action, principal, seq }) => ({ seq, action, principal })), [
            { seq: 2, action: "start", principal: "bob" },
            { seq: 3, action: "redact", principal: "root" },
            { seq: 4, action: "start", principal: odd }
          ])
        })
      ))
  })
