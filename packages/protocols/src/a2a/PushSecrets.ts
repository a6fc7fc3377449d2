// Seals credentials of push configurations for the store: AES-256-GCM under a key that is derived from a secret of the operator,
// bound to the target that they belong to. PushSender has one.
import { Effect, Option, Redacted } from "effect"
import * as Base64Url from "effect/encoding/Base64Url"

export interface PushSecrets {
  readonly seal: (text: string, about: string) => Effect.Effect<string>
  /** Nothing when no secret of this server has sealed it for this target. */
  readonly open: (sealed: string, about: string) => Effect.Effect<string | undefined>
}

interface Key {
  readonly id: string
  readonly key: CryptoKey
}

const { subtle } = globalThis.crypto
const bytesOf = (text: string) => new TextEncoder().encode(text)

const derive = (secret: Redacted.Redacted): Effect.Effect<Key> =>
  Effect.promise(async () => {
    const material = await subtle.importKey("raw", bytesOf(Redacted.value(secret)), "HKDF", false, [
      "deriveBits",
      "deriveKey"
    ])
    const parameters = (info: string) => ({
      name: "HKDF",
      hash: "SHA-256",
      salt: new Uint8Array(32),
      info: bytesOf(`fastagentic push ${info}`)
    })
    const id = await subtle.deriveBits(parameters("id"), material, 64)
    const key = await subtle.deriveKey(parameters("key"), material, { name: "AES-GCM", length: 256 }, false, [
      "encrypt",
      "decrypt"
    ])
    return { id: Base64Url.encode(new Uint8Array(id)), key }
  })

export const make = (secrets: readonly [Redacted.Redacted, ...ReadonlyArray<Redacted.Redacted>]) =>
  Effect.map(
    Effect.all([derive(secrets[0]), Effect.forEach(secrets, derive)]),
    ([first, all]): PushSecrets => ({
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
