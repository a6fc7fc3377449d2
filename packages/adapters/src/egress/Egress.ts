/**
 * The HTTP client for URLs that a caller or a model has a say in.
 *
 * @since 0.1.0
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Duration, Effect, Layer, Schema } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import type { LookupAddress } from "node:dns"
import { lookup } from "node:dns/promises"
import { EgressRefused } from "./EgressRefused.ts"
import { makeAllowed } from "./internal/addresses.ts"
import { makeDispatcher } from "./internal/dispatcher.ts"
import { followSafely } from "./internal/redirects.ts"

export { EgressRefused }

/** An entry of `allow` that is neither an address nor a network. @category errors @since 0.1.0 */
export class UnknownNetwork extends Schema.TaggedError<UnknownNetwork>()("UnknownNetwork", {
  allow: Schema.Array(Schema.String)
}) {
  override get message() {
    return `allow: [${this.allow.join(", ")}] has to be addresses such as 10.0.0.7 or networks such as 10.0.0.0/24`
  }
}

/** @category options @since 0.1.0 */
export interface Options {
  /** Addresses and networks that may be reached although they are not public. */
  readonly allow?: ReadonlyArray<string> | undefined
  /** For one exchange, from the connection to the last byte. Default 30 seconds; each redirect has its own. */
  readonly timeout?: Duration.Input | undefined
  /** Bytes of a response body as they come over the wire. Default 10 MiB. */
  readonly maxResponseSize?: number | undefined
  /** Default 5. */
  readonly maxRedirects?: number | undefined
  /** All addresses of a name. Default: what the system says. */
  readonly resolve?: ((hostname: string) => Promise<ReadonlyArray<LookupAddress>>) | undefined
}

/**
 * A client that reaches the public network and nothing else: no private, loopback, link-local, shared or reserved
 * address, however it is written, named or redirected to.
 *
 * **Details**
 *
 * What is refused fails as `HttpClientError` with an `EgressRefused` as the cause of its reason. Another origin that a
 * redirect leads to sees neither credentials nor a body. Nothing is decompressed, and the proxies of the environment
 * are not used.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<HttpClient.HttpClient, UnknownNetwork> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.gen(function*() {
      const isAllowed = makeAllowed(options.allow ?? [])
      if (isAllowed === undefined) return yield* new UnknownNetwork({ allow: options.allow ?? [] })
      const dispatcher = yield* makeDispatcher({
        isAllowed,
        resolve: options.resolve ?? ((hostname) => lookup(hostname, { all: true })),
        millis: Duration.toMillis(options.timeout ?? "30 seconds"),
        bytes: options.maxResponseSize ?? 10 * 1_048_576
      })
      const client = yield* Effect.provideService(
        NodeHttpClient.makeUndici,
        NodeHttpClient.Dispatcher,
        dispatcher
      )
      // Strangers learn nothing of our traces.
      return HttpClient.transformResponse(
        followSafely(client, options.maxRedirects ?? 5),
        Effect.provideService(HttpClient.TracerPropagationEnabled, false)
      )
    })
  )
