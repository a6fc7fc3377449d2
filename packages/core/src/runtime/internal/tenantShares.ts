// Which tenant's run a line takes next: start-time fair queueing, with a clock for each line of this node. dueRuns.ts asks it.
// A tenant that has waited has no credit from that time, and one that never waited owes nothing.
import type { RunRecord } from "../../run/RunRecord.ts"

export class TenantShares {
  /** The time at which the last run was taken, and when each tenant has its next turn. */
  private time = 0
  private readonly next = new Map<string, number>()
  private readonly weightOf: (tenant: string) => number

  constructor(weightOf: (tenant: string) => number) {
    this.weightOf = weightOf
  }

  /** Takes runs of a page by the shares of their tenants, until they are all taken or passed over. */
  *turns(page: ReadonlyArray<RunRecord>): Generator<RunRecord> {
    const lines = new Map<string, Array<RunRecord>>()
    for (const run of page) {
      const line = lines.get(run.tenant)
      if (line === undefined) lines.set(run.tenant, [run])
      else line.push(run)
    }
    for (const [tenant, at] of this.next) if (at <= this.time) this.next.delete(tenant)
    while (lines.size > 0) {
      const tenant = this.first(lines.keys())
      const line = lines.get(tenant) ?? []
      const run = line.shift()
      if (line.length === 0) lines.delete(tenant)
      if (run !== undefined) yield run
    }
  }

  /** A run of this tenant was taken. */
  took(tenant: string) {
    this.time = this.timeOf(tenant)
    const weight = this.weightOf(tenant)
    this.next.set(tenant, this.time + (weight > 0 && weight < Infinity ? 1 / weight : 1))
  }

  /** The tenant whose turn is next; of equal ones, the first of the page. */
  private first(tenants: Iterable<string>): string {
    let first = ""
    let least = Infinity
    for (const tenant of tenants) {
      const at = this.timeOf(tenant)
      if (at >= least) continue
      first = tenant
      least = at
    }
    return first
  }

  private timeOf(tenant: string) {
    return Math.max(this.time, this.next.get(tenant) ?? 0)
  }
}
