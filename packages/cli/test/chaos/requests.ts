import type { Node } from "./nodes.ts"
import type { Random } from "./random.ts"

export interface Answer {
  readonly status: number
  // The server's own tests check its answers.
  readonly body: ReturnType<typeof JSON.parse>
}

/** Asks a node over HTTP; nothing when it cannot answer. */
export const ask = async (
  url: string | undefined,
  path: string,
  init: RequestInit = {}
): Promise<Answer | undefined> => {
  if (url === undefined) return undefined
  try {
    const headers = { accept: "application/json", ...init.headers }
    const response = await fetch(`${url}${path}`, { ...init, headers, signal: AbortSignal.timeout(3_000) })
    return { status: response.status, body: JSON.parse(await response.text() || "null") }
  } catch {
    return undefined
  }
}

/** Calls any reachable node. */
export const askAny = (nodes: ReadonlyArray<Node>, random: Random, path: string, init?: RequestInit) =>
  ask(random.pick(nodes.filter(({ url }) => url !== undefined))?.url, path, init)

export const post = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: "POST",
  body: JSON.stringify(body),
  headers: { "content-type": "application/json", ...headers }
})

/** The whole journal, or nothing when a node cannot give all of it now. */
export const eventsOf = async (request: (path: string) => Promise<Answer | undefined>, runId: string) => {
  const events: Array<Answer["body"]> = []
  for (let after: string | null = "0"; after !== null;) {
    const page = await request(`/runs/${runId}/events?after=${after}`)
    if (page?.status !== 200) return undefined
    events.push(...page.body.items)
    after = page.body.next
  }
  return events
}
