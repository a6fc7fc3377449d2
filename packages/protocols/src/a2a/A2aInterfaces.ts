// Chooses the interface of a card that a remote agent is called at, for A2aClient. Requests have credentials, so a card leads to
// its own origin or to one that is allowed; the origin of gRPC also says whether it has TLS.
import { decoder } from "@fastagentic/core/base/Validation"
import { Effect, Schema } from "effect"
import { RemoteRefused } from "./A2aClientError.ts"
import type { Place } from "./A2aClientWire.ts"

const Text = Schema.String

/** The parts of a card that this client uses, in both versions: all others may be of any form. */
export const decodeCard = decoder(
  Schema.Struct({
    supportedInterfaces: Schema.optionalKey(Schema.Array(Schema.Struct({
      url: Text,
      protocolBinding: Text,
      protocolVersion: Text,
      tenant: Schema.optionalKey(Text)
    }))),
    url: Schema.optionalKey(Text),
    preferredTransport: Schema.optionalKey(Text),
    protocolVersion: Schema.optionalKey(Text),
    additionalInterfaces: Schema.optionalKey(Schema.Array(Schema.Struct({ url: Text, transport: Text }))),
    capabilities: Schema.optionalKey(Schema.Struct({ pushNotifications: Schema.optionalKey(Schema.Boolean) }))
  }),
  "ignore"
)

type Card = Effect.Success<ReturnType<typeof decodeCard>>

interface Interface {
  readonly url: string
  readonly binding: string
  readonly version: string
  readonly tenant: string
}

/** The interfaces of a card in its order, those of version 1.0 before those of 0.3. */
const interfacesOf = (card: Card): ReadonlyArray<Interface> => {
  const { additionalInterfaces = [], preferredTransport = "JSONRPC", protocolVersion = "", supportedInterfaces, url } =
    card
  const all = supportedInterfaces?.map(({ protocolBinding, protocolVersion, tenant = "", url }) => ({
    url,
    binding: protocolBinding,
    version: protocolVersion,
    tenant
  })) ??
    [...url === undefined ? [] : [{ url, transport: preferredTransport }], ...additionalInterfaces]
      .map(({ transport, url }) => ({ url, binding: transport, version: protocolVersion, tenant: "" }))
  return [
    ...all.filter(({ version }) => version.startsWith("1.")),
    ...all.filter(({ version }) => /^0\.3(?:\.|$)/u.test(version))
  ]
}

/** The addresses by which an interface may be called; gRPC is named by its host and port, with and without TLS. */
const addressesOf = (binding: string, url: string): ReadonlyArray<string> => {
  if (binding !== "GRPC") return [url]
  const [, host] = /^(?:dns:\/{0,3}|grpcs?:\/\/)?(\[[\da-f:.]+\](?::\d+)?|[^[\]:/?#@\s\\]+(?::\d+)?)$/iu.exec(url) ?? []
  return host === undefined ? [url] : [`https://${host}`, `http://${host}`]
}

/**
 * The first interface that this client speaks: of a binding alone where one is asked for. Over gRPC the path of an address says
 * nothing.
 */
export const choose = (
  card: Card,
  allowed: ReadonlySet<string>,
  bindings: ReadonlyArray<Place["binding"]>
): Effect.Effect<Place, RemoteRefused> => {
  let elsewhere: string | undefined
  for (const { binding: named, tenant, url: address, version } of interfacesOf(card)) {
    const binding = bindings.find((one) => one === named.toUpperCase())
    if (binding === undefined) continue
    for (const at of addressesOf(binding, address)) {
      const { origin, protocol } = URL.canParse(at) ? new URL(at) : { origin: "", protocol: "" }
      if (protocol !== "https:" && protocol !== "http:") continue
      if (!allowed.has(origin)) {
        elsewhere ??= origin
        continue
      }
      return Effect.succeed({
        url: binding === "GRPC" ? origin : at,
        binding,
        ...(version.startsWith("0.") ? { version: "0.3" as const } : {}),
        ...(tenant === "" ? {} : { tenant })
      })
    }
  }
  return Effect.fail(
    elsewhere === undefined
      ? new RemoteRefused({
        code: "NO_INTERFACE",
        message: `its card offers no A2A 1.0 or 0.3 over ${bindings.join(", ")}`
      })
      : new RemoteRefused({
        code: "OTHER_ORIGIN",
        message: `its card names another server, ${elsewhere}, which is not one of the origins that are allowed`
      })
  )
}
