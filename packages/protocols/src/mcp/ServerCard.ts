// A server as clients and registries know it before they connect: its card (`GET /mcp/server-card`) and its entry for a registry
// (`GET /mcp/server.json`). Both are public, and name no tools, which are for callers who may see them. McpProtocol serves them.
import type { Fusion } from "@fastagentic/core/app/Fusion"
import type { Auth } from "@fastagentic/core/door/Auth"
import { type PublicAddress, urlOf } from "../internal/publicAddress.ts"
import { iconsOf } from "./McpCatalog.ts"

export const cardType = "application/mcp-server-card+json"

/** The revisions of the protocol that the endpoint speaks. */
export const revisions = ["2026-07-28", "2025-11-25", "2025-06-18"] as const

type Access = Pick<Auth["Service"], "issuers" | "open" | "schemes">

export const card = (app: Fusion["app"], address: PublicAddress, access: Access) => ({
  $schema: "https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json",
  ...identityOf(app, address),
  ...iconsOf(app),
  remotes: [{ ...remoteOf(address, access), supportedProtocolVersions: revisions }]
})

/** `server.json` of the MCP registry, which takes icons at addresses only. */
export const registryEntry = (app: Fusion["app"], address: PublicAddress, access: Access) => ({
  $schema: "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
  ...identityOf(app, address),
  ...iconsOf({ icons: app.icons.filter(isForRegistry) }),
  remotes: [remoteOf(address, access)]
})

/** The rules of the registry's schema: an address that is not too long, and sizes in pixels. */
const isForRegistry = ({ sizes = [], src }: Fusion["app"]["icons"][number]) =>
  src.startsWith("https:") && src.length <= 255 && sizes.every((size) => /^(\d+x\d+|any)$/u.test(size))

/** The longest name that the schemas of card and registry take. */
const longestName = 200

/** A name begins with the domain of the app's provider, or else of its address, in reverse. */
const identityOf = (
  { description, documentationUrl, identifier, provider, title, version }: Fusion["app"],
  { origin }: PublicAddress
) => {
  const websiteUrl = documentationUrl ?? provider?.url
  return {
    name: `${reversed(provider?.url ?? origin)}/${identifier.replaceAll(/[^\w.-]/gu, "-")}`.slice(0, longestName),
    version,
    description: shortened(description || title),
    title: shortened(title),
    ...(websiteUrl === undefined ? {} : { websiteUrl })
  }
}

const reversed = (url: string) => {
  const host = URL.canParse(url) ? new URL(url).hostname.replaceAll(/[^a-zA-Z0-9.-]/gu, "") : ""
  if (host === "") return "localhost"
  return /^[\d.]+$/u.test(host) ? host : host.split(".").toReversed().join(".")
}

/** Registries refuse texts that are longer. */
const longest = 100

const shortened = (text: string) => {
  const characters = [...text]
  return characters.length > longest ? `${characters.slice(0, longest - 1).join("")}…` : text
}

/** A client without OAuth has to be given a key. */
const remoteOf = (address: PublicAddress, { issuers = [], open, schemes }: Access) => ({
  type: "streamable-http",
  url: `${urlOf(address)}/mcp`,
  ...(open || issuers.length > 0 ? {} : { headers: schemes.flatMap((scheme) => headerOf[scheme] ?? []) })
})

const headerOf: { readonly [scheme: string]: object | undefined } = {
  bearer: { name: "Authorization", description: "Bearer and a token or an API key", isSecret: true },
  apiKey: { name: "X-Api-Key", description: "An API key", isSecret: true }
}
