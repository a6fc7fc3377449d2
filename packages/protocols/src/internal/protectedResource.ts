// OAuth 2 protected resource metadata (RFC 9728): the document that says where clients get tokens and for which scopes, and
// its address, which challenges name. Only an app whose auth layer accepts tokens of an issuer has it.
import type { Fusion } from "@fastagentic/core/app/Fusion"
import type { Auth } from "@fastagentic/core/door/Auth"
import { type PublicAddress, urlOf } from "./publicAddress.ts"

/** The parts of an app that are resources of their own; the empty path is the app. */
export type ResourcePath = "" | "/mcp"

export const wellKnown = "/.well-known/oauth-protected-resource"

type Issuers = Auth["Service"]["issuers"]

/** The address of a resource's metadata under the app's own path, which every proxy forwards that forwards the app. */
export const metadataUrl = (
  issuers: Issuers,
  address: PublicAddress,
  path: ResourcePath
): string | undefined =>
  issuers === undefined || issuers.length === 0 ? undefined : `${urlOf(address)}${wellKnown}${path}`

/** Every scope that a declaration of the app needs. */
export const scopesOf = ({ agents, prompts, resources, tools }: Fusion): ReadonlyArray<string> => {
  const scopes = [
    ...[...agents.values(), ...tools.values()].map((callable) => callable.scopes),
    ...Array.from(resources.values(), ({ resource }) => resource.scopes),
    ...Array.from(prompts.values(), ({ prompt }) => prompt.scopes)
  ]
  return [...new Set(scopes.flat())].filter(isScopeToken).toSorted()
}

/** A scope that RFC 6749 can carry; others are grants of an app's own making. */
export const isScopeToken = (scope: string): boolean => /^[\x21\x23-\x5B\x5D-\x7E]+$/u.test(scope)

export const documentOf = (
  issuers: NonNullable<Issuers>,
  fusion: Fusion,
  address: PublicAddress,
  path: ResourcePath
) => ({
  resource: resourceOf(issuers.flatMap(({ audiences }) => audiences), `${urlOf(address)}${path}`),
  authorization_servers: [...new Set(issuers.map(({ issuer }) => issuer))],
  scopes_supported: scopesOf(fusion),
  bearer_methods_supported: ["header"],
  resource_name: fusion.app.title
})

/**
 * The resource that a client asks tokens for (RFC 8707): the narrowest audience that covers the address, because tokens for
 * any other are refused; without one, the address itself.
 */
const resourceOf = (audiences: ReadonlyArray<string>, url: string): string =>
  audiences.filter((audience) => covers(audience, url)).toSorted((a, b) => b.length - a.length)[0] ?? url

const covers = (audience: string, url: string): boolean => {
  if (!URL.canParse(audience) || !/^https?:/u.test(audience)) return false
  const { origin, pathname, search } = new URL(audience)
  const asked = new URL(url)
  const directory = pathname.endsWith("/") ? pathname : `${pathname}/`
  return origin === asked.origin && search === "" && `${asked.pathname}/`.startsWith(directory)
}
