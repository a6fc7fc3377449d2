// A route of REST and its entry in the OpenAPI document as one value: HttpProtocol serves what Document describes.
// The method and path of a fixed route are those of its endpoint, so they cannot differ.
import type { Fusion } from "@fastagentic/core/app/Fusion"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as RequestContext from "./RequestContext.ts"

type Method = "GET" | "POST" | "PUT" | "DELETE"
type Path = `/${string}`

/** A group of the document. */
export type Group =
  | "agents"
  | "tools"
  | "resources"
  | "prompts"
  | "runs"
  | "files"
  | "interrupts"
  | "threads"
  | "schedules"
  | "audit"
  | "principals"
  | "push"
  | "openai"
  | "system"

/** An endpoint of the document; entries of the same subject stand together in their group. */
export interface Entry {
  readonly subject: string
  readonly name: string
  readonly describe: (name: string) => HttpApiEndpoint.Constraint
}

/** A path and method with the handler behind them. */
export interface Served {
  readonly method: Method
  readonly path: Path
  readonly handler: RequestContext.Handler
}

export interface Route extends Served {
  readonly group: Group
  readonly entriesOf: (fusion: Fusion) => ReadonlyArray<Entry>
}

type Endpoint = HttpApiEndpoint.Constraint & { readonly method: Method; readonly path: Path }

/** A route that every app has. */
export const make = (group: Group, endpoint: Endpoint, handler: RequestContext.Handler): Route => ({
  group,
  method: endpoint.method,
  path: endpoint.path,
  handler,
  entriesOf: () => [{ subject: "", name: endpoint.identifier, describe: () => endpoint }]
})

/** A route for all declarations of a kind; the document has an endpoint for each of them. */
export const forEach = <D>(
  { declarations, describe, identifierOf, name = (identifier) => identifier, ...served }: Served & {
    readonly group: Group
    readonly declarations: (fusion: Fusion) => Iterable<D>
    readonly identifierOf: (declaration: D) => string
    /** The endpoint's name in its group; the identifier unless given. */
    readonly name?: (identifier: string) => string
    readonly describe: (name: string, path: Path, declaration: D) => HttpApiEndpoint.Constraint
  }
): Route => ({
  ...served,
  entriesOf: (fusion) =>
    Array.from(declarations(fusion), (declaration) => {
      const identifier = identifierOf(declaration)
      const path: Path = `/${served.path.slice(1).replace(":identifier", () => identifier)}`
      return { subject: identifier, name: name(identifier), describe: (unique) => describe(unique, path, declaration) }
    })
})
