/**
 * Signatures of agent cards: JSON Web Signatures under Ed25519 keys, which the server publishes. Without it cards are not signed.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Hex from "effect/encoding/Hex"
import { textsOf } from "./A2aCanonical.ts"
import type { AgentCard, AgentCardSignature } from "./A2aSchema.ts"

/** The 32 bytes of an Ed25519 private key in hex, as `openssl rand -hex 32` makes them. @category schemas @since 0.1.0 */
export const PrivateKey = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/iu))

/** A public key as RFC 7517 and RFC 8037 have it. @category models @since 0.1.0 */
export interface PublicJwk {
  readonly kty: "OKP"
  readonly crv: "Ed25519"
  readonly x: string
  readonly kid: string
  readonly alg: "EdDSA"
  readonly use: "sig"
}

/** The path of the public keys, below the address of the app. @category constants @since 0.1.0 */
export const jwks = "/a2a/.well-known/jwks.json"

/** @category services @since 0.1.0 */
export class CardSigner extends Context.Service<CardSigner, {
  readonly keys: ReadonlyArray<PublicJwk>
  /** The card with its signatures, whose keys are at the address `jku`. */
  readonly sign: (card: AgentCard, jku: string) => Effect.Effect<AgentCard>
  /** A JSON Web Token by the first of the keys, which are at the address `jku`. */
  readonly token: (claims: { readonly [claim: string]: Schema.Json }, jku: string) => Effect.Effect<string>
}>()("@fastagentic/protocols/a2a/CardSigner") {
  /**
   * Signs with each of the keys, so that clients that know an old or a new one verify the card.
   *
   * @since 0.1.0
   */
  static readonly layer = (
    keys: readonly [Redacted.Redacted, ...ReadonlyArray<Redacted.Redacted>]
  ): Layer.Layer<CardSigner> =>
    Layer.effect(
      CardSigner,
      Effect.map(Effect.forEach(keys, importKey), (imported) => ({
        keys: imported.map(({ jwk }) => jwk),
        sign: (card, jku) =>
          Effect.map(
            Effect.forEach(imported, (key) => Effect.forEach(textsOf(card), (text) => signatureOf(key, text, jku))),
            (signatures) => ({ ...card, signatures: signatures.flat() })
          ),
        token: (claims, jku) =>
          Effect.map(signatureOf(imported[0], JSON.stringify(claims), jku, "JWT"), (signed) =>
            `${signed.protected}.${Base64Url.encode(JSON.stringify(claims))}.${signed.signature}`)
      }))
    )
}

interface Key {
  readonly key: CryptoKey
  readonly jwk: PublicJwk
}

const { subtle } = globalThis.crypto
const encoder = new TextEncoder()

/** The bytes of RFC 8410 before those of a private key. */
const pkcs8 = "302e020100300506032b657004220420"

const importKey = (secret: Redacted.Redacted): Effect.Effect<Key> =>
  Effect.gen(function*() {
    const bytes = yield* Effect.fromResult(Hex.decode(pkcs8 + Redacted.value(secret)))
    const key = yield* Effect.promise(() =>
      subtle.importKey("pkcs8", Uint8Array.from(bytes), "Ed25519", true, ["sign"])
    )
    const { x = "" } = yield* Effect.promise(() => subtle.exportKey("jwk", key))
    // The thumbprint of RFC 7638.
    const kid = yield* Effect.promise(() =>
      subtle.digest("SHA-256", encoder.encode(JSON.stringify({ crv: "Ed25519", kty: "OKP", x })))
    )
    const id = Base64Url.encode(new Uint8Array(kid))
    return { key, jwk: { kty: "OKP", crv: "Ed25519", x, kid: id, alg: "EdDSA", use: "sig" } } as const
  }).pipe(Effect.orDie)

const signatureOf = (
  { jwk: { kid }, key }: Key,
  text: string,
  jku: string,
  typ = "JOSE"
): Effect.Effect<AgentCardSignature> => {
  const header = Base64Url.encode(JSON.stringify({ alg: "EdDSA", kid, typ, jku }))
  return Effect.map(
    Effect.promise(() => subtle.sign("Ed25519", key, encoder.encode(`${header}.${Base64Url.encode(text)}`))),
    (signed) => ({ protected: header, signature: Base64Url.encode(new Uint8Array(signed)) })
  )
}
