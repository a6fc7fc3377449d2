// Decides whether a request may reach the app at all, before authentication: who is connected to an open app, which host
// name was called, and which page calls.
import { Option } from "effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as NetAddress from "effect/net/NetAddress"
import type { PublicAddress } from "../../internal/publicAddress.ts"
import { type Arriving, hostnameOf, hostOf } from "./addressOf.ts"
import { memoized } from "./memoized.ts"
import { addressOf, type Settings } from "./settings.ts"

/** The rule that refuses a request; `local` is the rule of an app without an auth layer. */
export type Rule = "local" | "host" | "origin"

interface Options {
  readonly settings: Settings
  /** The app has no auth layer, so every caller is the local user. */
  readonly open: boolean
  /** The server under the mount listens on a loopback address. */
  readonly onLoopback: boolean
  readonly acceptsUnknownPeers: boolean
}

export const makeGuard = ({ acceptsUnknownPeers, onLoopback, open, settings }: Options) => {
  const isKnownHost = (host: string) => isLoopbackName(host) || settings.hosts.has(host)
  const checksHost = open || onLoopback
  return (request: Arriving, address: PublicAddress): Rule | undefined => {
    const { headers } = request
    const peer = Option.getOrUndefined(request.peerAddress)
    if (open && !isLocal(peer, headers["x-forwarded-for"], acceptsUnknownPeers)) return "local"
    const host = hostOf(headers["host"])
    if (checksHost && !(host !== undefined && isKnownHost(hostnameOf(host))) && (open || !settings.isProxy(peer))) {
      return open ? "local" : "host"
    }
    // A proxy of this machine may pass on a foreign name that was pointed at it.
    if (open && !isKnownHost(hostnameOf(address.origin.slice(address.origin.indexOf("//") + 2)))) return "local"
    const { origin } = headers
    if (origin === undefined || settings.corsOrigins.has(origin)) return undefined
    return isOwn(origin, host, address) ? undefined : "origin"
  }
}

export const peerOf = ({ peerAddress }: HttpServerRequest): string | undefined => Option.getOrUndefined(peerAddress)

/** Whether a request for an open app comes from its own machine, through no proxy that serves others. */
const isLocal = (peer: string | undefined, forwardedFor: string | undefined, acceptsUnknownPeers: boolean): boolean =>
  (peer === undefined ? acceptsUnknownPeers : isLoopback(peer)) &&
  (forwardedFor === undefined || forwardedFor.split(",").every((one) => isLoopback(one.trim())))

const isLoopback = memoized((peer) => {
  const address = addressOf(peer)
  return address !== undefined && NetAddress.isLoopback(address)
})

const isLoopbackName = (name: string) => name === "localhost" || name === "[::1]" || /^127(?:\.\d{1,3}){3}$/u.test(name)

/** Whether a name or an address that a server listens on is its own machine alone. */
export const isLoopbackHost = (host: string) => isLoopbackName(host) || isLoopback(host)

/**
 * A page is the app's own if its host is the one that was called. The scheme is not compared, because a proxy may end TLS.
 * An opaque origin (`null`) is no page of the app.
 */
const isOwn = (origin: string, host: string | undefined, address: PublicAddress): boolean => {
  const own = hostOfOrigin(origin)
  return own !== "" && (own === host || origin === address.origin)
}

/** The host of an origin; empty for a text that is not an origin. */
const hostOfOrigin = memoized((origin) => {
  const url = URL.canParse(origin) ? new URL(origin) : undefined
  return url?.origin === origin ? url.host : ""
})
