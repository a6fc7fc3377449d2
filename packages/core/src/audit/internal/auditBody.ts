// Seals and opens the personal part of audit entries; the writer and the readers use it. Deleting a key forgets a person.
import { Effect, Schema } from "effect"
import * as Aead from "effect/crypto/Aead"
import * as Digest from "effect/crypto/Digest"
import * as Base64 from "effect/encoding/Base64"
import * as Hex from "effect/encoding/Hex"
import { randomBytes, randomHex } from "../../base/internal/randomBytes.ts"
import type { Entry, Recorded } from "../Audit.ts"
import type { ChainHead, Link, SubjectKey } from "../AuditLog.ts"

const optional = Schema.optionalKey

/** The stored form of an entry: plain text, except for `sealed` (actor and content), which is encrypted under `key`. */
export const Body = Schema.Struct({
  seq: Schema.Int,
  at: Schema.Finite,
  tenant: Schema.String,
  action: Schema.String,
  target: Schema.String,
  decision: Schema.String,
  rule: optional(Schema.String),
  costUsd: optional(Schema.Finite),
  count: optional(Schema.Int),
  runId: optional(Schema.String),
  traceId: Schema.String,
  key: Schema.String,
  sealed: Schema.String
})

export type Body = typeof Body.Type

export const decodeBody = Schema.decodeUnknownEffect(Schema.fromJsonString(Body))

const decodePersonal = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Struct({
  principal: Schema.String,
  reason: optional(Schema.String),
  onBehalfOf: optional(Schema.String)
})))

const text = new TextEncoder()
const algorithm = Aead.chacha20Poly1305

/** A key of a principal, ready for use. */
export interface Opened {
  readonly kept: SubjectKey
  readonly key: Aead.Key
  /**
   * The sealed actor: the same text for each entry without further content. That entries are of one principal is known from
   * the id of the key.
   */
  sealed?: string
}

export const newKey = (subject: string, createdAt: number): Effect.Effect<Opened> =>
  openKey({ id: randomHex(8), subject, key: Hex.encode(randomBytes(algorithm.keyLength)), createdAt })

export const openKey = (kept: SubjectKey): Effect.Effect<Opened> =>
  Effect.orDie(Effect.map(
    Effect.flatMap(Effect.fromResult(Hex.decode(kept.key)), (bytes) => Aead.key(algorithm, bytes)),
    (key) => ({ kept, key })
  ))

/** The body of an entry, but for its place: that is known only when its turn has come. */
export const seal = Effect.fnUntraced(function*(entry: Entry, opened: Opened) {
  const { onBehalfOf, principal, reason, ...open } = entry
  const isPlain = reason === undefined && onBehalfOf === undefined
  const sealed = isPlain
    ? opened.sealed ??= yield* sealText({ principal }, opened)
    : yield* sealText(
      {
        principal,
        ...(reason === undefined ? {} : { reason }),
        ...(onBehalfOf === undefined ? {} : { onBehalfOf })
      },
      opened
    )
  return JSON.stringify({ ...open, key: opened.kept.id, sealed })
})

const sealText = Effect.fnUntraced(function*(
  personal: Pick<Entry, "onBehalfOf" | "principal" | "reason">,
  { key }: Opened
) {
  const nonce = randomBytes(algorithm.nonceLength)
  const aead = yield* Aead.Aead
  const sealed = yield* Effect.orDie(aead.encrypt(key, text.encode(JSON.stringify(personal)), { nonce }))
  const whole = new Uint8Array(nonce.length + sealed.length)
  whole.set(nonce)
  whole.set(sealed, nonce.length)
  return Base64.encode(whole)
})

/** The entry of a link; without its key, or with a wrong one, its actor is unknown. */
export const unseal = Effect.fnUntraced(function*({ body, hash }: Link, keys: ReadonlyMap<string, SubjectKey>) {
  const { key: id, sealed, ...open } = yield* decodeBody(body)
  const kept = keys.get(id)
  const personal = kept === undefined
    ? { principal: null }
    : yield* Effect.orElseSucceed(openSealed(sealed, kept), () => ({ principal: null }))
  return { ...open, hash, ...personal } satisfies Recorded
})

const openSealed = Effect.fnUntraced(function*(sealed: string, kept: SubjectKey) {
  const whole = yield* Effect.fromResult(Base64.decode(sealed))
  const { key } = yield* openKey(kept)
  const aead = yield* Aead.Aead
  const [nonce, rest] = [whole.slice(0, algorithm.nonceLength), whole.slice(algorithm.nonceLength)]
  return yield* decodePersonal(new TextDecoder().decode(yield* aead.decrypt(key, rest, { nonce })))
})

/** Gives sealed entries the places that follow `after`. */
export const chain = Effect.fnUntraced(function*(after: ChainHead, sealed: ReadonlyArray<string>) {
  const links: Array<Link> = []
  let { hash, seq } = after
  for (const one of sealed) {
    const body = `{"seq":${++seq},${one.slice(1)}`
    hash = yield* hashOf(hash, body)
    links.push({ seq, hash, body })
  }
  return links
})

export const hashOf = (previous: string, body: string): Effect.Effect<string, never, Digest.Digest> =>
  Digest.Digest.use((digest) => digest.digestHex(Digest.sha256, text.encode(`${previous}\n${body}`)))
