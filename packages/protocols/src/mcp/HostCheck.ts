// The check of `Host` and `Origin` in front of MCP over HTTP.
import { Effect, Option } from "effect"
import * as HttpServer from "effect/http/HttpServer"
import * as NetAddress from "effect/net/NetAddress"

/** The reason to refuse a request with these headers, if any. */
export type HostCheck = (headers: { readonly [name: string]: string | undefined }) => string | undefined

/**
 * A page may call a server of its own host, or one on its own machine. A server that listens on the loopback interface
 * answers to local names only, which prevents DNS rebinding; `hosts` are further names, such as those of a proxy.
 */
export const make = (hosts: ReadonlyArray<string>): Effect.Effect<HostCheck> =>
  Effect.map(Effect.serviceOption(HttpServer.HttpServer), (server) => {
    const local = Option.isSome(server) && isLoopback(server.value.address)
    const known = new Set([...loopbackNames, ...hosts])
    return ({ host, origin }) => {
      if (local && !known.has(hostnameOf(`http://${host}`) ?? "")) return "This host is not served here"
      if (origin === undefined || known.has(hostnameOf(origin) ?? "")) return undefined
      return hostOf(origin) === host ? undefined : "This origin may not call this server"
    }
  })

const loopbackNames = ["localhost", "127.0.0.1", "[::1]"]

const isLoopback = (address: NetAddress.SocketAddress) =>
  NetAddress.isInetAddress(address) && NetAddress.isLoopback(address.address)

const urlOf = (text: string) => URL.canParse(text) ? new URL(text) : undefined

const hostnameOf = (text: string) => urlOf(text)?.hostname

const hostOf = (text: string) => urlOf(text)?.host
