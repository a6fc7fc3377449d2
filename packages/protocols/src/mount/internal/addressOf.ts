// Finds the public address of a request: from the headers of a trusted proxy, else from `publicUrl`, else from the
// request's own host. Headers of other peers are ignored, because anyone can send them.
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { PublicAddress } from "../../internal/publicAddress.ts"
import { memoized } from "./memoized.ts"
import type { Settings } from "./settings.ts"

/** The part of a request that the entrance looks at. */
export type Arriving = Pick<HttpServerRequest, "headers" | "peerAddress" | "source">

export const makeAddressOf = ({ isProxy, prefix, publicUrl }: Settings) =>
(
  request: Arriving,
  peer: string | undefined
): PublicAddress => {
  const mount = prefix === "/" ? "" : prefix
  const own = `${isEncrypted(request) ? "https" : "http"}://${hostOf(request.headers["host"]) ?? "localhost"}`
  const [origin, path] = publicUrl === undefined
    ? [own, mount]
    : [publicUrl.origin, publicUrl.pathname.replace(/\/+$/u, "")]
  const forwarded = isProxy(peer) ? forwardedOf(request.headers) : undefined
  if (forwarded === undefined) return { origin, path }
  const known = new URL(origin)
  return {
    origin: `${forwarded.proto ?? known.protocol.slice(0, -1)}://${forwarded.host ?? known.host}`,
    path: forwarded.prefix === undefined ? path : `${forwarded.prefix}${mount}`
  }
}

interface Forwarded {
  readonly proto: string | undefined
  readonly host: string | undefined
  readonly prefix: string | undefined
}

type Headers = { readonly [name: string]: string | undefined }

/** The values of the nearest proxy, which are the last ones; nothing when it sends none. */
const forwardedOf = (headers: Headers): Forwarded | undefined => {
  const last = (name: string) => headers[name]?.split(",").at(-1)?.trim()
  const proto = last("x-forwarded-proto")?.toLowerCase()
  const prefix = last("x-forwarded-prefix")?.replace(/\/+$/u, "")
  const forwarded = {
    proto: proto === "http" || proto === "https" ? proto : undefined,
    host: hostOf(last("x-forwarded-host")),
    prefix: prefix !== undefined && /^(\/(?!(?:\.|%2e){1,2}(?:\/|$))[\w.~%-]+)*$/iu.test(prefix) ? prefix : undefined
  }
  return Object.values(forwarded).every((value) => value === undefined) ? undefined : forwarded
}

/** A host with its port, in the form of a URL; nothing for any other text. */
export const hostOf = (text: string | undefined): string | undefined =>
  text === undefined ? undefined : parseHost(text).host || undefined

/** A host's name without its port; empty for a text that is no host. */
export const hostnameOf = (host: string): string => parseHost(host).hostname

const parseHost = memoized((text) => {
  const url = `http://${text}`
  const isHost = /^[\w.:[\]-]+$/u.test(text) && URL.canParse(url)
  const { host, hostname } = isHost ? new URL(url) : { host: "", hostname: "" }
  return { host, hostname }
})

/** Whether the request came over TLS, as far as its platform shows it. */
const isEncrypted = ({ source }: Arriving): boolean => {
  if (source instanceof Request) return source.url.startsWith("https:")
  const socket = "socket" in source ? source.socket : undefined
  return typeof socket === "object" && socket !== null && "encrypted" in socket && socket.encrypted === true
}
