// The open question of a run, and the rounds of a call by which a client of MCP 2026-07-28 answers one.
import { createHash } from "node:crypto"
import type { Person } from "./lab.ts"
import * as Transports from "./transports.ts"

export const openInterrupt = async ({ url }: { readonly url: string }, runId: string, by: Person) => {
  const headers = { "x-api-key": `key-of-${by}` }
  const { body } = await Transports.request(`${url}/runs/${runId}/interrupts`, { headers })
  return String(body.items[0]?.id)
}

export const ableToAsk = { "io.modelcontextprotocol/clientCapabilities": { elicitation: {} } }

/** The state that a round of a call with these arguments brings; anybody can write it. */
export const stateOf = (runId: string, args: object) => {
  const ordered = Object.fromEntries(Object.entries(args).toSorted(([a], [b]) => a < b ? -1 : 1))
  return `${runId}.0.${createHash("sha256").update(JSON.stringify(ordered)).digest("hex").slice(0, 32)}`
}

/** The next round of a call in 2026-07-28. */
export const roundOf = (name: string, args: object, state: string, id: string, content: unknown) => ({
  name,
  arguments: args,
  requestState: state,
  inputResponses: { [id]: { action: "accept", content } },
  _meta: ableToAsk
})
