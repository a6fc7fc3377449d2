// The address by which the client of a request reaches the app. Mount provides it to each request; routes, the agent
// card, MCP results and the OpenAPI document build links with it.
import { Context } from "effect"

export interface PublicAddress {
  /** Scheme and host, such as `https://agents.example.com`. */
  readonly origin: string
  /** The path of the app without a slash at its end; empty for the root. */
  readonly path: string
}

export const PublicAddress = Context.Reference<PublicAddress>(
  "@fastagentic/protocols/internal/publicAddress/PublicAddress",
  {
    defaultValue: () => ({ origin: "http://localhost", path: "" })
  }
)

export const urlOf = ({ origin, path }: PublicAddress): string => `${origin}${path}`
