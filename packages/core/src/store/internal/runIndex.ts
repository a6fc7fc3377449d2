// The indexes of the memory store: a list reads the smallest index that its query names, so that other runs cost it nothing.
import { approversOf, audienceOf, type Interrupt } from "../../run/Interrupt.ts"
import { isFinal, type RunRecord } from "../../run/RunRecord.ts"
import type { PendingQuery, Query } from "../RunStore.ts"

type Fields = Pick<RunRecord, "tenant"> & Partial<RunRecord>

/** The fields that never change, and those that change with the state. */
const fixedFields = ["kind", "agent", "threadId", "parentRunId"] as const
const stateFields = ["state", "waitsFor"] as const

/** Two names may be equal when a text contains the separator, so readers of an index compare the records again. */
const nameOf = (...parts: ReadonlyArray<string>) => parts.join("\0")

const namesOf = ({ owner, tenant, ...run }: Fields, fields: ReadonlyArray<keyof typeof run>) =>
  fields.flatMap((field) => {
    const value = run[field]
    if (typeof value !== "string") return []
    return [nameOf(tenant, field, value), ...(owner === undefined ? [] : [nameOf(tenant, owner, field, value)])]
  })

const pendingName = (tenant: string, audience: string) => nameOf("pending", tenant, audience)

/** The audiences that may decide something of a run now. */
const audiencesOf = ({ state }: RunRecord, interrupts: Iterable<Interrupt>) =>
  isFinal(state)
    ? new Set<string>()
    : new Set(Array.from(interrupts).filter(({ state }) => state === "open").map(audienceOf))

export const makeRunIndex = () => {
  const indexes = new Map<string, Set<string>>()
  const names = new Map<string, ReadonlyArray<string>>()
  const audiences = new Map<string, Set<string>>()

  const insert = (name: string, runId: string) => {
    const index = indexes.get(name)
    if (index === undefined) indexes.set(name, new Set([runId]))
    else index.add(runId)
  }

  const take = (name: string, runId: string) => {
    const index = indexes.get(name)
    index?.delete(runId)
    if (index?.size === 0) indexes.delete(name)
  }

  /** Updates the indexes that depend on the state of a run and its interrupts. */
  const update = (run: RunRecord, interrupts: Iterable<Interrupt>) => {
    const { owner, runId, tenant } = run
    for (const name of names.get(runId) ?? []) take(name, runId)
    const now = namesOf(run, stateFields)
    for (const audience of audiencesOf(run, interrupts)) {
      const known = audiences.get(tenant)
      if (known === undefined) audiences.set(tenant, new Set([audience]))
      else known.add(audience)
      now.push(pendingName(tenant, audience))
      if (audience === "") now.push(nameOf("pending", tenant, "", owner))
    }
    for (const name of now) insert(name, runId)
    names.set(runId, now)
  }

  const fixedNames = (run: RunRecord) => [
    nameOf(run.tenant),
    nameOf(run.tenant, run.owner),
    ...namesOf(run, fixedFields)
  ]

  const runsIn = (name: string) => indexes.get(name) ?? new Set<string>()

  return {
    update,

    add: (run: RunRecord, interrupts: Iterable<Interrupt>) => {
      for (const name of fixedNames(run)) insert(name, run.runId)
      update(run, interrupts)
    },

    remove: (run: RunRecord) => {
      for (const name of [...fixedNames(run), ...(names.get(run.runId) ?? [])]) take(name, run.runId)
      names.delete(run.runId)
    },

    /** The smallest index that has all runs of a query. */
    smallest: (query: Query): ReadonlySet<string> => {
      const { owner, tenant } = query
      const whole = owner === undefined ? nameOf(tenant) : nameOf(tenant, owner)
      return [whole, ...namesOf(query, [...fixedFields, ...stateFields])].map(runsIn)
        .reduce((smallest, index) => index.size < smallest.size ? index : smallest)
    },

    /** Runs that may have something for a principal to decide. */
    pending: ({ decides, owner, tenant }: PendingQuery): ReadonlySet<string> => {
      const found = new Set(
        runsIn(owner === undefined ? pendingName(tenant, "") : nameOf("pending", tenant, "", owner))
      )
      const known = audiences.get(tenant) ?? new Set<string>()
      for (const audience of known) {
        const approvers = approversOf(audience)
        const runIds = runsIn(pendingName(tenant, audience))
        if (runIds.size === 0) known.delete(audience)
        if (approvers !== undefined && decides(approvers.scopes)) { for (const runId of runIds) found.add(runId) }
      }
      return found
    }
  }
}
