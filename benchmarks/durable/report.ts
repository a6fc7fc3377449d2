// A table that is printed during the measurement, and the targets it misses.
import { loadavg } from "node:os"
import type { Name } from "./contender.ts"

export type Cells = Partial<Record<Name, number | undefined>>

interface Target {
  readonly sense: "at most" | "at least"
  readonly limits: Cells
}

const names = ["sqlite", "postgres", "dbos", "restate"] as const

/** A row of values; a missing value or one that is no number leaves its cell empty. */
export const cellsOf = (of: (name: Name) => number | undefined): Cells =>
  Object.fromEntries(names.map((name) => [name, of(name)]).filter(([, value]) => Number.isFinite(value)))

export const atMost = (limits: Cells): Target => ({ sense: "at most", limits })

export const atLeast = (limits: Cells): Target => ({ sense: "at least", limits })

export class Report {
  private readonly misses: Array<string> = []

  head() {
    print("", [...names, "load"], "targets")
  }

  row(title: string, unit: string, cells: Cells, target: Target = atMost({})) {
    const { limits, sense } = target
    const verdicts = names.flatMap((name) => {
      const [value = NaN, limit = NaN] = [cells[name], limits[name]]
      if (Number.isNaN(value) || Number.isNaN(limit)) return []
      const met = sense === "at most" ? value <= limit : value >= limit
      const wanted = `${name} ${sense} ${digits(limit)}`
      if (!met) this.misses.push(`${title}: ${wanted} ${unit}, measured ${digits(value)}`)
      return [`${wanted} ${met ? "met" : "MISSED"}`]
    })
    print(
      `${title}, ${unit}`,
      [...names.map((name) => digits(cells[name])), loadavg()[0]?.toFixed(1) ?? ""],
      verdicts.join("; ")
    )
  }

  end() {
    console.log(this.misses.length === 0 ? "\nno target is missed" : "\nmissed:")
    for (const miss of this.misses) console.log(`- ${miss}`)
  }
}

const print = (title: string, cells: ReadonlyArray<string>, targets: string) =>
  console.log(`| ${title.padEnd(42)} | ${cells.map((cell) => cell.padStart(8)).join(" | ")} | ${targets} |`)

const digits = (value: number | undefined) =>
  value === undefined ? "-" : value.toFixed(value >= 100 || value === 0 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3)
