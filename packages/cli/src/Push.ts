/**
 * Push notifications of `fastagentic run`: the variables `FASTAGENTIC_PUSH_SECRET` and `FASTAGENTIC_PUSH_ALLOW`, as a layer.
 *
 * @since 0.1.0
 */
import { Egress } from "@fastagentic/adapters/egress"
import { PushReceiver, PushSender } from "@fastagentic/protocols/a2a"
import { Config, Effect, Layer, Redacted, Schema } from "effect"

/** The secret is short enough to be guessed. @category errors @since 0.1.0 */
export class WeakPushSecret extends Schema.TaggedError<WeakPushSecret>()("WeakPushSecret", {}) {
  override get message() {
    return "FASTAGENTIC_PUSH_SECRET needs at least 32 characters, such as those of `openssl rand -base64 32`"
  }
}

/** @category options @since 0.1.0 */
export interface Options extends PushSender.Options {
  /** Addresses and networks that may be reached though they are not public, also over http; for development. */
  readonly allow?: ReadonlyArray<string> | undefined
}

/**
 * Push notifications that reach the public network only, and follow no redirects.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = ({ allow = [], ...options }: Options): Layer.Layer<PushSender.PushSender, Egress.UnknownNetwork> =>
  PushSender.PushSender.layer({ insecure: allow.length > 0, ...options }).pipe(
    Layer.provide(Egress.layer({ allow, maxRedirects: 0, timeout: "15 seconds", maxResponseSize: 65_536 }))
  )

/**
 * The layer of the environment: without `FASTAGENTIC_PUSH_SECRET` nothing is pushed. Several secrets, separated by commas, are
 * a new one and those before it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig: Layer.Layer<never, Config.ConfigError | Egress.UnknownNetwork | WeakPushSecret> = Layer
  .unwrap(
    Effect.gen(function*() {
      const secrets = yield* secretsConfig
      const allow = listOf(yield* Config.withDefault(Config.String("FASTAGENTIC_PUSH_ALLOW"), ""))
      return secrets === undefined ? Layer.empty : layer({ secrets, allow })
    })
  )

/**
 * The receiver of notifications about tasks of remote agents, for an app whose public address is known: with
 * `FASTAGENTIC_PUSH_SECRET`.
 *
 * @category layers
 * @since 0.1.0
 */
export const receiverConfig = (
  publicUrl: string | undefined
): Layer.Layer<never, Config.ConfigError | WeakPushSecret> =>
  publicUrl === undefined ? Layer.empty : Layer.unwrap(
    Effect.map(
      secretsConfig,
      (secrets) => secrets === undefined ? Layer.empty : PushReceiver.layer({ url: publicUrl, secrets })
    )
  )

const secretsConfig = Effect.gen(function*() {
  const given = yield* Config.withDefault(Config.Redacted("FASTAGENTIC_PUSH_SECRET"), Redacted.make(""))
  const [first, ...others] = listOf(Redacted.value(given))
  if (first === undefined) return undefined
  if ([first, ...others].some(({ length }) => length < 32)) return yield* new WeakPushSecret()
  return [Redacted.make(first), ...others.map((secret) => Redacted.make(secret))] as const
})

const listOf = (text: string) => text.split(",").map((part) => part.trim()).filter((part) => part !== "")
