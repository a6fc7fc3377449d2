/**
 * The address at which remote agents notify this app of the tasks that it has given them.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Redacted } from "effect"
import * as Base64Url from "effect/encoding/Base64Url"

/** @category options @since 0.1.0 */
export interface Options {
  /** The public address of the app with its path, such as `https://agents.example.com`. */
  readonly url: string
  /** Secrets of at least 32 characters, shared by all nodes: the first makes tokens, and any of them knows its own. */
  readonly secrets: readonly [Redacted.Redacted, ...ReadonlyArray<Redacted.Redacted>]
}

/** @category services @since 0.1.0 */
export interface Receiver {
  /** The address for a run, which its token belongs to. */
  readonly addressOf: (runId: string) => Effect.Effect<{ readonly url: string; readonly token: string }>
  readonly isToken: (runId: string, token: string) => Effect.Effect<boolean>
}

/** The path of the addresses, below that of the app. @category constants @since 0.1.0 */
export const path = "/a2a/.push"

/** The tasks of remote agents are read again and again without it. @category services @since 0.1.0 */
export const PushReceiver: Context.Reference<Receiver | undefined> = Context.Reference<Receiver | undefined>(
  "@fastagentic/protocols/a2a/PushReceiver",
  { defaultValue: () => undefined }
)

const { subtle } = globalThis.crypto
const bytesOf = (text: string) => new TextEncoder().encode(text)
const about = (runId: string) => bytesOf(`fastagentic push to ${runId}`)
/** A remote agent sees tokens, by which it could guess a shorter secret. */
const shortest = 32
const algorithm = { name: "HMAC", hash: "SHA-256" }

/**
 * Receives notifications of remote tasks: provide it to the layers of remote agents and to the server.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<never> => Layer.effect(PushReceiver, make(options))

const make = Effect.fnUntraced(function*({ secrets, url }: Options): Effect.fn.Return<Receiver> {
  if (secrets.some((secret) => Redacted.value(secret).length < shortest)) {
    return yield* Effect.die(new Error(`a secret of PushReceiver has to have ${shortest} characters at least`))
  }
  const keyOf = (secret: Redacted.Redacted) =>
    Effect.promise(() => subtle.importKey("raw", bytesOf(Redacted.value(secret)), algorithm, false, ["sign", "verify"]))
  const first = yield* keyOf(secrets[0])
  const keys = [first, ...yield* Effect.forEach(secrets.slice(1), keyOf)]
  return {
    addressOf: (runId) =>
      Effect.map(Effect.promise(() => subtle.sign("HMAC", first, about(runId))), (signature) => ({
        url: `${url.replace(/\/+$/u, "")}${path}/${runId}`,
        token: Base64Url.encode(new Uint8Array(signature))
      })),
    isToken: Effect.fnUntraced(function*(runId, token) {
      const decoded = yield* Effect.orElseSucceed(Effect.fromResult(Base64Url.decode(token)), () => new Uint8Array())
      const signature = Uint8Array.from(decoded)
      for (const key of keys) {
        if (yield* Effect.promise(() => subtle.verify("HMAC", key, signature, about(runId)))) return true
      }
      return false
    })
  }
})
