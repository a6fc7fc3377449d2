// The declarations of an app that need no scopes, which public cards and catalogs may show.
import type { Fusion } from "@fastagentic/core/app/Fusion"

export const publicPart = (fusion: Fusion): Fusion => ({
  ...fusion,
  agents: new Map([...fusion.agents].filter(([, { scopes }]) => scopes.length === 0)),
  prompts: new Map([...fusion.prompts].filter(([, { prompt }]) => prompt.scopes.length === 0))
})
