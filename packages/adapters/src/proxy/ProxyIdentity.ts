/**
 * Authenticates callers by the TLS client certificates that a proxy forwards.
 *
 * @since 0.1.0
 */
import { Auth } from "@fastagentic/core/door/Auth"
import type { Forwarded } from "@fastagentic/core/run/Credentials"
import type { Principal } from "@fastagentic/core/run/Principal"
import { Unauthenticated } from "@fastagentic/core/run/RunError"
import { Clock, Effect, Layer, Redacted, Schema } from "effect"
import { timingSafeEqual } from "node:crypto"
import { BlockList, isIP, isIPv6 } from "node:net"
import type { Certificate } from "./Certificate.ts"
import { fromClientCert } from "./internal/clientCert.ts"
import { fromXfcc } from "./internal/xfcc.ts"

/** The options do not identify the proxy. @category errors @since 0.1.0 */
export class UnknownProxy extends Schema.TaggedError<UnknownProxy>()("UnknownProxy", { problem: Schema.String }) {
  override get message() {
    return `the proxy that forwards client certificates: ${this.problem}`
  }
}

/**
 * How the proxy is identified: by its address, by a secret that it adds as `X-Proxy-Secret`, or, with both, by both.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** Addresses, such as `10.0.0.7`, or networks, such as `10.0.0.0/24`, from which proxies connect. */
  readonly addresses?: ReadonlyArray<string> | undefined
  /** The secret that the proxy sends, of at least 16 characters. */
  readonly secret?: Redacted.Redacted<string> | undefined
  /** The one header that the proxy sets, replacing any value of the client. Default `client-cert`. */
  readonly header?: "client-cert" | "x-forwarded-client-cert" | undefined
  /** Maps a certificate to a principal; `undefined` refuses it. */
  readonly principal: (certificate: Certificate) => Principal | undefined
}

/**
 * Accepts the client certificate that a known proxy forwards, `Client-Cert` of RFC 9440 or Envoy's
 * `X-Forwarded-Client-Cert`; from any other peer the header is ignored.
 *
 * **Gotchas**
 *
 * The proxy has to verify certificates against its authorities, and to remove the header from clients' requests.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Auth, UnknownProxy> =>
  Layer.effect(
    Auth,
    Effect.gen(function*() {
      const isProxy = yield* trusted(options)
      const read = options.header === "x-forwarded-client-cert"
        ? ({ xfcc }: Forwarded, now: number) => xfcc === undefined ? undefined : fromXfcc(xfcc, now)
        : ({ clientCert }: Forwarded, now: number) =>
          clientCert === undefined ? undefined : fromClientCert(clientCert, now)
      const shows = ({ clientCert, xfcc }: Forwarded) =>
        (options.header === "x-forwarded-client-cert" ? xfcc : clientCert) !== undefined

      return {
        open: false,
        schemes: ["mutualTls"],
        authenticate: Effect.fnUntraced(function*({ forwarded }) {
          if (forwarded === undefined || !shows(forwarded) || !isProxy(forwarded)) {
            return yield* new Unauthenticated({ reason: "a client certificate is required" })
          }
          const certificate = read(forwarded, yield* Clock.currentTimeMillis)
          if (certificate === undefined) {
            return yield* new Unauthenticated({ reason: "the client certificate cannot be read or is not in force" })
          }
          const principal = options.principal(certificate)
          return principal ?? (yield* new Unauthenticated({ reason: "no principal matches this client certificate" }))
        })
      }
    })
  )

const trusted = Effect.fnUntraced(function*({ addresses, secret }: Options) {
  if (addresses === undefined && secret === undefined) {
    return yield* new UnknownProxy({ problem: "it is known by addresses, by a secret, or by both" })
  }
  if (secret !== undefined && Redacted.value(secret).length < 16) {
    return yield* new UnknownProxy({ problem: "a secret has at least 16 characters" })
  }
  const list = new BlockList()
  for (const entry of addresses ?? []) {
    if (!add(list, entry)) return yield* new UnknownProxy({ problem: `"${entry}" is not an address or a network` })
  }
  return ({ peer, secret: shown }: Forwarded) =>
    (addresses === undefined || (peer !== undefined && isListed(list, peer))) &&
    (secret === undefined || (shown !== undefined && isSame(secret, shown)))
})

const add = (list: BlockList, entry: string): boolean => {
  const [address = "", length, ...rest] = entry.split("/")
  if (isIP(address) === 0 || rest.length > 0) return false
  const family = isIPv6(address) ? "ipv6" : "ipv4"
  if (length === undefined) {
    list.addAddress(address, family)
    return true
  }
  if (!/^\d{1,3}$/u.test(length) || Number(length) > (family === "ipv6" ? 128 : 32)) return false
  list.addSubnet(address, Number(length), family)
  return true
}

/** A server that listens on IPv6 sees an IPv4 peer as `::ffff:10.0.0.7`. */
const isListed = (list: BlockList, peer: string) => {
  const plain = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/iu.exec(peer)?.[1] ?? peer
  return isIP(plain) !== 0 && list.check(plain, isIPv6(plain) ? "ipv6" : "ipv4")
}

const isSame = (one: Redacted.Redacted<string>, other: Redacted.Redacted<string>) => {
  const [expected, shown] = [Buffer.from(Redacted.value(one)), Buffer.from(Redacted.value(other))]
  return expected.length === shown.length && timingSafeEqual(expected, shown)
}
