/**
 * Signatures of the heads of audit chains: what was signed cannot be cut off or written anew without the key.
 *
 * @since 0.1.0
 */
import { Config, Context, Effect, Layer, Option, Redacted, Schema } from "effect"
import * as Signature from "effect/crypto/Signature"
import * as Hex from "effect/encoding/Hex"
import type { Head } from "./AuditLog.ts"

/** The content of a head; its signature covers this and the tenant. @category models @since 0.1.0 */
export type Statement = Omit<Head, "signer" | "signature">

/** @category services @since 0.1.0 */
export class AuditSigner extends Context.Service<AuditSigner, {
  /** The public key in hex, empty when there is no key: heads are then not signed. */
  readonly publicKey: string
  readonly sign: (tenant: string, statement: Statement) => Effect.Effect<Head>
}>()("@fastagentic/core/audit/AuditSigner") {}

/** Heads are kept without a signature. @category layers @since 0.1.0 */
export const layerNone: Layer.Layer<AuditSigner> = Layer.succeed(AuditSigner, {
  publicKey: "",
  sign: (_, statement) => Effect.succeed({ ...statement, signer: "", signature: "" })
})

/** The 32 bytes of an Ed25519 private key in hex, as `openssl rand -hex 32` makes them. @category schemas @since 0.1.0 */
export const PrivateKey = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/iu))

/**
 * Signs with an Ed25519 key.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (privateKey: Redacted.Redacted): Layer.Layer<AuditSigner, never, Signature.Signature> =>
  Layer.effect(
    AuditSigner,
    Effect.gen(function*() {
      const signature = yield* Signature.Signature
      const bytes = yield* Effect.fromResult(Hex.decode(Redacted.value(privateKey)))
      const key = yield* Signature.privateKey(Signature.ed25519, bytes)
      const publicKey = Hex.encode(yield* Signature.toBytes(yield* signature.publicKeyOf(key)))
      return AuditSigner.of({
        publicKey,
        sign: (tenant, statement) =>
          signature.sign(key, messageOf(tenant, statement)).pipe(
            Effect.map((signed) => ({ ...statement, signer: publicKey, signature: Hex.encode(signed) })),
            Effect.orDie
          )
      })
    }).pipe(Effect.orDie)
  )

/**
 * Signs with the key in `FASTAGENTIC_AUDIT_KEY`, and not at all when there is none.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig: Layer.Layer<AuditSigner, Config.ConfigError, Signature.Signature> = Layer.unwrap(
  Effect.map(
    Config.option(Config.schema(Schema.RedactedFromValue(PrivateKey), "FASTAGENTIC_AUDIT_KEY")),
    Option.match({ onNone: () => layerNone, onSome: layer })
  )
)

/** Whether a head was signed by its signer. @category predicates @since 0.1.0 */
export const isSigned = Effect.fnUntraced(function*(tenant: string, head: Head) {
  const service = yield* Signature.Signature
  const [signer, signed] = [Hex.decode(head.signer), Hex.decode(head.signature)]
  if (signer._tag === "Failure" || signed._tag === "Failure") return false
  return yield* Signature.publicKey(Signature.ed25519, signer.success).pipe(
    Effect.flatMap((key) => service.verify(key, signed.success, messageOf(tenant, head))),
    Effect.orElseSucceed(() => false)
  )
})

const messageOf = (tenant: string, { at, hash, kind, seq }: Statement) =>
  new TextEncoder().encode(JSON.stringify(["fastagentic audit", tenant, kind, seq, hash, at]))
