/**
 * Seals short secrets for a store: AES-256-GCM under a key that is derived from a secret of the operator.
 *
 * @since 0.1.0
 */
import { Effect, Option, Redacted } from "effect"
import * as Base64Url from "effect/encoding/Base64Url"

/** @category models @since 0.1.0 */
export interface Sealing {
  /** Binds the text to `about`: it opens for nothing else. */
  readonly seal: (text: string, about: string) => Effect.Effect<string>
  /** Nothing when none of the secrets has sealed it for this. */
  readonly open: (sealed: string, about: string) => Effect.Effect<string | undefined>
}

/** The first seals; the others, which were used before, open too. @category models @since 0.1.0 */
export type Secrets = readonly [Redacted.Redacted, ...ReadonlyArray<Redacted.Redacted>]

interface Key {
  readonly id: string
  readonly key: CryptoKey
}

const { subtle } = globalThis.crypto
const bytesOf = (text: string) => new TextEncoder().encode(text)

const derive = (purpose: string, secret: Redacted.Redacted): Effect.Effect<Key> =>
  Effect.promise(async () => {
    const material = await subtle.importKey("raw", bytesOf(Redacted.value(secret)), "HKDF", false, [
      "deriveBits",
      "deriveKey"
    ])
    const parameters = (info: string) => ({
      name: "HKDF",
      hash: "SHA-256",
      salt: new Uint8Array(32),
      info: bytesOf(`fastagentic ${purpose} ${info}`)
    })
    const id = await subtle.deriveBits(parameters("id"), material, 64)
    const key = await subtle.deriveKey(parameters("key"), material, { name: "AES-GCM", length: 256 }, false, [
      "encrypt",
      "decrypt"
    ])
    return { id: Base64Url.encode(new Uint8Array(id)), key }
  })

/**
 * Makes the keys of one purpose: what is sealed for another does not open.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (purpose: string, secrets: Secrets): Effect.Effect<Sealing> =>
  Effect.map(
    Effect.all([derive(purpose, secrets[0]), Effect.forEach(secrets, (secret) => derive(purpose, secret))]),
    ([first, all]): Sealing => ({
      seal: (text, about) =>
        Effect.promise(async () => {
          const iv = globalThis.crypto.getRandomValues(new Uint8Array(12))
          const sealed = await subtle.encrypt(
            { name: "AES-GCM", iv, additionalData: bytesOf(about) },
            first.key,
            bytesOf(text)
          )
          return [first.id, Base64Url.encode(iv), Base64Url.encode(new Uint8Array(sealed))].join(".")
        }),
      open: (sealed, about) => {
        const [id, iv = "", body = ""] = sealed.split(".")
        const known = all.find((key) => key.id === id)
        const [start, bytes] = [iv, body].map((part) =>
          Option.getOrUndefined(Option.getSuccess(Base64Url.decode(part)))
        )
        if (known === undefined || start === undefined || bytes === undefined) return Effect.undefined
        const additionalData = bytesOf(about)
        return Effect.tryPromise(() =>
          subtle.decrypt(
            { name: "AES-GCM", iv: Uint8Array.from(start), additionalData },
            known.key,
            Uint8Array.from(bytes)
          )
        ).pipe(
          Effect.map((plain) => new TextDecoder().decode(plain)),
          Effect.orElseSucceed(() => undefined)
        )
      }
    })
  )
