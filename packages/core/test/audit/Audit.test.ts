import { assert, describe, it } from "@effect/vitest"
import { Audit, AuditChain, AuditLog, AuditVerify, RunError } from "@fastagentic/core"
import * as AuditContract from "@fastagentic/core/testing/contract/AuditContract"
import * as AuditLogContract from "@fastagentic/core/testing/contract/AuditLogContract"
import { ConfigProvider, Context, Effect, Layer } from "effect"
import * as Aead from "effect/crypto/Aead"
import * as Digest from "effect/crypto/Digest"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Signature from "effect/crypto/Signature"
import * as TestClock from "effect/testing/TestClock"

AuditContract.suite("Audit.layerMemory", Audit.layerMemory)

AuditLogContract.suite(
  "AuditLog.layerMemory",
  Effect.map(Layer.build(Layer.fresh(AuditLog.AuditLog.layerMemory)), Layer.succeedContext)
)

const crypto = Layer.mergeAll(Digest.layerWebCrypto, Aead.layerWebCrypto, Signature.layerWebCrypto).pipe(
  Layer.provide(SecureRandom.layerWebCrypto)
)

const configuredOn = (log: Layer.Layer<AuditLog.AuditLog>) =>
  Layer.provideMerge(AuditChain.layer, log).pipe(
    Layer.provide(crypto),
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({
      FASTAGENTIC_AUDIT_KEY: "0f".repeat(32),
      FASTAGENTIC_AUDIT_RETENTION: "1 day"
    })))
  )

/** Hashes are made elsewhere, in real time. */
const eventually = <A, E>(effect: Effect.Effect<A, E>, until: (value: A) => boolean): Effect.Effect<A, E> =>
  Effect.flatMap(
    Effect.andThen(Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve))), effect),
    (value) => until(value) ? Effect.succeed(value) : eventually(effect, until)
  )

const configured = configuredOn(AuditLog.AuditLog.layerMemory)

describe("AuditChain.layer", () => {
  it.effect("signs after a minute, and lets go of what is too old", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(configured)
      const [audit, log] = [Context.get(context, Audit.Audit), Context.get(context, AuditLog.AuditLog)]
      const record = (at: number) => Effect.forkChild(audit.record(AuditContract.makeEntry({ at })))
      const count = (limit: number) =>
        eventually(audit.page({ tenant: "acme", limit }), (page) => page.length === limit)
      yield* record(0)
      yield* count(1)
      yield* record(86_400_000)
      yield* count(2)
      yield* TestClock.adjust("1 minute")
      const [head] = yield* eventually(log.heads("acme"), (heads) => heads.length > 0)
      assert.deepInclude(head, { kind: "head", seq: 2, at: 60_000 })
      yield* TestClock.adjust("25 hours")
      yield* eventually(log.heads("acme"), (heads) => heads.some(({ kind }) => kind === "cut"))
      assert.deepStrictEqual((yield* audit.page({ tenant: "acme", limit: 9 })).map(({ seq }) => seq), [2])
    }).pipe(Effect.scoped))

  it.effect("lists a head in the index that the store could not list at first", () =>
    Effect.gen(function*() {
      const log = Context.get(yield* Layer.build(AuditLog.AuditLog.layerMemory), AuditLog.AuditLog)
      let failures = 0
      const failing: AuditLog.AuditLog["Service"] = {
        ...log,
        append: (appends) =>
          appends.some(({ tenant }) => tenant !== "acme") && failures++ === 0
            ? Effect.fail(new RunError.StoreUnavailable({ operation: "append" }))
            : log.append(appends)
      }
      const context = yield* Layer.build(configuredOn(Layer.succeed(AuditLog.AuditLog, failing)))
      const audit = Context.get(context, Audit.Audit)
      yield* Effect.forkChild(audit.record(AuditContract.makeEntry()))
      yield* eventually(audit.page({ tenant: "acme", limit: 1 }), (page) => page.length === 1)
      yield* TestClock.adjust("1 minute")
      yield* eventually(Effect.sync(() => failures), (count) => count === 1)
      const verdicts = AuditVerify.verifyAll({ signers: [(yield* log.heads("acme"))[0]?.signer ?? ""] }).pipe(
        Effect.provideService(AuditLog.AuditLog, log),
        Effect.provide(crypto)
      )
      assert.include((yield* verdicts).at(-1)?.unproven, "no signed index")
      yield* TestClock.adjust("1 minute")
      yield* eventually(Effect.sync(() => failures), (count) => count === 2)
      const [verdict, ...more] = yield* eventually(verdicts, (all) => all.length === 1)
      assert.deepInclude(verdict, { tenant: "acme", signedTo: 1, findings: [] })
      assert.deepStrictEqual(more, [])
    }).pipe(Effect.scoped))
})
