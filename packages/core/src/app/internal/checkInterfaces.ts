// Checks the interfaces of MCP Apps at start: hosts load the page of a tool before its first call, and one that is not there
// leaves the tool without its interface silently. Fusion calls it.
import { Effect } from "effect"
import type { Callable, ResourceEntry } from "../Fusion.ts"
import * as Resource from "../Resource.ts"
import { FusionError } from "./fusionError.ts"

const pageType = "text/html;profile=mcp-app"

export const checkInterfaces = (callables: ReadonlyArray<Callable>, resources: ReadonlyArray<ResourceEntry>) => {
  const pages = resources.filter(({ resource: { uriTemplate } }) => uriTemplate.startsWith("ui://"))
  for (const { resource: { identifier, mimeType } } of pages) {
    if (mimeType !== pageType) {
      return refused(`resource "${identifier}"`, `a resource at a ui:// address has the type "${pageType}"`)
    }
  }
  for (const { identifier, kind, presentation: { ui } } of callables) {
    const uri = ui?.resourceUri
    if (
      uri !== undefined && !pages.some(({ resource }) => Resource.matchUri(resource.uriTemplate, uri) !== undefined)
    ) {
      return refused(`${kind} "${identifier}"`, `its interface "${uri}" is no resource of the app`)
    }
  }
  return Effect.void
}

const refused = (declaration: string, problem: string) => Effect.fail(new FusionError({ declaration, problem }))
