// Verifies the signatures of a card of another server: its JSON by RFC 8785, signed as a JWS by one of the keys that its reader
// trusts. A2aClient and AgentRegistry call it; a key that a card itself names is never trusted for that.
import { Effect, Option, Schema } from "effect"
import * as Base64Url from "effect/encoding/Base64Url"
import { textsOf } from "./A2aCanonical.ts"
import { AgentCard, AgentCardSignature } from "./A2aSchema.ts"

/** A public key as RFC 7517 has it: Ed25519, P-256, P-384 or RSA. */
export const PublicKey = Schema.Struct({
  kty: Schema.Literals(["OKP", "EC", "RSA"]),
  kid: Schema.optionalKey(Schema.String),
  alg: Schema.optionalKey(Schema.String),
  crv: Schema.optionalKey(Schema.String),
  x: Schema.optionalKey(Schema.String),
  y: Schema.optionalKey(Schema.String),
  n: Schema.optionalKey(Schema.String),
  e: Schema.optionalKey(Schema.String)
})
export type PublicKey = typeof PublicKey.Type

interface Algorithm {
  readonly kty: PublicKey["kty"]
  readonly crv?: string
  readonly key: { readonly name: string; readonly namedCurve?: string; readonly hash?: string }
  readonly signature: { readonly name: string; readonly hash?: string }
}

/** The algorithms that are taken; `none` and those with a shared secret are not among them. */
const algorithms: ReadonlyMap<string, Algorithm> = new Map<string, Algorithm>([
  ["EdDSA", { kty: "OKP", crv: "Ed25519", key: { name: "Ed25519" }, signature: { name: "Ed25519" } }],
  ...(["256", "384"] as const).map((bits) => {
    const crv = `P-${bits}`
    return [`ES${bits}`, {
      kty: "EC",
      crv,
      key: { name: "ECDSA", namedCurve: crv },
      signature: { name: "ECDSA", hash: `SHA-${bits}` }
    }] as const
  }),
  ["RS256", {
    kty: "RSA",
    key: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
    signature: { name: "RSASSA-PKCS1-v1_5" }
  }]
])

const decodeSignatures = Schema.decodeUnknownOption(
  Schema.Struct({ signatures: Schema.Array(AgentCardSignature) })
)
const decodeHeader = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({
    alg: Schema.String,
    kid: Schema.optionalKey(Schema.String),
    crit: Schema.optionalKey(Schema.Unknown)
  }))
)

/** More signatures than that are not looked at. */
const mostSignatures = 16

/** Whether one of the keys has signed the card, whose JSON is given as it came. */
export const isSigned = (card: object, keys: ReadonlyArray<PublicKey>): Effect.Effect<boolean> => {
  const { signatures } = Option.getOrElse(decodeSignatures(card), () => ({ signatures: [] }))
  const texts = [...new Set([...textsOf(card), ...textsOf(ofV1(card))])]
  return Effect.promise(async () => {
    for (const { protected: header, signature } of signatures.slice(0, mostSignatures)) {
      const bytes = bytesOf(signature)
      const named = Option.getOrUndefined(decodeHeader(textOf(header)))
      const algorithm = algorithms.get(named?.alg ?? "")
      if (bytes === undefined || named === undefined || algorithm === undefined || named.crit !== undefined) continue
      for (const key of keys) {
        if (named.kid !== undefined && key.kid !== undefined && named.kid !== key.kid) continue
        if (await isSignedBy(key, algorithm, named.alg, header, texts, bytes)) return true
      }
    }
    return false
  })
}

const isSignedBy = async (
  { kid: _kid, ...key }: PublicKey,
  { crv, key: kind, kty, signature }: Algorithm,
  alg: string,
  header: string,
  texts: ReadonlyArray<string>,
  bytes: Uint8Array<ArrayBuffer>
): Promise<boolean> => {
  if (key.kty !== kty || key.crv !== crv || (key.alg !== undefined && key.alg !== alg)) return false
  try {
    const imported = await subtle.importKey("jwk", key, kind, false, ["verify"])
    for (const text of texts) {
      const signed = encoder.encode(`${header}.${Base64Url.encode(text)}`)
      if (await subtle.verify(signature, imported, bytes, signed)) return true
    }
  } catch {
    // A key that is none verifies nothing.
  }
  return false
}

const { subtle } = globalThis.crypto
const encoder = new TextEncoder()

/** The fields of 1.0: a card of both versions is signed as one of 1.0. */
const ofV1 = (card: object): object =>
  Object.fromEntries(Object.entries(card).filter(([key]) => Object.hasOwn(AgentCard.fields, key)))

const bytesOf = (text: string): Uint8Array<ArrayBuffer> | undefined =>
  Option.getOrUndefined(Option.map(Option.getSuccess(Base64Url.decode(text)), (bytes) => Uint8Array.from(bytes)))

const textOf = (text: string) => new TextDecoder().decode(bytesOf(text))
