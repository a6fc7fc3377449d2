// The lines of a node, one for each agent that takes only so many runs, and one (named "") for all that have come due of the
// others. dueRuns.ts serves them; claim.ts lets a new run start at once only where it passes by nobody.
import { TenantShares } from "./tenantShares.ts"

export interface Line {
  readonly shares: TenantShares
  /** Tenants that were seen to wait for room: their new runs stand behind the others. */
  readonly waiting: Set<string>
  /** How often room has become free here, and how often when the line was last served: in between, room is the line's. */
  freed: number
  looked: number
}

export class Lines {
  private readonly lines = new Map<string, Line>()
  private readonly weightOf: (tenant: string) => number

  constructor(weightOf: (tenant: string) => number) {
    this.weightOf = weightOf
  }

  of(agent: string): Line {
    const known = this.lines.get(agent)
    if (known !== undefined) return known
    const line: Line = { shares: new TenantShares(this.weightOf), waiting: new Set(), freed: 0, looked: 0 }
    this.lines.set(agent, line)
    return line
  }
}
