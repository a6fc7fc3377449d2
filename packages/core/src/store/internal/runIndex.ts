// The indexes of the memory store: a list reads the smallest index that its query names, so that other runs cost it nothing.
// The store calls `update` with the record before and after each change of state; every run passes here, so it is cheap.
import { approversOf, audienceOf, type Interrupt } from "../../run/Interrupt.ts"
import { filterFields, isFinal, type RunRecord } from "../../run/RunRecord.ts"
import type { PendingQuery, Query } from "../RunStore.ts"

const indexed = ["owner", ...filterFields] as const

type Field = (typeof indexed)[number]

/** Runs by a name; a name without runs is forgotten. */
class Buckets {
  private readonly runs = new Map<string, Set<string>>()

  get(name: string): ReadonlySet<string> {
    return this.runs.get(name) ?? none
  }

  put(name: string, runId: string) {
    const bucket = this.runs.get(name)
    if (bucket === undefined) this.runs.set(name, new Set([runId]))
    else bucket.add(runId)
  }

  take(name: string, runId: string) {
    const bucket = this.runs.get(name)
    if (bucket?.delete(runId) === true && bucket.size === 0) this.runs.delete(name)
  }

  get names() {
    return this.runs.keys()
  }
}

const none: ReadonlySet<string> = new Set()

/** The runs of a tenant, by each field. */
class Group {
  readonly all = new Set<string>()
  private readonly fields = new Map<Field, Buckets>()

  add(run: RunRecord) {
    this.all.add(run.runId)
    for (const field of indexed) this.put(run, field)
  }

  remove(run: RunRecord) {
    this.all.delete(run.runId)
    for (const field of indexed) this.take(run, field)
  }

  move(before: RunRecord, run: RunRecord) {
    for (const field of indexed) {
      if (before[field] === run[field]) continue
      this.take(before, field)
      this.put(run, field)
    }
  }

  /** The smallest set that has all runs of a query. */
  smallest(query: Query): ReadonlySet<string> {
    let smallest: ReadonlySet<string> = this.all
    for (const field of indexed) {
      const value = query[field]
      const runs = typeof value === "string" ? (this.fields.get(field)?.get(value) ?? none) : smallest
      if (runs.size < smallest.size) smallest = runs
    }
    return smallest
  }

  private put(run: RunRecord, field: Field) {
    const value = run[field]
    if (value === undefined) return
    const known = this.fields.get(field)
    const buckets = known ?? new Buckets()
    if (known === undefined) this.fields.set(field, buckets)
    buckets.put(value, run.runId)
  }

  private take(run: RunRecord, field: Field) {
    const value = run[field]
    if (value !== undefined) this.fields.get(field)?.take(value, run.runId)
  }
}

/** The runs of a tenant, and those that wait for a decision: by who may take it, and of these for nobody else by owner. */
class Tenant {
  readonly whole = new Group()
  readonly audiences = new Buckets()
  readonly asked = new Buckets()
}

export const makeRunIndex = () => {
  const tenants = new Map<string, Tenant>()
  const audiences = new Map<string, ReadonlySet<string>>()

  const tenantOf = ({ tenant }: RunRecord) => {
    const known = tenants.get(tenant)
    if (known !== undefined) return known
    const made = new Tenant()
    tenants.set(tenant, made)
    return made
  }

  /** Lists the run for those that may decide something of it now. */
  const ask = (tenant: Tenant, { owner, runId, state }: RunRecord, interrupts: Iterable<Interrupt>) => {
    const before = audiences.get(runId)
    const now = new Set<string>()
    if (!isFinal(state)) { for (const one of interrupts) if (one.state === "open") now.add(audienceOf(one)) }
    if (before === undefined && now.size === 0) return
    for (const audience of before ?? none) tenant.audiences.take(audience, runId)
    for (const audience of now) tenant.audiences.put(audience, runId)
    if (now.has("")) tenant.asked.put(owner, runId)
    else tenant.asked.take(owner, runId)
    if (now.size === 0) audiences.delete(runId)
    else audiences.set(runId, now)
  }

  return {
    add: (run: RunRecord, interrupts: Iterable<Interrupt>) => {
      const tenant = tenantOf(run)
      tenant.whole.add(run)
      ask(tenant, run, interrupts)
    },

    /** Updates the indexes that depend on the state of a run and its interrupts. */
    update: (before: RunRecord, run: RunRecord, interrupts: Iterable<Interrupt>) => {
      const tenant = tenantOf(run)
      tenant.whole.move(before, run)
      ask(tenant, run, interrupts)
    },

    remove: (run: RunRecord) => {
      const tenant = tenantOf(run)
      ask(tenant, run, [])
      tenant.whole.remove(run)
      if (tenant.whole.all.size === 0) tenants.delete(run.tenant)
    },

    /** The smallest index that has all runs of a query. */
    smallest: (query: Query): ReadonlySet<string> => tenants.get(query.tenant)?.whole.smallest(query) ?? none,

    /** Runs that may have something for a principal to decide. */
    pending: ({ decides, owner, tenant: name }: PendingQuery): ReadonlySet<string> => {
      const tenant = tenants.get(name)
      if (tenant === undefined) return none
      const found = new Set(owner === undefined ? tenant.audiences.get("") : tenant.asked.get(owner))
      for (const audience of tenant.audiences.names) {
        const approvers = approversOf(audience)
        if (approvers === undefined || !decides(approvers.scopes)) continue
        for (const runId of tenant.audiences.get(audience)) found.add(runId)
      }
      return found
    }
  }
}
