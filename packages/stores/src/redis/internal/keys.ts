// Names of keys. Texts of users are JSON in them, so that no two names are equal; `script.ts` makes the same names in
// Lua.
import type { RunFilter, RunRecord, RunState } from "@fastagentic/core/run/RunRecord"
import type { Query, RecentQuery } from "@fastagentic/core/store/RunStore"
import type { ThreadKey } from "@fastagentic/core/thread/ThreadStore"
import { Struct } from "effect"

export const json = (value: unknown): string => {
  const text: string | undefined = JSON.stringify(value)
  if (text === undefined) throw new TypeError(`${typeof value} is not JSON`)
  return text
}

/** A list of arguments of a script. */
export const list = (values: ReadonlyArray<string>): ReadonlyArray<string> => [`${values.length}`, ...values]

export const keyOf = (prefix: string, run: RunRecord) =>
  `${prefix}key:${json([run.tenant, run.owner, run.kind, run.agent, run.idempotencyKey])}`

/** An index of lists, by one field of a run. */
interface ListIndex {
  readonly name: string
  /** Whether the runs of each owner have one of their own. */
  readonly ofOwner: boolean
  /** Whether the value changes with the state of a run. */
  readonly changes: boolean
}

/** The indexes of the fields that lists filter by; those of a state are in `script.ts`. */
export const listIndexes: { readonly [F in Exclude<keyof RunFilter, "state">]: ListIndex } = {
  agent: { name: "agent", ofOwner: true, changes: false },
  kind: { name: "kind", ofOwner: true, changes: false },
  threadId: { name: "thread", ofOwner: false, changes: false },
  parentRunId: { name: "parent", ofOwner: false, changes: false },
  waitsFor: { name: "wait", ofOwner: false, changes: true }
}

const indexed = Struct.keys(listIndexes)

/** The indexes that have all runs of a query; a script reads the smallest. */
export const indexesFor = (prefix: string, query: Query): ReadonlyArray<string> => {
  const { owner, state, tenant } = query
  const names: Array<string> = []
  const add = (name: string, ...parts: ReadonlyArray<string>) => names.push(`${prefix}${name}:${json(parts)}`)
  for (const field of indexed) {
    const { name, ofOwner } = listIndexes[field]
    const value = query[field]
    if (value === undefined) continue
    add(name, tenant, value)
    if (ofOwner && owner !== undefined) add(`owner-${name}`, tenant, owner, value)
  }
  if (state !== undefined) names.push(`${prefix}state:${json(state)}:${json(tenant)}`)
  if (owner === undefined) return names.length === 0 ? [`${prefix}tenant:${json(tenant)}`] : names
  if (state !== undefined) add("owner-state", tenant, owner, state)
  add("owner", tenant, owner)
  return names
}

/** The name of a thread, and the indexes that have it: of all threads, those of its tenant and those of its owner. */
export const threadKeys = (prefix: string, { owner, tenant, threadId }: ThreadKey): ReadonlyArray<string> => [
  json([tenant, owner, threadId]),
  `${prefix}conversations`,
  threadIndex(prefix, tenant),
  threadIndex(prefix, tenant, owner)
]

/** The index of the threads of a tenant, or of one owner. */
export const threadIndex = (prefix: string, ...of: ReadonlyArray<string>): string =>
  `${prefix}conversations:${json(of)}`

/** The index of runs with open interrupts for an audience; without an owner, of all owners. */
export const pendingIndex = (prefix: string, tenant: string, audience: string, owner?: string): string =>
  `${prefix}pending:${json(owner === undefined ? [tenant, audience] : [tenant, audience, owner])}`

const escaped = (prefix: string) => prefix.replaceAll(/[*?[\]\\^]/gu, "\\$&")

/** A pattern of the indexes of one state, one for each tenant. */
export const stateIndexes = (prefix: string, state: RunState): string => `${escaped(prefix)}state:${json(state)}:*`

/** A pattern of the records of runs. */
export const runsPattern = (prefix: string): string => `${escaped(prefix)}run:*`

export const finishedIndex = (prefix: string, state: RunState, tenant: string | undefined): string =>
  `${prefix}finished:${json(state)}${tenant === undefined ? "" : `:${json(tenant)}`}`

/** The indexes of runs that have ended, by the time of their end. */
export const endedIndexes = (
  prefix: string,
  { kind, owner, tenant }: Pick<RecentQuery, "kind" | "owner" | "tenant">,
  states: ReadonlyArray<RunState>
): ReadonlyArray<string> =>
  (kind === undefined ? ["agent", "tool"] : [kind]).flatMap((kind) =>
    states.map((state) => `${prefix}ended:${json([tenant, ...(owner === undefined ? [] : [owner]), kind, state])}`)
  )

/** The index of the runs of an agent. */
export const agentIndex = (prefix: string, tenant: string, agent: string): string =>
  `${prefix}agent:${json([tenant, agent])}`

export const filtersOf = ({ before: _before, limit: _limit, ...filters }: Query): ReadonlyArray<string> =>
  list(Object.entries(filters).flatMap(([field, value]) => value === undefined ? [] : [field, json(value)]))
