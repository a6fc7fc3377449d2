// The AI Catalog of an app, at `/.well-known/ai-catalog.json`: the agents and servers that anybody may know of, as entries of one
// document. Mount serves it; each protocol gives its own entries here, so that there is one source.
import type { Callable, Fusion } from "@fastagentic/core/app/Fusion"
import type { External } from "../a2a/AgentRegistry.ts"
import { type PublicAddress, urlOf } from "./publicAddress.ts"

/** One artifact of a catalog, whose document is at `url`. */
export interface Entry {
  /** `urn:air:<publisher>:<namespace>:<name>`. */
  readonly identifier: string
  readonly displayName: string
  readonly type: "application/a2a-agent-card+json" | "application/mcp-server-card+json"
  readonly url: string
  readonly description?: string
  readonly tags?: ReadonlyArray<string>
  readonly capabilities?: ReadonlyArray<string>
  readonly representativeQueries?: ReadonlyArray<string>
  readonly version?: string
}

/** The name of an artifact in the namespace of a publisher, which is a host. */
export const identifierOf = (url: string, namespace: string, name: string): string => {
  const host = URL.canParse(url) ? new URL(url).hostname.replaceAll(/[[\]]/gu, "") : ""
  return ["urn", "air", ...[host || "localhost", namespace, name].map((part) => part.replaceAll(/[^\w.-]/gu, "-"))]
    .join(":")
}

/** Entries name two to five questions, or none. */
const queriesOf = (examples: ReadonlyArray<string>): Pick<Entry, "representativeQueries"> =>
  examples.length < 2 ? {} : { representativeQueries: examples.slice(0, 5) }

/** An agent by its own card. */
export const agentEntry = (
  { description, examples, identifier, presentation: { tags = [], title } }: Callable,
  version: string,
  address: PublicAddress
): Entry => {
  const url = `${urlOf(address)}/a2a/${encodeURIComponent(identifier)}/.well-known/agent-card.json`
  return {
    identifier: identifierOf(url, "agent", identifier),
    displayName: title ?? identifier,
    type: "application/a2a-agent-card+json",
    url,
    description: description || identifier,
    ...(tags.length === 0 ? {} : { tags }),
    ...queriesOf(examples),
    version
  }
}

/** The MCP server of the app, by its card, which says the rest. */
const serverEntry = ({ identifier, title, version }: Fusion["app"], address: PublicAddress): Entry => {
  const url = `${urlOf(address)}/mcp/server-card`
  return {
    identifier: identifierOf(url, "mcp", identifier),
    displayName: title,
    type: "application/mcp-server-card+json",
    url,
    version
  }
}

/** An agent of another server, whose card is read. */
export const externalEntry = ({ description, examples, identifier, tags, title, url, version }: External): Entry => ({
  identifier: identifierOf(url, "agent", identifier),
  displayName: title ?? identifier,
  type: "application/a2a-agent-card+json",
  url,
  description,
  ...(tags.length === 0 ? {} : { tags }),
  ...queriesOf(examples),
  version
})

/** The document; `visible` are the declarations that anybody may know of. */
export const make = (
  { app, visible }: { readonly app: Fusion["app"]; readonly visible: Fusion },
  address: PublicAddress,
  { external, hasA2a, hasMcp }: {
    readonly external: ReadonlyArray<External>
    readonly hasA2a: boolean
    readonly hasMcp: boolean
  }
): object => ({
  specVersion: "1.0",
  host: {
    displayName: app.provider?.organization ?? app.title,
    ...(app.documentationUrl === undefined ? {} : { documentationUrl: app.documentationUrl })
  },
  entries: [
    ...(hasMcp ? [serverEntry(app, address)] : []),
    ...(hasA2a ? Array.from(visible.agents.values(), (agent) => agentEntry(agent, app.version, address)) : []),
    ...external.map(externalEntry)
  ]
})
