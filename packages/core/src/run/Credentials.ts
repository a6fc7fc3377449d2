/**
 * The credentials of a caller, before they are checked.
 *
 * @since 0.1.0
 */
import { Redacted } from "effect"

/**
 * Credentials as a transport found them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Credentials {
  readonly bearer?: Redacted.Redacted<string>
  readonly apiKey?: Redacted.Redacted<string>
  readonly forwarded?: Forwarded
  /** The peer address of the connection. */
  readonly peer?: string
}

/**
 * A proxy's statement about the TLS client that it checked. Any client can send the same: only an auth layer that knows
 * the proxy may believe it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Forwarded {
  /** The peer address of the connection. */
  readonly peer: string | undefined
  /** `X-Proxy-Secret`. */
  readonly secret: Redacted.Redacted<string> | undefined
  /** `Client-Cert` of RFC 9440. */
  readonly clientCert: string | undefined
  /** `X-Forwarded-Client-Cert`, as Envoy writes it. */
  readonly xfcc: string | undefined
}

/**
 * @category constants
 * @since 0.1.0
 */
export const none: Credentials = {}

/**
 * Reads `Authorization: Bearer …`, `X-API-Key` and what a proxy may have added from lower-case header names; `peer` is
 * the address of whoever is connected.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromHeaders = (
  headers: { readonly [name: string]: string | undefined },
  peer?: string | undefined
): Credentials => {
  const apiKey = headers["x-api-key"] || undefined
  const bearer = /^bearer +(\S+)$/iu.exec(headers["authorization"] ?? "")?.[1]
  const forwarded = forwardedOf(headers, peer)
  if (apiKey === undefined && bearer === undefined && forwarded === undefined) return none
  return {
    ...(bearer === undefined ? {} : { bearer: Redacted.make(bearer) }),
    ...(apiKey === undefined ? {} : { apiKey: Redacted.make(apiKey) }),
    ...(forwarded === undefined ? {} : { forwarded }),
    ...(peer === undefined ? {} : { peer })
  }
}

const forwardedOf = (
  headers: { readonly [name: string]: string | undefined },
  peer: string | undefined
): Forwarded | undefined => {
  const [clientCert, xfcc] = [headers["client-cert"], headers["x-forwarded-client-cert"]]
  if (clientCert === undefined && xfcc === undefined) return undefined
  const secret = headers["x-proxy-secret"]
  return { peer, secret: secret === undefined ? undefined : Redacted.make(secret), clientCert, xfcc }
}
