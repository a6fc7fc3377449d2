/**
 * The way out for push notifications: without it, A2A serves none.
 *
 * @since 0.1.0
 */
import * as Sealing from "@fastagentic/core/base/Sealing"
import { Context, Effect, Layer, type Redacted } from "effect"
import * as HttpClient from "effect/http/HttpClient"

/** @category options @since 0.1.0 */
export interface Options {
  /**
   * Secrets that seal the credentials of callers in the store: the first seals, and any of them opens, so that a new one is
   * put in front of the old one.
   */
  readonly secrets: readonly [Redacted.Redacted, ...ReadonlyArray<Redacted.Redacted>]
  /** Accepts http addresses, for development. The client decides which networks are reached. */
  readonly insecure?: boolean | undefined
  /** How often a delivery is tried before its target is dead; 12 by default, which takes about 8 hours. */
  readonly attempts?: number | undefined
  /** The time before the second try, in milliseconds, which doubles with each; 1,000 by default. */
  readonly firstPauseMillis?: number | undefined
}

/**
 * Push notifications on a given `HttpClient`, which has to refuse addresses of internal networks: `Egress` does.
 *
 * @category services
 * @since 0.1.0
 */
export class PushSender extends Context.Service<PushSender, {
  readonly client: HttpClient.HttpClient
  readonly secrets: Sealing.Sealing
  readonly insecure: boolean
  readonly attempts: number
  readonly firstPauseMillis: number
}>()("@fastagentic/protocols/a2a/PushSender") {
  /** @since 0.1.0 */
  static readonly layer = (
    { attempts = 12, firstPauseMillis = 1_000, insecure = false, secrets }: Options
  ): Layer.Layer<PushSender, never, HttpClient.HttpClient> =>
    Layer.effect(
      PushSender,
      Effect.gen(function*() {
        const client = yield* HttpClient.HttpClient
        return { client, secrets: yield* Sealing.make("push", secrets), insecure, attempts, firstPauseMillis }
      })
    )
}
