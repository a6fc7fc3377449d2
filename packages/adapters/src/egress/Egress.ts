/**
 * An HTTP client for URLs that a caller or a model can influence.
 *
 * @since 0.1.0
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { HostLookup, HostRefused } from "@fastagentic/core/base/HostLookup"
import { Context, Duration, Effect, Layer, Schema } from "effect"
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
  /** Addresses and networks that may be reached even though they are not public. */
  readonly allow?: ReadonlyArray<string> | undefined
  /** The time limit of one exchange, from the connection to the last byte. Default 30 seconds; each redirect has its own. */
  readonly timeout?: Duration.Input | undefined
  /** The most bytes of a response body on the wire. Default 10 MiB. */
  readonly maxResponseSize?: number | undefined
  /** The most redirects. Default 5. */
  readonly maxRedirects?: number | undefined
  /** Resolves all addresses of a name. Default: the system's resolver. */
  readonly resolve?: ((hostname: string) => Promise<ReadonlyArray<LookupAddress>>) | undefined
}

/**
 * A client that reaches only the public network: no private, loopback, link-local, shared or reserved address, in any
 * notation, by name or by redirect.
 *
 * **Details**
 *
 * A refused request fails as `HttpClientError` with an `EgressRefused` as the cause of its reason. Another origin that a
 * redirect leads to receives neither credentials nor a body. Nothing is decompressed, and the proxies of the environment
 * are not used. Connections of gRPC, which no `HttpClient` carries, get the addresses of their hosts by the same rules
 * (`HostLookup`).
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<HttpClient.HttpClient, UnknownNetwork> =>
  Layer.effectContext(
    Effect.gen(function*() {
      const isAllowed = makeAllowed(options.allow ?? [])
      if (isAllowed === undefined) return yield* new UnknownNetwork({ allow: options.allow ?? [] })
      const resolve = options.resolve ?? ((hostname) => lookup(hostname, { all: true }))
      const dispatcher = yield* makeDispatcher({
        isAllowed,
        resolve,
        // A timer of Node fires at once for a longer time, and for an infinite one.
        millis: Math.min(2 ** 31 - 1, Duration.toMillis(options.timeout ?? "30 seconds")),
        bytes: options.maxResponseSize ?? 10 * 1_048_576
      })
      const client = yield* Effect.provideService(
        NodeHttpClient.makeUndici,
        NodeHttpClient.Dispatcher,
        dispatcher
      )
      // Trace headers are not sent to third parties.
      const safe = HttpClient.transformResponse(
        followSafely(client, options.maxRedirects ?? 5),
        Effect.provideService(HttpClient.TracerPropagationEnabled, false)
      )
      const addressesOf = Effect.fnUntraced(function*(hostname: string) {
        const answers = yield* Effect.orElseSucceed(Effect.tryPromise(() => resolve(hostname)), () => [])
        if (answers.every(({ address }) => isAllowed(address))) return answers.map(({ address }) => address)
        return yield* new HostRefused({ rule: "address", reason: `${hostname} is not on the public network` })
      })
      return Context.make(HttpClient.HttpClient, safe).pipe(Context.add(HostLookup, addressesOf))
    })
  )
