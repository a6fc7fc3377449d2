// Names of keys. Texts of users are JSON in them, so that no two names are equal; `script.ts` makes the same names in
// Lua.
import type { RunRecord, RunState } from "@fastagentic/core/run/RunRecord"
import type { Query } from "@fastagentic/core/store/RunStore"

export const json = (value: unknown): string => {
  const text: string | undefined = JSON.stringify(value)
  if (text === undefined) throw new TypeError(`${typeof value} is not JSON`)
  return text
}

/** A list of arguments of a script. */
export const list = (values: ReadonlyArray<string>): ReadonlyArray<string> => [`${values.length}`, ...values]

export const keyOf = (prefix: string, run: RunRecord) =>
  `${prefix}key:${json([run.tenant, run.owner, run.kind, run.agent, run.idempotencyKey])}`

/** The index with the fewest runs to read. */
export const indexFor = (
  prefix: string,
  { agent, owner, parentRunId, state, tenant, threadId }: Query
): string => {
  if (parentRunId !== undefined) return `${prefix}parent:${json([tenant, parentRunId])}`
  if (threadId !== undefined) return `${prefix}thread:${json([tenant, threadId])}`
  if (state !== undefined) return `${prefix}state:${json(state)}:${json(tenant)}`
  if (owner !== undefined) return `${prefix}owner:${json([tenant, owner])}`
  if (agent !== undefined) return `${prefix}agent:${json([tenant, agent])}`
  return `${prefix}tenant:${json(tenant)}`
}

/** A pattern of the indexes of one state, one for each tenant. */
export const stateIndexes = (prefix: string, state: RunState): string =>
  `${prefix.replaceAll(/[*?[\]\\^]/gu, "\\$&")}state:${json(state)}:*`

export const finishedIndex = (prefix: string, state: RunState, tenant: string | undefined): string =>
  `${prefix}finished:${json(state)}${tenant === undefined ? "" : `:${json(tenant)}`}`

export const filtersOf = ({ before: _before, limit: _limit, ...filters }: Query): ReadonlyArray<string> =>
  list(Object.entries(filters).flatMap(([field, value]) => value === undefined ? [] : [field, json(value)]))
