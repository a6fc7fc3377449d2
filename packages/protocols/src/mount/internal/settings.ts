// Checks the options of a mount once, at start; an invalid option stops the start and is named.
import { Duration, Effect, Result, Schema } from "effect"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import { RequestLimits } from "../../internal/requestLimits.ts"
import type { Guards, Options } from "../Mount.ts"
import { memoized } from "./memoized.ts"

/** An option of a mount is invalid. @category errors @since 0.1.0 */
export class InvalidMount extends Schema.TaggedError<InvalidMount>()("InvalidMount", {
  option: Schema.String,
  value: Schema.String,
  expected: Schema.String
}) {
  override get message() {
    return `the option ${this.option} of the mount is "${this.value}", but it must be ${this.expected}`
  }
}

export interface Settings {
  readonly prefix: `/${string}`
  readonly publicUrl: URL | undefined
  readonly corsOrigins: ReadonlySet<string>
  readonly hosts: ReadonlySet<string>
  readonly isProxy: (peer: string | undefined) => boolean
  readonly limits: RequestLimits
}

const names: { readonly [Name in keyof Required<Options>]: true } = {
  prefix: true,
  publicUrl: true,
  cors: true,
  guards: true,
  protocols: true,
  bodyLimit: true,
  bodyTimeout: true,
  wait: true,
  grace: true,
  credentialCheck: true,
  longestDelay: true
}

const guardNames: { readonly [Name in keyof Required<Guards>]: true } = {
  hosts: true,
  proxies: true,
  unknownPeers: true
}

/** Types find a misspelt option only where the options stand in the call, and not at all in JavaScript. */
const checkNames = (given: object, known: object, place: string) => {
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(known, name))
  return unknown === undefined
    ? Effect.void
    : invalid(`${place}${unknown}`, "not known", `one of ${Object.keys(known).join(", ")}`)
}

export const settingsOf = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<Settings, InvalidMount> {
  yield* checkNames(options, names, "")
  yield* checkNames(options.guards ?? {}, guardNames, "guards.")
  const { hosts = [], proxies = [] } = options.guards ?? {}
  const prefix = yield* prefixOf(options.prefix ?? "/")
  const publicUrl = options.publicUrl === undefined ? undefined : yield* publicUrlOf(options.publicUrl)
  const { bodyBytes, bodyMillis, waitMillis } = yield* RequestLimits
  const networks = yield* Effect.forEach(proxies, networkOf)
  const isListed = memoized((peer) => {
    const address = addressOf(peer)
    return address !== undefined && networks.some((network) => IpNetwork.contains(network, address))
  })
  return {
    prefix,
    publicUrl,
    corsOrigins: new Set(yield* Effect.forEach(options.cors ?? [], originOf)),
    hosts: new Set([
      ...yield* Effect.forEach(hosts, hostOf),
      ...publicUrl === undefined ? [] : [publicUrl.hostname]
    ]),
    limits: {
      bodyBytes: options.bodyLimit ?? bodyBytes,
      bodyMillis: options.bodyTimeout === undefined
        ? bodyMillis
        : Duration.toMillis(Duration.fromInputUnsafe(options.bodyTimeout)),
      waitMillis: options.wait === undefined ? waitMillis : Duration.toMillis(Duration.fromInputUnsafe(options.wait))
    },
    isProxy: (peer) => peer !== undefined && isListed(peer)
  }
})

/** The IP address in a text; an IPv4 address that is mapped to IPv6 is the IPv4 address. */
export const addressOf = (text: string): NetAddress.IpAddress | undefined =>
  Result.getOrUndefined(NetAddress.ipFromString(text.replace(/^::ffff:(?=\d+\.)/iu, "")))

const invalid = (option: string, value: string, expected: string) =>
  Effect.fail(new InvalidMount({ option, value, expected }))

const prefixOf = (prefix: string): Effect.Effect<`/${string}`, InvalidMount> => {
  const path: `/${string}` = `/${prefix.slice(1)}`
  return path === prefix && /^(\/|(\/[\w.~-]+)+)$/u.test(prefix)
    ? Effect.succeed(path)
    : invalid("prefix", prefix, "a path such as /agents, without a slash at its end")
}

const publicUrlOf = (text: string): Effect.Effect<URL, InvalidMount> => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isBare = url !== undefined && url.search === "" && url.hash === "" && url.username === "" && url.password === ""
  return isBare && /^https?:$/u.test(url.protocol)
    ? Effect.succeed(url)
    : invalid(
      "publicUrl",
      url === undefined ? text : "…",
      "an http or https URL without credentials, query and fragment"
    )
}

/** Origins are named one by one: a wildcard would let every page use the server. */
const originOf = (text: string): Effect.Effect<string, InvalidMount> =>
  URL.canParse(text) && new URL(text).origin === text && /^https?:/u.test(text)
    ? Effect.succeed(text)
    : invalid("cors", text, "a list of origins such as https://app.example.com; a wildcard is not an origin")

const hostOf = (text: string): Effect.Effect<string, InvalidMount> =>
  URL.canParse(`http://${text}`) && new URL(`http://${text}`).hostname === text.toLowerCase()
    ? Effect.succeed(text.toLowerCase())
    : invalid("guards.hosts", text, "a list of host names without ports")

const networkOf = (text: string): Effect.Effect<IpNetwork.IpNetwork, InvalidMount> => {
  const address = addressOf(text)
  const network = address === undefined
    ? Result.getOrUndefined(IpNetwork.fromString(text))
    : IpNetwork.fromAddressUnsafe(address, NetAddress.width(address))
  return network === undefined
    ? invalid("guards.proxies", text, "a list of IP addresses and networks such as 10.0.0.0/8")
    : Effect.succeed(network)
}
